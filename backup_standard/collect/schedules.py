"""Backup jobs: what each really includes, and when the site itself says that it will run."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from backup_standard.collect import shapes
from backup_standard.collect.reader import Reader
from backup_standard.collect.shapeless import moment, rows
from backup_standard.inventory.schema import Inventory
from backup_standard.model import BackupJob, Gap, Node
from backup_standard.pve.client import quoted

NIGHTS = 400
"""How far ahead the runs are asked for: more than a year, so that both changes of the clock are in it."""
_A_CALL = 100
"""The most runs that one schedule-analyze answers (upstream: PVE/API2/Cluster/Jobs.pm)."""
_CALLS = 5
_DAY = 86400


def read_jobs(
    reader: Reader, inventory: Inventory, nodes: Callable[[], Mapping[str, Node | Gap]]
) -> Mapping[str, BackupJob] | Gap:
    """Every job by id; one gap for all when the list, or what one of them includes, cannot be read.

    ``nodes`` gives the nodes, whose zone decides who computes the runs, once they are known.
    """
    listed = reader.attempt("the backup jobs", lambda: [(one, _job(one)) for one in reader.rows("/cluster/backup")])
    if isinstance(listed, Gap):
        return listed
    included = reader.each(lambda job: _included(reader, job[1].id), listed)
    clocks = nodes()
    now, source = int(time.time() + ahead(clocks)), _zone_source(inventory, clocks)
    schedules = sorted({job.schedule for _, job in listed} - {""}) if source else []
    runs = dict(zip(schedules, reader.each(lambda text: _runs(reader, text, now), schedules), strict=True))

    jobs: dict[str, BackupJob] = {}
    for (raw, bare), volumes in zip(listed, included, strict=True):
        planned = runs.get(bare.schedule, ())
        job = volumes if isinstance(volumes, Gap) else _made(reader, raw, volumes, planned, source if planned else "")
        if isinstance(job, Gap):
            return job
        jobs[job.id] = job
    return jobs


def _job(raw: Mapping[str, Any]) -> BackupJob:
    """A job without what it includes: to see whether its own entry is in order."""
    return shapes.job(raw, {}, (), "")


def _made(
    reader: Reader, raw: Mapping[str, Any], volumes: Mapping[str, Any], planned: tuple[int, ...], source: str
) -> BackupJob | Gap:
    return reader.attempt(f"what job {raw['id']} includes", lambda: shapes.job(raw, volumes, planned, source))


def _included(reader: Reader, job: str) -> Mapping[str, Any] | Gap:
    """The tree of what a job includes; one without children would read as "nothing"."""

    def read() -> Mapping[str, Any]:
        tree = reader.record(f"/cluster/backup/{quoted(job)}/included_volumes")
        return {"children": rows(tree["children"])}

    return reader.attempt(f"what job {job} includes", read)


def _zone_source(inventory: Inventory, nodes: Mapping[str, Node | Gap]) -> str:
    """Who computes the runs; "" when no node is known to be in the site's zone.

    The zone of the node that answers decides, so all that may answer must be in the site's.
    """
    zones = {node.timezone for node in nodes.values() if isinstance(node, Node) and node.online}
    return f"the site ({inventory.site.timezone})" if zones == {inventory.site.timezone} else ""


def ahead(nodes: Mapping[str, Node | Gap]) -> float:
    """Seconds by which the site's clock, that of the first node that showed one, is ahead of ours; 0 where none did."""
    skews = [node.skew for node in nodes.values() if isinstance(node, Node) and node.online]
    return skews[0] if skews else 0.0


def _runs(reader: Reader, schedule: str, now: int) -> tuple[int, ...]:
    """The planned runs (epoch) of the coming nights; none when the site refuses, or when they are too many to ask."""
    horizon, start, runs = now + NIGHTS * _DAY, now, list[int]()

    def ask(start: int) -> list[int]:
        path = "/cluster/jobs/schedule-analyze"
        events = reader.rows(path, schedule=schedule, starttime=start, iterations=_A_CALL)
        found = [moment(event["timestamp"]) for event in events]
        if any(later <= earlier for earlier, later in zip([start, *found], found, strict=False)):
            raise ValueError("the runs do not follow each other")
        return found

    for _ in range(_CALLS):
        answer = reader.attempt(f"the runs of {schedule!r}", partial(ask, start))
        if isinstance(answer, Gap):
            return ()
        runs += answer
        if len(answer) < _A_CALL or runs[-1] >= horizon:
            return tuple(run for run in runs if run <= horizon)
        start = runs[-1]
    return ()
