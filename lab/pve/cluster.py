"""Routes of the cluster as a whole: version, resources, status, next free VMID, options."""

from __future__ import annotations

from lab.pve.call import Call, param_error

REPOID = {"9.2": "f6997e698c7933ea", "8.4": "c7933eaf6997e698"}


def version(call: Call) -> object:
    """GET /version."""
    site = call.site
    return {"release": site.version, "version": site.full_version, "repoid": REPOID[site.version]}


def status(call: Call) -> object:
    """GET /cluster/status of a node without a cluster: the node alone."""
    site = call.site
    return [{"id": f"node/{site.node}", "name": site.node, "type": "node", "ip": "10.0.0.1", "local": 1, "level": "", "nodeid": 0,
             "online": 1}]  # fmt: skip


def nextid(call: Call) -> object:
    """GET /cluster/nextid: the lowest free VMID, or the asked one when it is free (a string, as recorded)."""
    wanted = call.params.get("vmid")
    if wanted is None:
        return str(call.site.next_vmid())
    if wanted in call.site.guests:
        param_error("vmid", f"VM {wanted} already exists")
    return str(wanted)
