"""Backup jobs: what each really includes, and when the site itself says that it will run."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

from backup_standard.collect import shapes
from backup_standard.collect.reader import Reader
from backup_standard.inventory.schema import Inventory
from backup_standard.model import BackupJob, Gap, Node

NIGHTS = 400
"""How far ahead the runs are asked for: more than a year, so that both changes of the clock are in it."""
_A_CALL = 100
"""The most runs that one schedule-analyze answers (upstream: PVE/API2/Cluster/Jobs.pm)."""
_CALLS = 5
_DAY = 86400


def read_jobs(reader: Reader, inventory: Inventory, nodes: Mapping[str, Node | Gap]) -> Mapping[str, BackupJob] | Gap:
    """Every job by id; one gap for all when the list, or what one of them includes, cannot be read."""
    listed = reader.ask("the backup jobs", "/cluster/backup")
    if isinstance(listed, Gap):
        return listed
    now = int(time.time())
    source = _zone_source(inventory, nodes)
    schedules = sorted({str(raw.get("schedule", "")) for raw in listed} - {""}) if source else []
    runs = dict(zip(schedules, reader.each(lambda text: _runs(reader, text, now), schedules), strict=True))

    jobs: dict[str, BackupJob] = {}
    included = reader.each(lambda raw: _included(reader, str(raw["id"])), listed)
    for raw, volumes in zip(listed, included, strict=True):
        if isinstance(volumes, Gap):
            return volumes
        planned = runs.get(str(raw.get("schedule", "")), ())
        jobs[str(raw["id"])] = shapes.job(raw, volumes, planned, source if planned else "")
    return jobs


def _included(reader: Reader, job: str) -> Mapping[str, Any] | Gap:
    answer: Mapping[str, Any] | Gap = reader.ask(f"what job {job} includes", f"/cluster/backup/{job}/included_volumes")
    return answer


def _zone_source(inventory: Inventory, nodes: Mapping[str, Node | Gap]) -> str:
    """Who computes the runs; "" when no node is known to be in the site's zone.

    The zone of the node that answers decides, so all that may answer must be in the site's.
    """
    zones = {node.timezone for node in nodes.values() if isinstance(node, Node) and node.online}
    return f"the site ({inventory.site.timezone})" if zones == {inventory.site.timezone} else ""


def _runs(reader: Reader, schedule: str, now: int) -> tuple[int, ...]:
    """The planned runs (epoch) of the coming nights; none when the site refuses, or when they are too many to ask."""
    horizon, start, runs = now + NIGHTS * _DAY, now, list[int]()
    for _ in range(_CALLS):
        answer = reader.ask(
            f"the runs of {schedule!r}",
            "/cluster/jobs/schedule-analyze", schedule=schedule, starttime=start, iterations=_A_CALL,
        )  # fmt: skip
        if isinstance(answer, Gap):
            return ()
        runs += [int(event["timestamp"]) for event in answer]
        if len(answer) < _A_CALL or runs[-1] >= horizon:
            return tuple(run for run in runs if run <= horizon)
        start = runs[-1]
    return ()
