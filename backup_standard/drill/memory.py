"""The memory that a node has left for copies of guests."""

from __future__ import annotations

from backup_standard.drill.ports import Reader


def available(api: Reader, node: str) -> int:
    """Bytes that a node can give to guests without taking them from others (upstream: PVE/API2/Nodes.pm status).

    Releases before 9 do not say "available"; there it is what is not used, caches apart.
    """
    memory = api.get(f"/nodes/{node}/status")["memory"]
    if "available" in memory:
        return int(memory["available"])
    return int(memory["total"]) - int(memory["used"])
