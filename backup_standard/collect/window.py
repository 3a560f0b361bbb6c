"""When a drill or a reading of an archive may begin: never near the nightly backups. Moments are epoch seconds."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from backup_standard.model import BackupJob

QUIET_BEFORE = dt.timedelta(minutes=30)
"""How long before a planned run nothing of ours goes on."""
STARTING = dt.timedelta(minutes=3)
"""How long after its planned time a run may take to appear among the tasks."""


def conflict(jobs: Iterable[BackupJob], *, now: float, estimate: dt.timedelta, say: dt.tzinfo) -> str:
    """Why nothing may begin now, or "". ``estimate`` is how long it may take, ``say`` the zone to name times in.

    A job that takes all guests, or a pool's, would back the temporary guest up: its run must not begin before the end.
    """
    for job in jobs:
        if not job.enabled:
            continue
        ahead = max(QUIET_BEFORE, estimate) if job.selection in {"all", "pool"} else QUIET_BEFORE
        for run in job.runs:
            if run - ahead.total_seconds() <= now < run + STARTING.total_seconds():
                start = dt.datetime.fromtimestamp(run, tz=say).strftime("%H:%M")
                return f"{job} runs at {start}; what begins now could meet it"
    return ""


def running(ask: Callable[..., Iterable[Mapping[str, Any]]], node: str) -> Iterator[str]:
    """The backups that go on on a node, in words. ``ask`` is a GET that lists objects."""
    for task in ask(f"/nodes/{node}/tasks", source="active", typefilter="vzdump"):
        if not task.get("endtime"):
            yield f"a backup is running on {node} ({task.get('upid')})"
