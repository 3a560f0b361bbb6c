"""What the tasks of a temporary VMID tell of its volumes: made, removed, or left behind by a destroy that ends with OK.

A destroy takes the guest's configuration away even where a disk of it could not be removed: that is one line of its log
(upstream: PVE/QemuServer.pm destroy_vm), and afterwards nothing names the disk any more.
"""

from __future__ import annotations

import re
import time
from collections.abc import Iterable, Mapping
from typing import Any

from backup_standard.drill.claims import Claim
from backup_standard.drill.guard import task_type
from backup_standard.drill.ports import Reader, Writer

CLOCK_SLACK = 5.0
"""Seconds by which our clock and the node's may drift apart between a claim and the clean-up."""
DESTROYS = frozenset({"qmdestroy", "vzdestroy"})

_KEPT = re.compile(r"Could not remove disk '(?P<volid>[^']+)'")
_MADE = re.compile(r"new volume ID is '(?P<volid>[^']+)'")
_UNDONE = re.compile(r"temporary volume '(?P<volid>[^']+)' successfully removed")
_GONE = re.compile(r"(?:successfully removed|[Rr]emoved volume)")


def since(api: Reader, claim: Claim) -> list[Mapping[str, Any]]:
    """The tasks of a claim's VMID since it was claimed, by the node's own clock, whoever started them."""
    ahead = float(api.get(f"/nodes/{claim.node}/time")["time"]) - time.time()
    begin = int(claim.at + ahead - CLOCK_SLACK)
    found: list[Mapping[str, Any]] = api.get(
        f"/nodes/{claim.node}/tasks", source="all", vmid=claim.vmid, since=begin, limit=_ALL
    )
    return found


_ALL = 500
"""Tasks that are asked for; a drill starts about five for its VMID."""


def destroys(tasks: Iterable[Mapping[str, Any]]) -> list[str]:
    """The destroys among tasks that came to their end, by UPID."""
    ended = [task for task in tasks if str(task.get("status", "")).startswith(("OK", "WARNINGS"))]
    return [str(task["upid"]) for task in ended if task_type(str(task["upid"])) in DESTROYS]


def kept_by(log: Iterable[str], vmid: int) -> dict[str, str]:
    """The volumes that a destroy could not remove, each with the line that says so.

    Where only a tool's message is left (a disk that no configuration named), the volume's own name stands for it. A
    disk that was removed later on after all is not among them.
    """
    name = re.compile(rf"(?:vm|base|basevol|subvol)-{vmid}-[A-Za-z0-9_.-]*[A-Za-z0-9]")
    kept: dict[str, str] = {}
    for line in log:
        match = _KEPT.search(line)
        if match:
            kept[match["volid"]] = line.strip()
            continue
        for mentioned in name.findall(line):
            if _GONE.search(line):
                kept = {volid: text for volid, text in kept.items() if not is_named(volid, mentioned)}
            elif not any(is_named(volid, mentioned) for volid in kept):
                kept[mentioned] = line.strip()
    return kept


def is_named(volid: str, name: str) -> bool:
    """Whether a log means this volume: by its id, or by its own name, with the format of a file behind it or not."""
    if ":" in name:
        return volid == name
    own = re.split(r"[:/]", volid)[-1]
    return own == name or own.partition(".")[0] == name.partition(".")[0]


def made_by(log: Iterable[str]) -> set[str]:
    """The volumes that a restore made and has not removed again itself."""
    made: set[str] = set()
    for line in log:
        if match := _MADE.search(line):
            made.add(match["volid"])
        elif match := _UNDONE.search(line):
            made.discard(match["volid"])
    return made


def of_restores(api: Writer, claim: Claim) -> set[str]:
    """The volumes that a claim's restores made, by their logs."""
    return {volid for upid in claim.upids if task_type(upid) == "qmrestore" for volid in made_by(api.log(upid))}
