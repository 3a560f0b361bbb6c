"""Answers of lsblk, LVM, zpool, btrfs and losetup as values of the model: pure, one function a command."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from typing import Any

from backup_standard.model.devices import Block, LogicalVolume, ZfsPool

Json = Mapping[str, Any]
_STATE = re.compile(r"^\s*state:\s*(\S+)", re.MULTILINE)
_MEMBER = re.compile(r"\bpath (\S+)\s*$", re.MULTILINE)


def blocks(text: str) -> tuple[Block, ...]:
    """``lsblk -J -p``: each device once, with everything that it stands on (lsblk repeats it below each)."""
    found: dict[str, Block] = {}
    for raw, parent in _tree(json.loads(text)["blockdevices"], ""):
        block = _block(raw)
        known = found.get(block.path)
        parents = dict.fromkeys((*(known.parents if known else ()), *((parent,) if parent else ())))
        found[block.path] = replace(block, parents=tuple(parents))
    return tuple(found.values())


def _tree(entries: Iterable[Json], parent: str) -> Iterator[tuple[Json, str]]:
    for raw in entries:
        yield raw, parent
        yield from _tree(raw.get("children") or (), str(raw["name"]))


def _block(raw: Json) -> Block:
    def word(key: str) -> str:
        return str(raw.get(key) or "").strip()

    return Block(
        path=word("name"), kernel=word("kname").rsplit("/", 1)[-1], kind=word("type"), size=int(raw.get("size") or 0),
        fstype=word("fstype"), uuid=word("uuid"), serial=word("serial"), wwn=word("wwn"), model=word("model"),
        vendor=word("vendor"), transport=word("tran"),
    )  # fmt: skip


def physical_volumes(text: str) -> dict[str, str]:
    """``pvs --reportformat json``: the group of each physical volume."""
    return {str(raw["pv_name"]): str(raw["vg_name"]) for raw in _report(text, "pv")}


def logical_volumes(text: str) -> tuple[LogicalVolume, ...]:
    """``lvs -a --reportformat json``: hidden volumes are shown in brackets, a volume of several segments repeatedly."""
    return tuple(
        LogicalVolume(
            str(raw["vg_name"]),
            _unbracketed(str(raw["lv_name"])),
            _unbracketed(str(raw.get("pool_lv") or "")),
            tuple(_unbracketed(part.partition("(")[0]) for part in str(raw.get("devices") or "").split(",") if part),
        )
        for raw in _report(text, "lv")
    )


def _report(text: str, kind: str) -> list[Json]:
    return [row for report in json.loads(text)["report"] for row in report.get(kind) or ()]


def _unbracketed(name: str) -> str:
    return name.strip().strip("[]")


def zfs_pools(text: str) -> tuple[ZfsPool, ...]:
    """``zpool status -P -L``: members by their paths; a missing one by number, with its old path."""
    parts = re.split(r"^\s*pool:\s*(\S+)\s*$", text, flags=re.MULTILINE)
    found = []
    for name, told in zip(parts[1::2], parts[2::2], strict=True):
        state = _STATE.search(told)
        members = [word for line in told.splitlines() for word in line.split()[:1] if word.startswith("/")]
        found.append(ZfsPool(name, state[1] if state else "UNKNOWN", tuple(dict.fromkeys(members))))
    return tuple(found)


def btrfs_members(text: str) -> tuple[tuple[str, ...], ...]:
    """``btrfs filesystem show``: the members of each file system."""
    parts = re.split(r"^(?=Label:)", text, flags=re.MULTILINE)
    return tuple(members for members in (tuple(_MEMBER.findall(part)) for part in parts) if members)


def loop_files(text: str) -> dict[str, str]:
    """``losetup -J``: the file behind each loop device."""
    listed = json.loads(text).get("loopdevices", []) if text.strip() else []
    return {str(raw["name"]): str(raw["back-file"]) for raw in listed if raw.get("back-file")}
