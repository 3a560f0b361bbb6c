"""The memory that a node has left for copies of guests, now."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from backup_standard.drill import names
from backup_standard.drill.ports import Reader


@dataclass(frozen=True)
class Memory:
    """A node's memory at one moment, in bytes.

    ``growth``: for each copy of any drill that runs there, by VMID, what it was given and does not use yet. Copies of
    other runs are among them as far as the token may see them.
    """

    available: int
    growth: Mapping[int, int]

    def room(self, held: Mapping[int, int]) -> int:
        """What is left when every copy takes all that it was given; ``held``: copies about to run, with their size."""
        return self.available - sum({**held, **self.growth}.values())


def available(api: Reader, node: str) -> int:
    """Bytes that a node can give to guests without taking them from others (upstream: PVE/API2/Nodes.pm status).

    Releases before 9 do not say "available"; there it is what is not used, caches apart.
    """
    memory = api.get(f"/nodes/{node}/status")["memory"]
    if "available" in memory:
        return int(memory["available"])
    return int(memory["total"]) - int(memory["used"])


def look(api: Reader, node: str) -> Memory:
    """The node's memory as it is now, asked of the node itself: the cluster's own list may be seconds old."""
    growth = {vmid: given for kind in ("qemu", "lxc") for vmid, given in _growth(api.get(f"/nodes/{node}/{kind}"))}
    return Memory(available(api, node), growth)


def _growth(guests: list[Mapping[str, Any]]) -> Iterator[tuple[int, int]]:
    """Upstream: ``memhost``, since release 9, is what the node sees a guest use; ``mem`` may be what the guest says."""
    for guest in guests:
        if guest.get("status") == "running" and names.is_tagged(guest):
            used = int(guest.get("memhost") or guest.get("mem") or 0)
            yield int(guest["vmid"]), max(0, int(guest.get("maxmem") or 0) - used)
