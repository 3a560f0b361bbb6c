"""The routes of guests; :mod:`lab.pve.routes` takes this table in."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from lab.pve import (
    agent,
    clone,
    config,
    console,
    destroy,
    firewall,
    guests,
    index,
    lxc,
    monitor,
    power,
    restore,
    snapshots,
    template,
)
from lab.pve.call import Call

Handler = Callable[[Call], object]
_QEMU = "/nodes/{node}/qemu/{vmid}"
_LXC = "/nodes/{node}/lxc/{vmid}"
_READ = ("get-", "info", "network-")


def _on(base: str, lines: Mapping[str, Handler]) -> dict[str, Handler]:
    return {f"{line.split(' ')[0]} {base}{line.split(' ')[1]}": handler for line, handler in lines.items()}


BOTH: dict[str, Handler] = {
    "GET /": index.listing,
    "GET /config": config.get_config,
    "PUT /config": config.put_config,
    "GET /pending": config.get_pending,
    "GET /feature": snapshots.feature,
    "GET /snapshot": snapshots.list_snapshots,
    "POST /snapshot": snapshots.create,
    "GET /snapshot/{snapname}": snapshots.index,
    "DELETE /snapshot/{snapname}": snapshots.delete,
    "GET /snapshot/{snapname}/config": snapshots.get_config,
    "POST /snapshot/{snapname}/rollback": snapshots.rollback,
    "GET /firewall": index.listing,
    "GET /firewall/options": firewall.get_options,
    "PUT /firewall/options": firewall.put_options,
    "GET /firewall/refs": firewall.refs,
    "GET /firewall/rules": firewall.get_rules,
    "POST /firewall/rules": firewall.post_rule,
    "GET /firewall/rules/{pos}": firewall.get_rule,
    "PUT /firewall/rules/{pos}": firewall.put_rule,
    "DELETE /firewall/rules/{pos}": firewall.delete_rule,
}
"""Below the path of a guest of either kind."""

QEMU: dict[str, Handler] = {
    "POST /config": config.post_config,
    "GET /status": guests.qemu_index,
    "GET /status/current": guests.qemu_current,
    "POST /status/start": power.start,
    "POST /status/stop": power.stop,
    "POST /status/shutdown": power.shutdown,
    "POST /status/reset": power.reset,
    "POST /status/reboot": power.reboot,
    "POST /status/suspend": power.suspend,
    "POST /status/resume": power.resume,
    "POST /clone": clone.clone,
    "POST /template": template.template,
    "POST /monitor": monitor.monitor,
    "POST /vncproxy": console.vncproxy,
    "POST /termproxy": console.termproxy,
    "GET /vncwebsocket": console.vncwebsocket,
    "GET /agent": agent.index,
    "POST /agent": agent.legacy,
    "POST /agent/exec": agent.execute,
    "GET /agent/exec-status": agent.exec_status,
    "GET /agent/file-read": agent.file_read,
    "POST /agent/file-write": agent.file_write,
    "POST /agent/set-user-password": agent.set_user_password,
    **{f"GET /agent/{name}": handler for name, handler in agent.PLAIN.items() if name.startswith(_READ)},
    **{f"POST /agent/{name}": handler for name, handler in agent.PLAIN.items() if not name.startswith(_READ)},
}
"""Below the path of a virtual machine."""

LXC: dict[str, Handler] = {
    "GET /status": index.listing,
    "GET /status/current": lxc.current,
    "POST /status/start": lxc.start,
    "POST /status/stop": lxc.stop,
    "POST /status/shutdown": lxc.shutdown,
    "GET /interfaces": lxc.interfaces,
}
"""Below the path of a container."""


def _at_guest(base: str, lines: Mapping[str, Handler]) -> dict[str, Handler]:
    return {key.rstrip("/"): handler for key, handler in _on(base, lines).items()}


GUEST_ROUTES: dict[str, Handler] = {
    "GET /nodes/{node}/qemu": guests.list_qemu,
    "POST /nodes/{node}/qemu": restore.create_vm,
    "DELETE /nodes/{node}/qemu/{vmid}": destroy.destroy,
    "GET /nodes/{node}/lxc": guests.list_lxc,
    "POST /nodes/{node}/lxc": lxc.create,
    "DELETE /nodes/{node}/lxc/{vmid}": destroy.destroy,
    **_at_guest(_QEMU, BOTH | QEMU),
    **_at_guest(_LXC, BOTH | LXC),
}
"""Route → handler, for all of them."""
