"""The coming runs of every enabled job, for what has to keep away from them."""

from __future__ import annotations

from dataclasses import replace
from zoneinfo import ZoneInfo

from backup_standard.audit import calendar, planned
from backup_standard.errors import Unknown
from backup_standard.model import BackupJob, Facts, Gap, Node
from backup_standard.model.facts import known

AHEAD, BEHIND = 2 * 86400, 3600
"""Seconds to look ahead and behind."""


def of(facts: Facts) -> tuple[BackupJob, ...]:
    """The enabled jobs with their runs of two days, in the zone of each node they run on. Unknown where that is."""
    now = int(facts.taken_at.timestamp())
    return tuple(_dated(job, facts, now) for job in known(facts.jobs).values() if job.enabled)


def dated(facts: Facts) -> Facts:
    """The facts with these runs in every enabled job; where they are unknown, so are the jobs."""
    try:
        coming = {job.id: job for job in of(facts)}
    except Unknown as unknown:
        return replace(facts, jobs=Gap("when backups run", str(unknown)))
    return replace(facts, jobs={**known(facts.jobs), **coming})


def _dated(job: BackupJob, facts: Facts, now: int) -> BackupJob:
    try:
        calendar.parse(job.schedule)
    except calendar.NotACalendarEvent:
        raise Unknown(f"when {job} runs next", reason=f"its schedule {job.schedule!r} is not understood") from None
    runs = set(job.runs)
    for name, node in facts.nodes.items():
        if job.node not in {None, "", name}:
            continue
        if not isinstance(node, Node):
            if not job.runs:  # nor did the site tell them
                raise Unknown(f"when {job} runs next", reason=f"the zone of node {name} is not known: {node.reason}")
        elif node.online:
            runs |= set(planned.starts_between(job, now - BEHIND, now + AHEAD, ZoneInfo(node.timezone or "UTC")))
    return replace(job, runs=tuple(sorted(run for run in runs if run <= now + AHEAD)), runs_until=now + AHEAD)
