"""What belongs to a drill, told by its name: reserved VMIDs, tag, notes, and what it makes on the node."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from backup_standard.inventory.schema import Inventory

TAG = "backup-standard-drill"
"""Every temporary guest carries this tag from its first moment."""

GATEWAY_SIDE = "eth0"
"""Name of the gateway's network card inside its namespace."""

_RUN = re.compile(r"^drill-run: (\S+)$", re.MULTILINE)
_PORT = re.compile(r"(?:tap|fwpr|fwln|fwbr|veth|dg)(\d+)(?:[ip]\d+)?")


@dataclass(frozen=True)
class Reserved:
    """The VMIDs that drills may use: the explicit map (100 → 101) and the range; never a guest of the inventory."""

    by_guest: Mapping[int, int] = field(default_factory=dict)
    low: int = 0
    high: int = -1
    production: frozenset[int] = frozenset()

    @classmethod
    def of(cls, inventory: Inventory) -> Reserved:
        """Read the reserved set from an inventory (empty when it has no ``drill`` section)."""
        explicit = {vmid: guest.drill.vmid for vmid, guest in inventory.guests.items() if guest.drill}
        low, high = (int(part) for part in inventory.drill.vmids.split("-")) if inventory.drill else (0, -1)
        by_guest = {vmid: temporary for vmid, temporary in explicit.items() if temporary is not None}
        return cls(by_guest, low, high, frozenset(inventory.guests))

    def __contains__(self, vmid: object) -> bool:
        if not isinstance(vmid, int) or vmid in self.production:
            return False
        return vmid in self.by_guest.values() or self.low <= vmid <= self.high

    def from_range(self) -> Iterator[int]:
        """The VMIDs of the range that no guest has to itself, lowest first."""
        taken = self.production | set(self.by_guest.values())
        return (vmid for vmid in range(self.low, self.high + 1) if vmid not in taken)

    def __str__(self) -> str:
        explicit = ", ".join(f"{guest}→{temporary}" for guest, temporary in sorted(self.by_guest.items()))
        return "; ".join(
            part for part in (explicit, f"{self.low}-{self.high}" if self.high >= self.low else "") if part
        )


def namespace(vmid: int) -> str:
    """The network namespace of a temporary guest's gateway."""
    return f"drill{vmid}"


def gateway_port(vmid: int) -> str:
    """The gateway's card on the node's side."""
    return f"dg{vmid}"


def drill_bridge(vmid: int) -> str:
    """The bridge that joins one temporary guest and its gateway, and nothing else."""
    return f"db{vmid}"


def guest_path(kind: str, node: str, vmid: int) -> str:
    """The API path of a guest of kind "qemu" or "lxc"."""
    return f"/nodes/{node}/{kind}/{vmid}"


def guest_port(vmid: int, index: int, kind: str = "qemu") -> str:
    """The port of a guest's network card on the node (upstream: tap<vmid>i<n>, veth<vmid>i<n> of a container)."""
    return f"{'veth' if kind == 'lxc' else 'tap'}{vmid}i{index}"


def vmid_of_port(port: str) -> int | None:
    """The VMID that a port on a bridge belongs to, by its name; None for any other port."""
    match = _PORT.fullmatch(port)
    return int(match[1]) if match else None


def guest_name(source: int, name: str) -> str:
    """The temporary guest's name: a DNS label that says whose copy it is."""
    safe = re.sub(r"[^a-z0-9-]+", "-", name.lower()).strip("-")
    return f"drill-{source}-{safe}"[:63].rstrip("-")


def description(run: str, source: int, volid: str) -> str:
    """The temporary guest's notes: which run made it, from what; read back by :func:`run_of`."""
    return (
        f"Temporary copy of guest {source}, restored by a drill; it is deleted when the drill ends.\n"
        f"drill-run: {run}\ndrill-archive: {volid}"
    )


def run_of(notes: str) -> str | None:
    """The run that made a temporary guest, from its notes."""
    match = _RUN.search(notes)
    return match[1] if match else None


def is_tagged(config: Mapping[str, object]) -> bool:
    """Whether a guest's configuration carries the drill tag."""
    return TAG in re.split(r"[;, ]+", str(config.get("tags", "")))
