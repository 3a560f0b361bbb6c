"""The restored guest's network: its addresses are up, its gateway answers, production does not."""

from __future__ import annotations

import ipaddress
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from backup_standard import waiting
from backup_standard.drill.dialect import NOT_FOUND, Dialect, Run
from backup_standard.drill.posix import POSIX

NODE_PORTS = (8006, 22)
"""What a Proxmox node answers on: API and SSH."""
NO_PING = "not shown: the guest has no ping"
BY_NODE = "tried by its node, in the guest's network"
_MOST_NEIGHBOURS = 3


class NetworkFailed(Exception):
    """Something about the guest's network is not as at home; the text lists it."""


@dataclass(frozen=True)
class Expected:
    """What the guest's network should look like. ``address`` with prefix; MACs in lower case, as in the archive."""

    address: str
    gateway: str
    macs: tuple[str, ...]
    interface: str | None = None


@dataclass(frozen=True)
class Production:
    """What must not answer: the node's own addresses, and addresses of other guests."""

    node: tuple[str, ...]
    guests: tuple[str, ...] = ()

    @classmethod
    def around(cls, node_network: Iterable[Mapping[str, Any]], guests: Mapping[int, str], own: str) -> Production:
        """From the node's network (API) and the addresses the inventory gives; ``own`` is the drilled guest's."""
        node = {str(item[key]).split("/")[0] for item in node_network for key in ("cidr", "cidr6") if item.get(key)}
        plain = {str(ipaddress.ip_interface(address).ip) for address in guests.values()}
        others = sorted(plain - {str(ipaddress.ip_interface(own).ip)} - node)
        return cls(tuple(sorted(node)), tuple(others[:_MOST_NEIGHBOURS]))


def check_addresses(
    interfaces: Callable[[], Mapping[str, Mapping[str, Any]]], expected: Expected, *, timeout: float
) -> str:
    """Wait for the expected address on the expected card; returns "eth0 10.0.0.20/24", or NetworkFailed."""
    wanted = ipaddress.ip_interface(expected.address)

    def holder(found: Mapping[str, Mapping[str, Any]]) -> str:
        return next(
            (name for name, facts in found.items() if wanted in map(ipaddress.ip_interface, facts["addresses"])), ""
        )

    try:
        found = waiting.until(
            interfaces, ready=lambda seen: bool(holder(seen)), timeout=timeout, what=f"address {wanted} in the guest"
        )
    except waiting.NotReady as problem:
        raise NetworkFailed(str(problem)) from None
    name = holder(found)
    mac = str(found[name]["mac"])
    if expected.interface and name != expected.interface:
        raise NetworkFailed(f"{wanted} is on {name}, not on {expected.interface}")
    if mac not in expected.macs:
        raise NetworkFailed(f"{name} has MAC {mac}; the archive says {', '.join(expected.macs)}")
    return f"{name} {wanted}"


def parse_ip_addr(text: str) -> dict[str, dict[str, Any]]:
    """The interfaces of ``ip -j addr`` in the shape that the agent's are in."""
    return {
        str(link["ifname"]): {
            "mac": str(link.get("address", "")).lower(),
            "addresses": [f"{ip['local']}/{ip['prefixlen']}" for ip in link.get("addr_info", [])],
        }
        for link in json.loads(text or "[]")
        if link.get("ifname") != "lo"
    }


def check_gateway(
    ping_guest: Callable[[], bool], run: Run, expected: Expected, *, timeout: float, dialect: Dialect = POSIX
) -> dict[str, Any]:
    """Pings both ways between guest and gateway. Returns what was shown; NetworkFailed when one is unanswered."""
    try:
        waiting.until(ping_guest, timeout=timeout, what=f"guest {expected.address} answers a ping of its gateway")
    except waiting.NotReady as problem:
        raise NetworkFailed(str(problem)) from None
    back = run(dialect.ping(expected.gateway, patience=2))
    if back.rc in NOT_FOUND:
        return {"gateway_to_guest": "ping answered", "guest_to_gateway": NO_PING}
    if back.rc != 0:
        raise NetworkFailed(f"the guest gets no answer from its gateway {expected.gateway}")
    return {"gateway_to_guest": "ping answered", "guest_to_gateway": "ping answered"}


class Unreached(NamedTuple):
    """Addresses of production: those that did not answer the guest, and those it has no program to try."""

    tried: list[str]
    untried: list[str]


Connects = Callable[[str, int], bool]
"""Whether a TCP connection to an address and port is accepted in the guest's network."""


def check_unreachable(
    run: Run, production: Production, dialect: Dialect = POSIX, *, by_node: Connects | None = None
) -> Unreached:
    """Try production from inside the guest; NetworkFailed names what answered.

    ``by_node``: a way to try ports in the guest's network that needs no program of the guest, where there is one.
    """
    tried, answered, unable = [], [], []
    for what, argv, target in _attempts(production, dialect):
        rc = run(argv).rc
        if rc in NOT_FOUND and by_node and target:
            rc, what = int(not by_node(*target)), f"{what} ({BY_NODE})"  # noqa: PLW2901 - it says how it was tried
        if rc == 0:
            answered.append(what)
        elif rc in NOT_FOUND:
            unable.append(what)
        else:
            tried.append(what)
    if answered:
        raise NetworkFailed(f"production answers the restored guest: {', '.join(answered)}")
    if not tried and not unable:
        raise NetworkFailed(
            "no address of production is known (SDN.Audit on the node's bridges?), so nothing was tried"
        )
    if unable and not tried:
        raise NetworkFailed(f"the guest has no means to try {', '.join(unable)}, so nothing shows that it cannot")
    return Unreached(tried, unable)


def not_proven(seen: Mapping[str, Any], unreached: Unreached) -> list[str]:
    """What the report must not claim of the network, because the guest lacks the programs to show it."""
    gaps = ["that the guest reaches its gateway: it has no ping"] if seen.get("guest_to_gateway") == NO_PING else []
    if "not_proven" in seen:
        gaps.append(str(seen["not_proven"]))
    if unreached.untried:
        gaps.append(f"that the guest cannot reach {', '.join(unreached.untried)}: it has no program to try with")
    return gaps


def _attempts(production: Production, dialect: Dialect) -> Iterable[tuple[str, Sequence[str], tuple[str, int] | None]]:
    for address in production.node:
        for port in NODE_PORTS:
            yield f"node {address} port {port}", dialect.connect(address, port), (address, port)
    for address in production.guests:
        yield f"guest {address}", dialect.ping(address, patience=1), None
