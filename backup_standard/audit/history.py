"""A guest's scheduled runs of the last nights, as the node's tasks tell them."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
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
    """One planned start that a task followed, with the guest's part of its log where that was read."""

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
        """The mode that the newest run fell back to; empty when it kept its own or no log was read."""
        newest = next((run.part for run in self.runs if run.part), None)
        return newest.fallback if newest else ""


def of(jobs: Sequence[JobOnNode], vmid: int, now: int, zone: ZoneInfo) -> History:
    """What became of the planned starts. Unknown when the tasks were not read."""
    since = now - LOOK_BACK_NIGHTS * 86400
    runs: list[PastRun] = []
    due: set[dt.date] = set()
    for job in jobs:
        for moment in planned.starts_between(job.job, since, now - START_GRACE, job.zone):
            task = _began(job, vmid, moment)
            due.add(nights.night_of(moment, zone))
            if task:
                runs.append(PastRun(moment, task, _part(task, vmid)))
    runs.sort(key=lambda run: -run.planned)
    held = {nights.night_of(run.planned, zone) for run in runs}
    first = min(held, default=None)
    missed = tuple(sorted(night for night in due - held if first and night > first))
    return History(tuple(run for run in runs if run.task.endtime), missed)


def _began(job: JobOnNode, vmid: int, moment: int) -> Task | None:
    """The task that a planned start began; of a task of several guests whose log was not read it is believed."""
    for task in sorted(tasks_of(job), key=lambda one: one.starttime):
        if not moment - 60 <= task.starttime < moment + LATEST_START or task.user != "root@pam" or task.tokenid:
            continue
        log = vzdump_log.parse(task.log) if task.log else None
        if task.id == str(vmid) or (not task.id and (log is None or vmid in log.guests or vmid in log.vmids)):
            return task
    return None


def _part(task: Task, vmid: int) -> vzdump_log.GuestRun | None:
    return vzdump_log.parse(task.log).guests.get(vmid) if task.log else None
