"""Every served route with the privileges it needs, as a table to read."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from lab.pve.routes import ROUTES, WEBSOCKETS
from lab.pve.schema import Route, load


def privileges(check: Sequence[Any]) -> str:
    """A check tree in words: "/vms/{vmid}: VM.Audit", joined by "and" and "or"."""
    kind, *rest = check
    if kind in {"and", "or"}:
        parts = [privileges(part) for part in rest]
        return f" {kind} ".join(f"({part})" if " " in part.replace(": ", ":") else part for part in parts)
    if kind == "perm":
        path, privs, *options = rest
        return f"{path}: {('|' if 'any' in options else '+').join(privs)}"
    if kind == "userid-param":
        return "oneself" if rest[0] == "self" else f"/access/realm/{{realm}}: {rest[0]}"
    if kind == "userid-group":
        return f"/access/groups: {'|'.join(rest[0])}"
    return f"{rest[0]}: Permissions.Modify"


def who(route: Route) -> str:
    """Who may call a route."""
    if check := route.permissions.get("check"):
        return privileges(check)
    user = route.permissions.get("user")
    return {"world": "anybody", "all": "any user; what is shown depends on privileges"}.get(str(user), "root@pam")


def rows(version: str) -> Iterator[tuple[str, str]]:
    """Each served route that a release has, and who may call it, sorted by path."""
    schema = load(version)
    for key in sorted(schema.routes.keys() & {*ROUTES, *WEBSOCKETS}, key=lambda key: key.split(" ")[::-1]):
        yield key, who(schema.routes[key])
