"""Proof that a copy cannot meet production, taken from the API and from the node itself before power-on."""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Container, Iterator, Mapping
from typing import Any

from backup_standard.drill import guestconfig, names
from backup_standard.drill.ports import Reader, Shell
from backup_standard.errors import Refused


def prove(
    api: Reader, shell: Shell | None, *, node: str, bridge: str, vmid: int, reserved: Container[object],
    kind: str = "qemu",
) -> dict[str, Any]:  # fmt: skip
    """Prove the bridge isolated and every card of guest ``vmid`` on it; Refused lists what is not so.

    ``shell`` None means that nobody may look at the node: then the record says what only the API showed.
    """
    objections = list(_by_api(api, node, bridge))
    proven = [f"API: {bridge} has no ports and no address"]
    if shell is not None:
        objections += _by_node(shell, bridge, reserved)
        proven.append(f"node: {bridge} carries no address and only ports of temporary guests")
    config = api.get(f"{names.guest_path(kind, node, vmid)}/config")
    cards = guestconfig.cards(guestconfig.texts(config))
    objections += [
        f"net{number} of guest {vmid} is on {card.get('bridge', 'no bridge')}"
        for number, card in cards.items()
        if card.get("bridge") != bridge
    ]
    if kind == "lxc":
        objections += [f"{text} of guest {vmid} is not its own" for text in _shared(config, vmid)]
        proven.append("configuration: no folder, device, hook or raw setting of the node, no volume of another guest")
    proven.append(f"configuration: {len(cards)} network card(s) of guest {vmid}, all on {bridge}")
    if objections:
        raise Refused(
            f"the isolation of guest {vmid} is not proven, so it is not powered on: {'; '.join(objections)}",
            where=node,
            next_step=f"make {bridge} a bridge without ports and addresses, or name another under drill.bridge",
        )
    return {"bridge": bridge, "proven": proven, "checked_on_node": shell is not None}


def _shared(config: Mapping[str, Any], vmid: int) -> Iterator[str]:
    """The keys of a container that give it something of its node or of another guest (upstream: pct.conf(5))."""
    own = re.compile(rf"(?:volume=)?[\w.-]+:(?:{vmid}/)?(?:vm|subvol)-{vmid}-[^,]*(?:,.*)?")
    for key, value in config.items():
        foreign = guestconfig.is_mount(key) and not own.fullmatch(str(value))
        if foreign or key in {"lxc", "hookscript"} or key.startswith("lxc.") or re.fullmatch(r"dev\d+", key):
            yield f"{key}: {value}"


def prove_alone(
    shell: Shell, *, vmid: int, cards: Collection[int], kind: str = "qemu", bridge_of: int | None = None,
    others: Collection[str] = (),
) -> str:  # fmt: skip
    """Prove that a running guest shares its drill bridge with its gateway alone; Refused when not.

    In an application group the bridge is that of the group's first guest, and ``others`` are the ports of its guests.
    """
    owner = vmid if bridge_of is None else bridge_of
    bridge = names.drill_bridge(owner)
    allowed = {names.gateway_port(owner), *(names.guest_port(vmid, card, kind) for card in cards), *others}
    ports = {str(link["ifname"]) for link in _links(shell, bridge)}
    objections = [f"port {port} is on {bridge}" for port in sorted(ports - allowed)]
    objections += [f"port {port} is missing from {bridge}" for port in sorted(allowed - ports)]
    objections += [f"{bridge} has the address {address}" for address in _addresses(shell, bridge)]
    if objections:
        raise Refused(f"guest {vmid} is not alone with its gateway: {'; '.join(objections)}")
    return f"node: {bridge} joins {' and '.join(sorted(allowed))}, nothing else"


def _by_api(api: Reader, node: str, bridge: str) -> Iterator[str]:
    shown = {item["iface"]: item for item in api.get(f"/nodes/{node}/network")}
    if bridge not in shown:
        yield f"the API does not show {bridge}: no such bridge, or no SDN.Use on /sdn/zones/localnetwork/{bridge}"
        return
    yield from _api_objections(shown[bridge], bridge)


def _api_objections(item: Mapping[str, Any], bridge: str) -> Iterator[str]:
    if item.get("type") != "bridge":
        yield f"{bridge} is of type {item.get('type')}, not a Linux bridge"
    if not item.get("active"):
        yield f"{bridge} is not active"
    if str(item.get("bridge_ports") or "none") != "none":
        yield f"{bridge} has the port {item['bridge_ports']}"
    for key in ("cidr", "address", "cidr6", "address6", "gateway", "gateway6"):
        if item.get(key):
            yield f"{bridge} has {key} {item[key]}"


def _by_node(shell: Shell, bridge: str, reserved: Container[object]) -> Iterator[str]:
    for link in _links(shell, bridge):
        port = str(link["ifname"])
        if names.vmid_of_port(port) not in reserved:
            yield f"{port}, which is no temporary guest's, is a port of {bridge}"
    for address in _addresses(shell, bridge):
        yield f"{bridge} has the address {address} on the node"


def _links(shell: Shell, bridge: str) -> list[dict[str, Any]]:
    return _json(shell, ("ip", "-j", "link", "show", "master", bridge))


def _addresses(shell: Shell, bridge: str) -> list[str]:
    devices = _json(shell, ("ip", "-j", "addr", "show", "dev", bridge))
    return [
        f"{address['local']}/{address['prefixlen']}"
        for device in devices
        for address in device.get("addr_info", [])
        if address.get("scope") != "link"
    ]


def _json(shell: Shell, argv: tuple[str, ...]) -> list[dict[str, Any]]:
    ran = shell(argv)
    if ran.rc != 0:
        raise Refused(f"{' '.join(argv)} failed on the node: {ran.stderr.strip() or ran.rc}")
    return [entry for entry in json.loads(ran.stdout or "[]") if entry]
