"""The storage "prunelab": a folder of invented archive names for dry runs of retention."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.contract.recordings import read

if TYPE_CHECKING:
    from tests.contract.replay import Replay

FOLDER = "/srv/prunelab/dump"
TAKEN = ("vzdump-qemu-301-2026_11_01-02_00_00.vma.zst",)


def archives(replay: Replay) -> None:
    """Lay the files whose names the recorded listing shows."""
    node = replay.hypervisor.node
    listed = next(record for record in read("9.2", "10-prune") if record.name == "content of prunelab")
    for item in listed.data:
        path = f"{FOLDER}/{item['volid'].rpartition('/')[2]}"
        node.write(path, b"x" * item["size"], item["ctime"])
        node.files.entry(path).ctime = item["ctime"]
        if item.get("protected"):
            node.write(f"{path}.protected", b"")
        if "notes" in item:
            node.write(f"{path}.notes", item["notes"].encode())
