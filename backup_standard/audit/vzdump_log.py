"""What became of each guest in one vzdump task, read from the task's log.

Upstream: PVE/VZDump.pm writes these lines. A task's exit status says nothing of single guests: ``job errors`` names
none, and ``OK`` can hide ``ERROR:`` lines (a failing file system freeze is one).
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import StrEnum
from functools import lru_cache

_COMMAND = re.compile(r"INFO: starting new backup job: vzdump (.*)")
_STARTING = re.compile(r"INFO: Starting Backup of VM (\d+) \((\w+)\)")
_FINISHED = re.compile(r"INFO: Finished Backup of VM (\d+) \((\d\d:\d\d:\d\d)\)")
_FAILED = re.compile(r"ERROR: Backup of VM (\d+) failed - (.*)")
_EXTERNAL = re.compile(r"INFO: skip external VMs: ([\d, ]+)")
_ARCHIVE = re.compile(r"INFO: creating (?:vzdump )?archive '([^']+)'")
_FALLBACK = re.compile(r"INFO: trying '(\w+)' mode instead")
_END = re.compile(r"TASK (OK|WARNINGS: \d+|ERROR: .*)")


class Outcome(StrEnum):
    """How a guest's backup ended."""

    FINISHED = "finished"
    FAILED = "failed"
    UNFINISHED = "unfinished"


@dataclass
class GuestRun:
    """One guest in one run; ``errors`` and ``warnings`` are the texts after ``ERROR:`` and ``WARN:``.

    ``fallback`` is the mode that Proxmox took instead of the one asked for.
    """

    vmid: int
    outcome: Outcome = Outcome.UNFINISHED
    reason: str = ""
    archive: str = ""
    duration: str = ""
    fallback: str = ""
    errors: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)


@dataclass
class RunLog:
    """A whole run: the command as logged, guests by VMID, errors outside any guest's part, and the last line's word."""

    command: tuple[str, ...] = ()
    guests: dict[int, GuestRun] = field(default_factory=dict)
    errors: list[str] = field(default_factory=list)
    external: tuple[int, ...] = ()
    status: str = ""

    @property
    def vmids(self) -> tuple[int, ...]:
        """The VMIDs the command names."""
        named: list[int] = []
        for word in self.command:
            if not word.isdigit():
                break
            named.append(int(word))
        return tuple(named)

    def option(self, name: str) -> str | None:
        """The value of ``--name`` in the command, or None."""
        flag = f"--{name}"
        return next((value for word, value in zip(self.command, self.command[1:], strict=False) if word == flag), None)

    @property
    def quiet(self) -> bool:
        """Whether it ran with ``--quiet 1``, as scheduled runs always do."""
        return self.option("quiet") == "1"


@lru_cache(maxsize=2048)
def read(lines: tuple[str, ...]) -> RunLog:
    """A whole log, parsed once for all the guests in it; nobody may change what is returned."""
    return parse(lines)


def parse(lines: Iterable[str]) -> RunLog:
    """Read a task log, oldest line first. Unknown lines are passed over: the wording differs between versions."""
    log = RunLog()
    current: GuestRun | None = None
    for line in lines:
        current = _job_line(log, line) or _guest_line(log, line, current)
    return log


def _job_line(log: RunLog, line: str) -> GuestRun | None:
    """Note what concerns the whole run; a line that starts a guest gives that guest."""
    if match := _COMMAND.match(line):
        log.command = _words(match[1])
    elif match := _EXTERNAL.match(line):
        log.external = tuple(int(vmid) for vmid in re.findall(r"\d+", match[1]))
    elif match := _END.match(line):
        log.status = match[1].removeprefix("ERROR: ")
    elif match := _STARTING.match(line):
        return log.guests.setdefault(int(match[1]), GuestRun(int(match[1])))
    return None


def _guest_line(log: RunLog, line: str, current: GuestRun | None) -> GuestRun | None:
    """Note what concerns one guest, and give the guest whose part goes on."""
    if match := _FINISHED.match(line):
        run = log.guests.setdefault(int(match[1]), GuestRun(int(match[1])))
        run.outcome, run.duration = Outcome.FINISHED, match[2]
    elif match := _FAILED.match(line):
        run = log.guests.setdefault(int(match[1]), GuestRun(int(match[1])))
        run.outcome, run.reason = Outcome.FAILED, match[2].strip()
        return run
    elif line.startswith("ERROR: "):
        (current.errors if current else log.errors).append(line.removeprefix("ERROR: ").strip())
    elif line.startswith("WARN: ") and current:
        current.warnings.append(line.removeprefix("WARN: ").strip())
    elif (match := _FALLBACK.match(line)) and current:
        current.fallback = match[1]
    elif (match := _ARCHIVE.match(line)) and current:
        current.archive = match[1]
    return current


def _words(command: str) -> tuple[str, ...]:
    """A logged command line as words; an unbalanced quote falls back to white space."""
    try:
        return tuple(shlex.split(command))
    except ValueError:
        return tuple(command.split())
