"""Routes of high availability: the managed guests (upstream: PVE/API2/HA). The lab's only node restarts nothing."""

from __future__ import annotations

from typing import Any

from lab.pve.call import Call, die, param_error
from lab.pve.site import Site


def service_id(site: Site, sid: str) -> str:
    """A bare VMID as "vm:100" or "ct:100"."""
    if ":" in sid:
        return sid
    guest = site.guests.get(int(sid)) if sid.isdigit() else None
    if guest is None:
        param_error("sid", f"no such guest '{sid}'")
    return f"{'vm' if guest.kind == 'qemu' else 'ct'}:{sid}"


def _shown(sid: str, section: dict[str, Any]) -> dict[str, Any]:
    return {"sid": sid, "type": sid.partition(":")[0], "digest": "0" * 40, **section}


def list_resources(call: Call) -> object:
    """GET /cluster/ha/resources."""
    with call.site.lock:
        kind = call.params.get("type")
        return [
            _shown(sid, section)
            for sid, section in sorted(call.site.ha_resources.items())
            if kind in {None, sid.split(":")[0]}
        ]


def get_resource(call: Call) -> object:
    """GET /cluster/ha/resources/{sid}."""
    with call.site.lock:
        sid = service_id(call.site, call.params["sid"])
        if sid not in call.site.ha_resources:
            die(f"no such resource '{sid}'")
        return _shown(sid, call.site.ha_resources[sid])


def create_resource(call: Call) -> None:
    """POST /cluster/ha/resources."""
    with call.site.lock:
        sid = service_id(call.site, call.params["sid"])
        if sid in call.site.ha_resources:
            die(f"resource ID '{sid}' already defined")
        if int(sid.partition(":")[2]) not in call.site.guests:
            die(f"unable to find configuration file for VM {sid.partition(':')[2]}")
        kept: dict[str, Any] = {
            key: call.params[key]
            for key in ("state", "max_restart", "max_relocate", "comment", "group")
            if key in call.params
        }
        call.site.ha_resources[sid] = {"state": "started", **kept}


def delete_resource(call: Call) -> None:
    """DELETE /cluster/ha/resources/{sid}."""
    with call.site.lock:
        sid = service_id(call.site, call.params["sid"])
        if call.site.ha_resources.pop(sid, None) is None:
            die(f"cannot delete service '{sid}', not HA managed!")
