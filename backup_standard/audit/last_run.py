"""The last scheduled run of a guest's policy jobs, found among the node's tasks and judged for that guest.

A scheduled run belongs to root@pam without a token, its command carries ``--quiet 1``, it starts at the planned time,
and the job's state file on the node names its UPID. A task of several guests has an empty id.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass
from zoneinfo import ZoneInfo

from backup_standard.audit import planned, vzdump_log
from backup_standard.audit.jobs import JobOnNode
from backup_standard.errors import Unknown
from backup_standard.model import Facts, Gap, Task
from backup_standard.model.facts import known

LATEST_START = 6 * 3600
"""Seconds by which a run may start late: it waits for the end of the same job's run before."""

START_GRACE = 600
"""Seconds after a planned start within which the task may not show yet."""


@dataclass(frozen=True)
class LastRun:
    """What is known of it. ``problem`` empty: the guest was backed up without error; ``advice``: a warning to read."""

    job: str
    planned: str
    upid: str = ""
    status: str = ""
    confirmed_by: str = ""
    problem: str = ""
    advice: str = ""


def find(jobs: Sequence[JobOnNode], vmid: int, now: int) -> LastRun | None:
    """The latest scheduled run among the jobs; None when none was ever due."""
    due: list[tuple[int, JobOnNode]] = []
    for job in jobs:
        due += [(moment, job) for moment in planned.latest_starts(job.job, now, job.zone)]
    due.sort(key=lambda entry: -entry[0])
    for moment, job in due:
        task = _task_of(job, vmid, moment)
        still_open = task is not None and task.endtime is None
        if still_open or (task is None and now - moment < START_GRACE):
            continue
        return _judge(job, vmid, moment, task)
    return None


def _task_of(job: JobOnNode, vmid: int, moment: int) -> Task | None:
    """The task that this planned start began: the one the state file names, else the one that looks like it."""
    backups = [task for task in tasks_of(job, vmid) if task.type == "vzdump"]
    tasks = [task for task in backups if moment - 60 <= task.starttime < moment + LATEST_START]
    named = _upid_of_state(job.facts, job)
    scheduled = [task for task in sorted(tasks, key=lambda task: task.starttime) if _is_scheduled(task, job, vmid)]
    held = (task for task in scheduled if task.node != job.node)  # of the guest itself, on the node it was on then
    by_state = (task for task in scheduled if task.upid == named)
    found = next(held, None) or next(by_state, None) or next(iter(scheduled), None)
    if found is None:
        _prove_no_other_node_ran_it(job)
    return found


def _prove_no_other_node_ran_it(job: JobOnNode) -> None:
    """Return where the tasks of every node are known that the job may have run on. Unknown (or Unread) where not."""
    elsewhere = {} if job.job.node else {name: tasks for name, tasks in job.facts.tasks.items() if name != job.node}
    for tasks in elsewhere.values():
        known(tasks)


def tasks_of(job: JobOnNode, vmid: int) -> tuple[Task, ...]:
    """The backup tasks of the node where a job runs, and those of the guest while it was on other nodes.

    Unknown when those of its node were not read.
    """
    if job.node not in job.facts.tasks:
        raise Unknown(
            f"the tasks of node {job.node}", reason="they were not read", need=f"Sys.Audit on /nodes/{job.node}"
        )
    elsewhere = (tasks for name, tasks in job.facts.tasks.items() if name != job.node and not isinstance(tasks, Gap))
    moved = [task for tasks in elsewhere for task in tasks if _held(task, vmid)]
    return (*known(job.facts.tasks[job.node]), *moved)


def _held(task: Task, vmid: int) -> bool:
    """Whether a task backed the guest up, alone or among others whose log was read."""
    return task.id == str(vmid) or (not task.id and vmid in vzdump_log.read(task.log or ()).guests)


def _upid_of_state(facts: Facts, job: JobOnNode) -> str:
    """The UPID in the job's state file, empty where the file could not be read or names none."""
    state = facts.job_states.get(f"{job.node}/{job.id}")
    return "" if state is None or isinstance(state, Gap) else str(state.get("upid", ""))


def _is_scheduled(task: Task, job: JobOnNode, vmid: int) -> bool:
    """Whether the scheduler started it, and for this guest's job."""
    if task.user != "root@pam" or task.tokenid or task.id not in {"", str(vmid)}:
        return False
    if task.upid == _upid_of_state(job.facts, job):
        return True
    if task.log is None:
        raise task.without_log()
    log = vzdump_log.read(task.log)
    if not log.command:
        return bool(task.status and task.endtime)
    ours = vmid in log.vmids or not log.vmids
    return (log.quiet or _is_loud(job)) and ours and log.option("storage") in {None, job.storage}


def _is_loud(job: JobOnNode) -> bool:
    """Whether it is a line of vzdump.cron that was written by hand and is not quiet; all other scheduled runs are."""
    return job.job.by_cron and job.job.raw.get("quiet") != "1"


def _judge(job: JobOnNode, vmid: int, moment: int, task: Task | None) -> LastRun:
    when = _say(moment, job.zone)
    if task is None:
        return LastRun(job.id, when, problem=f"{job} was due at {when}, and no such run took place")
    if task.log is None:
        raise task.without_log()
    log = vzdump_log.read(task.log)
    confirmed = "state file of the job" if task.upid == _upid_of_state(job.facts, job) else "command and start time"
    status = task.status or log.status
    return LastRun(job.id, when, task.upid, status, confirmed, _problem(log, vmid, status), _advice(log, vmid, status))


def _problem(log: vzdump_log.RunLog, vmid: int, status: str) -> str:
    """Why the guest is not safely backed up by this run; empty when it is."""
    run = log.guests.get(vmid)
    if run is None:
        elsewhere = ", because the guest was on another node" if vmid in log.external else ""
        return f"the run did not back the guest up{elsewhere}; it ended with: {status}"
    if run.outcome is vzdump_log.Outcome.FAILED:
        return f"the backup failed: {run.reason}"
    if run.outcome is vzdump_log.Outcome.UNFINISHED:
        return f"the backup began and never finished; the run ended with: {status}"
    if run.errors:
        return f"the backup finished, but its log holds errors: {'; '.join(run.errors)}"
    return "the run ended with: unexpected status" if status.startswith("unexpected status") else ""


def _advice(log: vzdump_log.RunLog, vmid: int, status: str) -> str:
    run = log.guests.get(vmid)
    if run and run.warnings:
        return f"the backup finished with warnings: {'; '.join(run.warnings)}"
    return f"the run ended with {status}" if status.startswith("WARNINGS") else ""


def _say(moment: int, zone: ZoneInfo) -> str:
    return dt.datetime.fromtimestamp(moment, tz=zone).strftime("%Y-%m-%d %H:%M")
