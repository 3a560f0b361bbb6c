"""The list of what a run takes for itself: written before each step that could leave something behind.

One JSON object a line in ``claims.jsonl`` of the run folder, shared by the run's processes. A claim stands until a
``released`` line follows it, so what a killed process left is found by whoever reads the file next.
"""

from __future__ import annotations

import fcntl
import json
import os
import socket
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from backup_standard.drill.lines import append_line
from backup_standard.errors import Refused

FILENAME = "claims.jsonl"


@dataclass(frozen=True)
class Owner:
    """The process that holds a claim: machine, process id, and when it started (the kernel's clock ticks)."""

    host: str
    pid: int
    started: int

    @classmethod
    def this_process(cls) -> Owner:
        """The running process."""
        return cls(socket.gethostname(), os.getpid(), _started(os.getpid()) or 0)

    def alive(self) -> bool | None:
        """Whether it still runs; None when it is on another machine."""
        if self.host != socket.gethostname():
            return None
        return _started(self.pid) == self.started


@dataclass(frozen=True)
class Claim:
    """A temporary VMID taken by a run, with the tasks started for it so far.

    ``at`` is epoch seconds (our clock), ``kind`` what is restored there: "qemu" or "lxc"; ``kept``: left standing for a
    person to look at. ``volids``: the volumes that the copy was seen to have; ``protects``: the archive that is, or
    may be, protected for it.
    """

    run: str
    vmid: int
    source: int
    node: str
    at: float
    owner: Owner
    upids: tuple[str, ...] = ()
    folder: Path = Path()
    kind: str = "qemu"
    kept: bool = False
    volids: tuple[str, ...] = ()
    protects: str = ""

    def __str__(self) -> str:
        return f"VMID {self.vmid} on {self.node} (copy of guest {self.source}, run {self.run})"


class Claims:
    """The claims of one run folder; safe for several processes."""

    def __init__(self, folder: Path, run: str) -> None:
        self.path, self.run = folder / FILENAME, run

    def claim(self, vmid: int, *, source: int, node: str, kind: str = "qemu") -> Claim:
        """Take a VMID. Refused when a claim on it already stands in this or a neighbouring run folder."""
        with self._locked():
            standing = next((other for other in self.neighbours() if other.vmid == vmid), None)
            if standing:
                raise Refused(
                    f"temporary VMID {vmid} is claimed by run {standing.run} and was not released",
                    where=str(standing.folder / FILENAME),
                    next_step="backup-standard reap --inventory FILE --dry-run shows what that run left behind",
                )
            claim = Claim(self.run, vmid, source, node, time.time(), Owner.this_process(), (), self.path.parent, kind)
            owner = claim.owner
            self._append(
                event="claim", vmid=vmid, source=source, node=node, kind=kind, at=claim.at,
                host=owner.host, pid=owner.pid, process_started=owner.started,
            )  # fmt: skip
            return claim

    def add_task(self, vmid: int, upid: str) -> None:
        """Note a task started for a claimed VMID."""
        self._append(event="task", vmid=vmid, upid=upid)

    def add_volumes(self, vmid: int, volids: Iterable[str]) -> None:
        """Note the volumes of a copy: once it is gone, nothing else names them."""
        self._append(event="volumes", vmid=vmid, volids=list(volids))

    def protect(self, vmid: int, volid: str) -> None:
        """Note that an archive is about to be protected for a claimed VMID's drill."""
        self._append(event="protect", vmid=vmid, volid=volid)

    def unprotect(self, vmid: int) -> None:
        """Note that nothing of that protection is left."""
        self._append(event="protect", vmid=vmid, volid="")

    def keep(self, vmid: int) -> None:
        """Note that a copy is left standing on purpose: only a person's word removes it."""
        self._append(event="kept", vmid=vmid)

    def release(self, vmid: int) -> None:
        """Give a VMID back: everything of it was verified gone."""
        self._append(event="released", vmid=vmid)

    def standing(self) -> tuple[Claim, ...]:
        """The claims of this run that were not released."""
        return tuple(read_standing(self.path))

    def neighbours(self) -> tuple[Claim, ...]:
        """Standing claims of this run folder and of those beside it."""
        return standing_under(self.path.parent.parent)

    def _append(self, **line: Any) -> None:
        append_line(self.path, {"run": self.run, **line})

    @contextmanager
    def _locked(self) -> Iterator[None]:
        folder = self.path.parent.parent
        folder.mkdir(parents=True, exist_ok=True)
        with (folder / ".claims.lock").open("a") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield


def standing_under(folder: Path) -> tuple[Claim, ...]:
    """Every standing claim in the run folders directly under ``folder``, oldest first."""
    found = [claim for path in sorted(folder.glob(f"*/{FILENAME}")) for claim in read_standing(path)]
    return tuple(sorted(found, key=lambda claim: claim.at))


def read_standing(path: Path) -> list[Claim]:
    """The claims of one file that were not released. A line cut short by a crash is passed over: its step never ran."""
    if not path.exists():
        return []
    claims: dict[int, Claim] = {}
    for line in path.read_text(encoding="utf-8").splitlines():
        try:
            entry = json.loads(line)
        except json.JSONDecodeError:
            continue
        _apply(claims, entry, path.parent)
    return list(claims.values())


def _apply(claims: dict[int, Claim], entry: dict[str, Any], folder: Path) -> None:
    vmid = int(entry["vmid"])
    if entry["event"] == "claim":
        owner = Owner(entry["host"], entry["pid"], entry["process_started"])
        where = (entry["source"], entry["node"], entry["at"], owner, (), folder, entry.get("kind", "qemu"))
        claims[vmid] = Claim(entry["run"], vmid, *where)
    elif entry["event"] == "released":
        claims.pop(vmid, None)
    elif entry["event"] in _CHANGES and vmid in claims:
        claims[vmid] = _CHANGES[entry["event"]](claims[vmid], entry)


_CHANGES: dict[str, Callable[[Claim, dict[str, Any]], Claim]] = {
    "task": lambda claim, entry: replace(claim, upids=(*claim.upids, entry["upid"])),
    "kept": lambda claim, _entry: replace(claim, kept=True),
    "volumes": lambda claim, entry: replace(claim, volids=tuple(entry["volids"])),
    "protect": lambda claim, entry: replace(claim, protects=entry["volid"]),
}
"""What each line after the claim itself adds to it."""


def _started(pid: int) -> int | None:
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(encoding="ascii", errors="replace")
    except OSError:
        return None
    fields = stat.rpartition(")")[2].split()
    return None if fields[0] == "Z" else int(fields[19])
