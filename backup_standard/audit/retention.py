"""Retention: which keep counts apply to a guest's archives, and how many nights they really leave."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from zoneinfo import ZoneInfo

from backup_standard.audit import prune
from backup_standard.audit.nights import night_of

STEADY_NIGHTS = 60
"""The last nights of a simulation, over which the smallest number of kept nights counts."""

MOST_RUNS = 15_000
"""Simulated runs at most: a job that runs every minute is looked at over its last ten days."""


@dataclass(frozen=True)
class Retention:
    """Effective keep counts and where they come from; ``removes`` False: nothing is ever pruned (remove=0)."""

    keep: Mapping[str, int]
    source: str
    removes: bool = True

    @property
    def keeps_all(self) -> bool:
        """Whether nothing is ever removed by the counts."""
        return prune.keeps_all(self.keep)

    def __str__(self) -> str:
        return f"{prune.say_keep(self.keep)} (from {self.source})"


@dataclass(frozen=True)
class Run:
    """One planned backup of a guest: when (epoch seconds) and which retention prunes afterwards."""

    at: int
    retention: Retention


@dataclass(frozen=True)
class Window:
    """What a simulation leaves right after pruning, at its smallest: distinct nights, archives, age of the oldest.

    ``refused`` counts the runs that Proxmox would refuse because nothing is removed and the limit is reached.
    """

    nights: int = 0
    archives: int = 0
    oldest_age: dt.timedelta = dt.timedelta()
    refused: int = 0


def simulate(runs: Sequence[Run], zone: ZoneInfo) -> Window:
    """Back up and prune at every run, oldest first; the smallest window of the last nights (all zero without runs)."""
    in_order = sorted(runs, key=lambda run: run.at)[-MOST_RUNS:]
    counts = {id(run.retention): tuple(sorted(run.retention.keep.items())) for run in in_order}
    return _simulated(tuple((run.at, counts[id(run.retention)], run.retention.removes) for run in in_order), zone)


@lru_cache(maxsize=256)
def _simulated(planned: tuple[tuple[int, tuple[tuple[str, int], ...], bool], ...], zone: ZoneInfo) -> Window:
    """The same of plain values, once for all guests that are backed up and pruned alike."""
    retentions = {(keep, removes): Retention(dict(keep), "", removes) for _, keep, removes in planned}
    runs = [Run(at, retentions[keep, removes]) for at, keep, removes in planned]
    settled = runs[-1].at - STEADY_NIGHTS * 86400 if runs else 0
    points: list[int] = []
    smallest: Window | None = None
    refused = 0
    for run in runs:
        if _is_refused(points, run.retention):
            refused += 1
            continue
        points = _pruned([*points, run.at], run.retention, zone)
        if run.at >= settled or run is runs[-1]:
            window = _window(points, run.at, zone)
            smallest = window if smallest is None or window.nights < smallest.nights else smallest
    if smallest is None and points:
        smallest = _window(points, runs[-1].at, zone)
    return replace(smallest or Window(), refused=refused)


def _is_refused(points: Sequence[int], retention: Retention) -> bool:
    """Whether Proxmox refuses another backup: nothing is removed and the counts are used up (PVE/VZDump.pm)."""
    if retention.removes or retention.keeps_all:
        return False
    return len(points) >= sum(count for rule, count in retention.keep.items() if rule in prune.RULES)


def _pruned(points: list[int], retention: Retention, zone: ZoneInfo) -> list[int]:
    """The archives left after pruning."""
    if retention.keeps_all or not retention.removes:
        return points
    found = prune.marks([prune.Point(at) for at in points], retention.keep, zone)
    return [at for at, mark in zip(points, found, strict=True) if mark is not prune.Mark.REMOVE]


def _window(points: Iterable[int], now: int, zone: ZoneInfo) -> Window:
    kept = list(points)
    return Window(
        nights=len({night_of(at, zone) for at in kept}),
        archives=len(kept),
        oldest_age=dt.timedelta(seconds=now - min(kept)),
    )


def with_weekly_manual_backup(runs: Sequence[Run]) -> list[Run]:
    """The same runs and a backup by hand at midday once a week; a manual backup prunes like the job it follows."""
    extra: list[Run] = []
    last: int | None = None
    for run in sorted(runs, key=lambda run: run.at):
        if last is None or run.at - last >= 7 * 86400:
            last = run.at
            extra.append(Run(run.at + 10 * 3600, run.retention))
    return [*runs, *extra]
