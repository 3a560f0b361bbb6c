"""Routes of the node's network: what its configuration says, told by the kernel (upstream: PVE/API2/Network.pm)."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from lab.pve.call import Call, param_error
from lab.pve.nodes import run
from lab.pve.site import Site

VIRTUAL = ("tap", "veth", "fwpr", "fwln", "fwbr", "dg", "lo")
"""Devices that are made at run time and stand in no configuration."""
BRIDGES = {"bridge", "any_bridge", "any_local_bridge"}
Link = Mapping[str, Any]


def _kind(link: Link) -> str:
    return str(link.get("linkinfo", {}).get("info_kind", ""))


def interfaces(site: Site) -> list[dict[str, Any]]:
    """The node's own interfaces: bridges, and cards that the kernel knows; not what guests brought."""
    links: Sequence[Link] = json.loads(run(site, "ip", "-j", "-d", "addr", "show"))
    own = [link for link in links if not str(link["ifname"]).startswith(VIRTUAL) and _kind(link) in {"", "bridge"}]
    return [_interface(link, own, priority) for priority, link in enumerate(own, 3)]


def _interface(link: Link, own: Sequence[Link], priority: int) -> dict[str, Any]:
    name = str(link["ifname"])
    bridge = _kind(link) == "bridge"
    shown: dict[str, Any] = {
        "iface": name,
        "type": "bridge" if bridge else "eth",
        "priority": priority,
        "method": "manual",
        "method6": "manual",
        "families": ["inet"],
    }
    if "UP" in link.get("flags", []):
        shown |= {"active": 1, "autostart": 1}
    if bridge:
        ports = sorted(str(other["ifname"]) for other in own if other.get("master") == name)
        shown |= {"bridge_ports": " ".join(ports), "bridge_stp": "off", "bridge_fd": "0"}
    else:
        shown["exists"] = 1
    for address in link.get("addr_info", []):
        if address.get("family") == "inet":
            shown |= {
                "method": "static",
                "address": address["local"],
                "netmask": str(address["prefixlen"]),
                "cidr": f"{address['local']}/{address['prefixlen']}",
            }
        elif address.get("family") == "inet6" and address.get("scope") == "global":
            shown |= {
                "method6": "static",
                "address6": address["local"],
                "netmask6": address["prefixlen"],
                "cidr6": f"{address['local']}/{address['prefixlen']}",
            }
    return shown


def _visible(call: Call, interface: Mapping[str, Any]) -> bool:
    if interface["type"] != "bridge" or call.site.major < 8:
        return True
    path = f"/sdn/zones/localnetwork/{interface['iface']}"
    return call.check(path, "SDN.Audit", "SDN.Use", any=True, noerr=True)


def list_interfaces(call: Call) -> object:
    """GET /nodes/{node}/network: since 8 bridges only for those with SDN.Audit or SDN.Use on them."""
    wanted = call.params.get("type")
    found = interfaces(call.site)
    if wanted is not None and wanted != "include_sdn":
        kinds = {"bridge"} if wanted in BRIDGES else {wanted}
        found = [interface for interface in found if interface["type"] in kinds]
    return [interface for interface in found if _visible(call, interface)]


def get_interface(call: Call) -> object:
    """GET /nodes/{node}/network/{iface}."""
    name = call.params["iface"]
    found = next((interface for interface in interfaces(call.site) if interface["iface"] == name), None)
    if found is None:
        param_error("iface", "interface does not exist")
    return {key: value for key, value in found.items() if key != "iface"}
