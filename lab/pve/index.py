"""Directory indexes: what stands below a path, as far as the lab knows it."""

from __future__ import annotations

from lab.pve.call import Call


def listing(call: Call) -> object:
    """GET of a directory: its children, named "subdir" or "name" as the schema says."""
    schema = call.site.schema
    route = schema.routes[call.route]
    return [{route.index or "name": name} for name in schema.children(route)]
