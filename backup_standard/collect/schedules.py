"""Backup jobs: what each really includes, and when the site itself says that it will run."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

from backup_standard.collect import shapes
from backup_standard.collect.reader import Reader
from backup_standard.collect.shapeless import moment, rows
from backup_standard.inventory.schema import Inventory
from backup_standard.model import BackupJob, Gap, Node
from backup_standard.pve.client import quoted

NIGHTS = 402
"""How far ahead the runs are asked for: more than a year, so that both changes of the clock are in it.

Two days more than the nights that the rules look at, which begin with the next noon.
"""
_A_CALL = 100
"""The most runs that one schedule-analyze answers (upstream: PVE/API2/Cluster/Jobs.pm)."""
_CALLS = 5
_DAY = 86400


Listed = Sequence[tuple[Mapping[str, Any], BackupJob]] | Gap
"""Each entry of the list of jobs with the job it makes, which so far includes nothing and has no runs."""


def list_jobs(reader: Reader) -> Listed:
    """The backup jobs as the site lists them."""
    return reader.attempt(
        "the backup jobs", lambda: [(raw, shapes.job(raw, {})) for raw in reader.rows("/cluster/backup")]
    )


def read_jobs(reader: Reader, listed: Listed) -> Mapping[str, BackupJob] | Gap:
    """Every job by id, without planned runs; one gap for all when the list or what one of them includes is unread."""
    if isinstance(listed, Gap):
        return listed
    jobs: dict[str, BackupJob] = {}
    for (raw, bare), volumes in zip(listed, reader.each(lambda one: _included(reader, one[1].id), listed), strict=True):
        job = volumes if isinstance(volumes, Gap) else _made(reader, raw, bare.id, volumes)
        if isinstance(job, Gap):
            return job
        jobs[job.id] = job
    return jobs


@dataclass(frozen=True)
class Planned:
    """The planned runs (epoch) of each schedule up to ``until``, and who computed them; nothing where nobody could."""

    runs: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
    source: str = ""
    until: int = 0

    def given_to(self, jobs: Mapping[str, BackupJob] | Gap) -> Mapping[str, BackupJob] | Gap:
        """The same jobs with their runs."""
        if isinstance(jobs, Gap):
            return jobs
        return {name: self._given_to(job) for name, job in jobs.items()}

    def _given_to(self, job: BackupJob) -> BackupJob:
        runs = self.runs.get(job.schedule)
        return replace(job, runs=runs, runs_source=self.source, runs_until=self.until) if runs else job


def read_runs(reader: Reader, inventory: Inventory, listed: Listed, nodes: Mapping[str, Node | Gap]) -> Planned:
    """The runs that the site plans, where all its nodes are known to be in the site's zone.

    The calls for one schedule wait for each other, so they begin beside the queue of :meth:`Reader.each`.
    """
    source = _zone_source(inventory, nodes)
    if isinstance(listed, Gap) or not source:
        return Planned()
    now, schedules = int(time.time() + ahead(nodes)), sorted({job.schedule for _, job in listed} - {""})
    until = now + NIGHTS * _DAY
    asked = {text: reader.start(partial(_runs, reader, text, now, until)) for text in schedules}
    return Planned({text: runs.result() for text, runs in asked.items()}, source, until)


def _made(reader: Reader, raw: Mapping[str, Any], job: str, volumes: Mapping[str, Any]) -> BackupJob | Gap:
    return reader.attempt(f"what job {job} includes", lambda: shapes.job(raw, volumes))


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


def _runs(reader: Reader, schedule: str, now: int, until: int) -> tuple[int, ...]:
    """The planned runs (epoch) from now until then; none when the site refuses, or when they are too many to ask."""
    start, runs = now, list[int]()

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
        if len(answer) < _A_CALL or runs[-1] >= until:
            return tuple(run for run in runs if run <= until)
        start = runs[-1]
    return ()
