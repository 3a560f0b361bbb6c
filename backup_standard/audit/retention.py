"""Retention: which keep counts apply to a guest's archives, and how many nights they really leave."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
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
    """One planned backup of a guest: when (epoch seconds) and which retention prunes afterwards (None: no pruning)."""

    at: int
    retention: Retention | None


@dataclass(frozen=True)
class Window:
    """What a simulation leaves right after pruning, at its smallest: distinct nights, archives, age of the oldest."""

    nights: int
    archives: int
    oldest_age: dt.timedelta


def simulate(runs: Sequence[Run], zone: ZoneInfo) -> Window | None:
    """Back up and prune at every run, oldest first; the smallest window of the last nights, None without runs."""
    runs = sorted(runs, key=lambda run: run.at)[-MOST_RUNS:]
    if not runs:
        return None
    settled = runs[-1].at - STEADY_NIGHTS * 86400
    points: list[int] = []
    smallest: Window | None = None
    for run in runs:
        points.append(run.at)
        if run.retention is None:
            continue
        points = _pruned(points, run.retention, zone)
        if run.at < settled and run is not runs[-1]:
            continue
        window = _window(points, run.at, zone)
        if smallest is None or window.nights < smallest.nights:
            smallest = window
    return smallest or _window(points, runs[-1].at, zone)


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
    extra, last = [], None
    for run in sorted(runs, key=lambda run: run.at):
        if last is None or run.at - last >= 7 * 86400:
            last = run.at
            extra.append(Run(run.at + 10 * 3600, run.retention))
    return [*runs, *extra]
