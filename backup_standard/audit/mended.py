"""Errors of a guest's backups in task history and journal, and whether a later backup has made up for them."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from zoneinfo import ZoneInfo

from backup_standard.audit import vzdump_log
from backup_standard.model import Archive, JournalLine, Task

_JOURNAL_FAILED = re.compile(r"ERROR: Backup of VM (\d+) failed - (.*)", re.DOTALL)
_SLACK = 120
"""Seconds around a task within which a journal line counts as that task's."""
_FINE = ("OK", "WARNINGS")


@dataclass(frozen=True)
class Mishap:
    """One failed backup: when it was over (epoch seconds), why, and where that stands."""

    when: int
    reason: str
    source: str

    def say(self, zone: ZoneInfo) -> str:
        """The mishap in a line."""
        return f"{dt.datetime.fromtimestamp(self.when, tz=zone):%Y-%m-%d %H:%M} {self.reason} ({self.source})"


@dataclass(frozen=True)
class Mishaps:
    """Those that no later archive has made up for, and those that one has."""

    open: tuple[Mishap, ...] = ()
    cured: tuple[Mishap, ...] = ()


def by_tasks(tasks: Iterable[Task], vmid: int, storage: str) -> list[Mishap]:
    """The mishaps of a guest on a storage that task logs tell of.

    Unknown when the log of a failed task that may concern the guest was not read.
    """
    return [mishap for task in tasks for mishap in _of_task(task, vmid, storage)]


def by_journal(lines: Sequence[JournalLine], tasks: Sequence[Task], vmid: int) -> list[Mishap]:
    """Those that only the journal still tells of: the log of a task says more, its storage included."""
    own = [task for task in tasks if task.log is not None and _concerns(task, vmid)]
    return [line for line in _of_journal(lines, vmid) if not _is_told(line, own)]


def sort(found: Iterable[Mishap], archives: Sequence[Archive]) -> Mishaps:
    """Newest first; an archive that was begun after a mishap cures it."""
    newest = max((archive.ctime for archive in archives), default=0)
    ordered = sorted(found, key=lambda mishap: -mishap.when)
    still_open = tuple(mishap for mishap in ordered if mishap.when >= newest)
    return Mishaps(still_open, tuple(mishap for mishap in ordered if mishap.when < newest))


def _of_task(task: Task, vmid: int, storage: str) -> Iterator[Mishap]:
    if task.endtime is None or task.id not in {"", str(vmid)}:
        return
    went_well = task.status.startswith(_FINE)
    if task.log is None:
        if not went_well:
            raise task.without_log()
        return
    log = vzdump_log.read(task.log)
    if log.option("storage") not in {None, storage}:
        return
    reason = _reason(log, vmid, task)
    if reason:
        yield Mishap(task.endtime, reason, f"task {task.upid}")


def _reason(log: vzdump_log.RunLog, vmid: int, task: Task) -> str:
    """Why the task did not leave the guest safely backed up; empty when it did or does not concern the guest."""
    run = log.guests.get(vmid)
    if run is None:
        alone = task.id == str(vmid) or vmid in log.vmids
        return task.status if alone and not log.external and not task.status.startswith(_FINE) else ""
    if run.outcome is vzdump_log.Outcome.FAILED:
        return run.reason
    if run.outcome is vzdump_log.Outcome.UNFINISHED:
        return f"began and never finished: {task.status}"
    return "; ".join(run.errors)


def _of_journal(lines: Sequence[JournalLine], vmid: int) -> Iterator[Mishap]:
    for line in lines:
        match = _JOURNAL_FAILED.match(line.message)
        if match and int(match[1]) == vmid:
            yield Mishap(line.when, match[2].strip(), f"journal, {line.identifier}")


def _concerns(task: Task, vmid: int) -> bool:
    """Whether a task was for this guest, alone or among others."""
    return task.id == str(vmid) or (not task.id and vmid in vzdump_log.read(task.log or ()).guests)


def _is_told(line: Mishap, tasks: Sequence[Task]) -> bool:
    """Whether one of the tasks covers that moment."""
    return any(task.starttime - _SLACK <= line.when <= (task.endtime or line.when) + _SLACK for task in tasks)
