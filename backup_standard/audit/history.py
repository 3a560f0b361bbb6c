"""A guest's scheduled runs of the last nights, as the node's tasks tell them."""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from zoneinfo import ZoneInfo

from backup_standard.audit import nights, planned, vzdump_log
from backup_standard.audit.jobs import JobOnNode
from backup_standard.audit.last_run import LATEST_START, START_GRACE, tasks_of
from backup_standard.model import Task

LOOK_BACK_NIGHTS = 14
"""Nights that are looked at."""


@dataclass(frozen=True)
class PastRun:
    """A scheduled run: its planned start (else its own), with the guest's part of its log where that was read."""

    planned: int
    task: Task
    part: vzdump_log.GuestRun | None = None

    def say(self, zone: ZoneInfo) -> str:
        """When it began and ended."""
        begin, end = (dt.datetime.fromtimestamp(at, tz=zone) for at in (self.task.starttime, self.task.endtime or 0))
        return f"{begin:%Y-%m-%d %H:%M} to {end:%H:%M}"


@dataclass(frozen=True)
class History:
    """The runs of the last nights, newest first, and the nights since the first of them in which none took place."""

    runs: tuple[PastRun, ...] = ()
    missed: tuple[dt.date, ...] = ()

    @property
    def downgraded_to(self) -> str:
        """The mode that the newest run fell back to; empty when it kept its own. Unknown when its log is unread."""
        newest_run = next((run for run in self.runs if run.part or run.task.unread), None)
        if newest_run and newest_run.task.unread:
            raise newest_run.task.without_log()
        newest = newest_run.part if newest_run else None
        return newest.fallback if newest else ""


def of(jobs: Sequence[JobOnNode], vmid: int, now: int, zone: ZoneInfo) -> History:
    """What became of the planned starts. Unknown when the tasks were not read."""
    since = now - LOOK_BACK_NIGHTS * 86400
    runs: list[PastRun] = []
    due: set[dt.date] = set()
    begun: list[tuple[JobOnNode, list[Task]]] = []
    for job in jobs:
        tasks = _candidates(tasks_of(job, vmid), vmid)
        begun.append((job, tasks))
        for moment in planned.starts_between(job.job, since, now - START_GRACE, job.zone):
            task = next((one for one in tasks if moment - 60 <= one.starttime < moment + LATEST_START), None)
            due.add(nights.night_of(moment, zone))
            if task:
                runs.append(PastRun(moment, task, _part(task, vmid)))
    seen = {run.task.upid for run in runs}
    others = (run for job, tasks in begun for run in _at_other_times(job, tasks, vmid, since, seen))
    runs += {run.task.upid: run for run in others}.values()
    runs.sort(key=lambda run: -run.planned)
    held = {nights.night_of(run.planned, zone) for run in runs}
    first = min(held, default=None)
    missed = tuple(sorted(night for night in due - held if first and night > first))
    return History(tuple(run for run in runs if run.task.endtime), missed)


def _candidates(tasks: Iterable[Task], vmid: int) -> list[Task]:
    """The tasks that the scheduler may have begun for the guest, oldest first.

    A task of several guests whose log was not read is believed to have held this one.
    """
    mine = [task for task in tasks if task.id in {"", str(vmid)} and task.user == "root@pam" and not task.tokenid]
    return sorted((task for task in mine if task.id or _may_hold(task, vmid)), key=lambda task: task.starttime)


def _at_other_times(
    job: JobOnNode, tasks: Iterable[Task], vmid: int, since: int, seen: Collection[str]
) -> Iterator[PastRun]:
    """Scheduled runs, by their command, that no start of today's schedule explains: the schedule was another then."""
    for task in tasks:
        log = vzdump_log.read(task.log) if task.log else None
        ours = log is not None and log.quiet and log.option("storage") in {None, job.storage}
        if ours and task.starttime >= since and task.upid not in seen:
            yield PastRun(task.starttime, task, _part(task, vmid))


def _may_hold(task: Task, vmid: int) -> bool:
    log = vzdump_log.read(task.log) if task.log else None
    return log is None or vmid in log.guests or vmid in log.vmids


def _part(task: Task, vmid: int) -> vzdump_log.GuestRun | None:
    return vzdump_log.read(task.log).guests.get(vmid) if task.log else None
