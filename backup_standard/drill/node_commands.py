"""Every command that a drill runs as root on a node, in one table.

They make a guest's gateway, lead into a container, release the lock that a vanished restore left, and free a disk that
a destroy left behind. Nothing else may be run through the guard; what only looks (``ip -j …``, ``pvesm list …``) goes
over the node's Host directly.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Sequence

from backup_standard.drill import names

Argv = tuple[str, ...]


def make_bridge(vmid: int) -> tuple[Argv, ...]:
    """A bridge for one guest and its gateway, without any address, link-local ones included."""
    bridge = names.drill_bridge(vmid)
    return (
        ("ip", "link", "add", "name", bridge, "type", "bridge"),
        ("ip", "link", "set", "dev", bridge, "addrgenmode", "none"),
        ("ip", "link", "set", "dev", bridge, "up"),
    )


def make_gateway(vmid: int, address: str) -> tuple[Argv, ...]:
    """A namespace with one card on that bridge, which owns ``address`` (with prefix)."""
    space, port, card = names.namespace(vmid), names.gateway_port(vmid), names.GATEWAY_SIDE
    return (
        ("ip", "netns", "add", space),
        ("ip", "link", "add", port, "type", "veth", "peer", "name", card, "netns", space),
        ("ip", "link", "set", "dev", port, "master", names.drill_bridge(vmid)),
        ("ip", "link", "set", "dev", port, "up"),
        ("ip", "-n", space, "addr", "add", address, "dev", card),
        ("ip", "-n", space, "link", "set", "dev", card, "up"),
        ("ip", "-n", space, "link", "set", "dev", "lo", "up"),
    )


def move_port(vmid: int, index: int, kind: str = "qemu", *, onto: int | None = None) -> Argv:
    """Move a guest's port from the isolated bridge to the drill's own, or to that of its group's first guest."""
    bridge = names.drill_bridge(vmid if onto is None else onto)
    return ("ip", "link", "set", "dev", names.guest_port(vmid, index, kind), "master", bridge)


def enter(vmid: int, argv: Sequence[str]) -> Argv:
    """Run a command inside a temporary container, as its root."""
    return ("pct", "exec", str(vmid), "--", *argv)


def cards(vmid: int) -> Argv:
    """List a temporary container's cards: the node's own ``ip`` in the container's network, and nowhere else in it."""
    return ("lxc-attach", "-n", str(vmid), "-s", "NETWORK", "--", "ip", "-j", "addr")


def connect(vmid: int, address: str, port: int) -> Argv:
    """Open a TCP connection in a temporary container's network, and end it: by the node's own program, as above."""
    plain = ipaddress.ip_address(address)
    target = f"[{plain}]" if plain.version == 6 else str(plain)  # noqa: PLR2004 - the version's number
    ends = ("OPEN:/dev/null", f"TCP:{target}:{int(port)},connect-timeout=3")
    return ("lxc-attach", "-n", str(vmid), "-s", "NETWORK", "--", "socat", "-u", *ends)


def unlock(vmid: int, kind: str = "qemu") -> Argv:
    """Take the lock out of a temporary guest's configuration, which no token may (upstream: PVE/CLI/qm.pm unlock)."""
    return ("pct" if kind == "lxc" else "qm", "unlock", str(vmid))


def free(volid: str) -> Argv:
    """Remove a volume of a temporary VMID that outlived its guest, which no token may (upstream: PVE/CLI/pvesm.pm)."""
    return ("pvesm", "free", volid)


def freed(argv: Sequence[str]) -> str:
    """The volume that a command removes; "" for any other command."""
    return argv[2] if tuple(argv[:2]) == ("pvesm", "free") else ""


def remove_gateway(vmid: int) -> tuple[Argv, ...]:
    """Remove namespace (its card goes with it) and bridge."""
    return (("ip", "netns", "del", names.namespace(vmid)), ("ip", "link", "del", "dev", names.drill_bridge(vmid)))


def remove_port(vmid: int) -> Argv:
    """Remove the node's side of the gateway's card, where it outlived its namespace."""
    return ("ip", "link", "del", "dev", names.gateway_port(vmid))


def ping(vmid: int, address: str) -> Argv:
    """One echo request from the gateway to the guest."""
    return ("ip", "netns", "exec", names.namespace(vmid), "ping", "-c", "1", "-W", "2", "-n", address)


_ENTERING = 4
"""Words before the command that is run inside a container."""
_CARD = re.escape(names.GATEWAY_SIDE)
_IN_NETWORK = r"lxc-attach -n (?P<v>\d+) -s NETWORK --"
_SHAPES = tuple(
    re.compile(shape)
    for shape in (
        r"ip link add name db(?P<v>\d+) type bridge",
        r"ip link set dev db(?P<v>\d+) (?:addrgenmode none|up)",
        r"ip netns (?:add|del) drill(?P<v>\d+)",
        rf"ip link add dg(?P<v>\d+) type veth peer name {_CARD} netns drill(?P=v)",
        r"ip link set dev dg(?P<v>\d+) master db(?P=v)",
        r"ip link set dev dg(?P<v>\d+) up",
        rf"ip -n drill(?P<v>\d+) addr add (?P<prefixed>\S+) dev {_CARD}",
        rf"ip -n drill(?P<v>\d+) link set dev (?:{_CARD}|lo) up",
        r"ip link set dev (?:tap|veth)(?P<v>\d+)i\d+ master db(?P<onto>\d+)",
        r"ip link del dev (?:db|dg)(?P<v>\d+)",
        r"(?:qm|pct) unlock (?P<v>\d+)",
        r"pvesm free [A-Za-z][\w.-]*:(?:(?P<v>\d+)/)?(?:vm|base|basevol|subvol)-(?P<w>\d+)-[A-Za-z0-9][\w.-]*",
        rf"{_IN_NETWORK} ip -j addr",
        rf"{_IN_NETWORK} socat -u OPEN:/dev/null TCP:\[?(?P<address>[0-9a-f.:]+?)\]?:\d{{1,5}},connect-timeout=3",
        r"ip netns exec drill(?P<v>\d+) ping -c 1 -W 2 -n (?P<address>\S+)",
    )
)


def vmids_of(argv: Sequence[str]) -> frozenset[int]:
    """The temporary VMIDs that an allowed command acts for; none when the table does not have the command."""
    if tuple(argv[:2]) == ("pct", "exec"):
        whole = len(argv) > _ENTERING and argv[2].isdecimal() and argv[3] == "--"
        return frozenset({int(argv[2])}) if whole else frozenset()
    if any(re.search(r"\s", part) for part in argv):
        return frozenset()
    for shape in _SHAPES:
        match = shape.fullmatch(" ".join(argv))
        if match and _addresses_are_addresses(match):
            named = match.groupdict()
            return frozenset(int(named[group]) for group in ("v", "w", "onto") if named.get(group))
    return frozenset()


def _addresses_are_addresses(match: re.Match[str]) -> bool:
    groups = match.groupdict()
    try:
        ipaddress.ip_interface(groups.get("prefixed") or "127.0.0.1/8")
        ipaddress.ip_address(groups.get("address") or "127.0.0.1")
    except ValueError:
        return False
    return True
