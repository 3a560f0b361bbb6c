"""How fast drills were before: what the next ones may be expected to take, from the records of earlier runs."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Any

from backup_standard.drill.lines import read_lines
from backup_standard.drill.plan import ASSUMED_SPEED, DrillPlan
from backup_standard.drill.record import FILENAME
from backup_standard.quantities import say_duration

ASSUMED_REST = dt.timedelta(minutes=2)
"""What boot, checks and teardown of a guest take, where none was measured."""


@dataclass(frozen=True)
class Expectation:
    """How long a drill may take, and from what that is known."""

    duration: dt.timedelta
    basis: str

    def __str__(self) -> str:
        return f"{say_duration(round(self.duration.total_seconds()))} ({self.basis})"


@dataclass(frozen=True)
class Speeds:
    """Whole drills that passed, in seconds by guest, and every restore's bytes a second."""

    drills: Mapping[int, list[float]] = field(default_factory=dict)
    restores: tuple[float, ...] = ()

    def expect(self, plan: DrillPlan) -> Expectation:
        """The median of the guest's own drills; else its size at the speed of others; else at an assumed one."""
        own = self.drills.get(plan.vmid)
        if own:
            return Expectation(dt.timedelta(seconds=median(own)), f"median of {len(own)} drill(s) of this guest")
        speed = median(self.restores) if self.restores else ASSUMED_SPEED
        basis = f"{'measured' if self.restores else 'assumed'} {speed / 1e6:.0f} MB/s, the rest assumed"
        return Expectation(dt.timedelta(seconds=plan.disk_bytes / speed) + ASSUMED_REST, basis)


def measured(folder: Path) -> Speeds:
    """What the runs in a client's folder measured."""
    drills: dict[int, list[float]] = {}
    restores: list[float] = []
    for record in _records(folder):
        if record.get("mb_per_s"):
            restores.append(float(record["mb_per_s"]) * 1e6)
        if record.get("outcome") == "passed":
            seconds = sum(float(step["seconds"]) for step in record["steps"])
            drills.setdefault(int(record["guest"]), []).append(seconds)
    return Speeds(drills, tuple(restores))


def _records(folder: Path) -> Iterator[Mapping[str, Any]]:
    for path in sorted(folder.glob(f"*/{FILENAME}")):
        if not (path.parent / "replayed.txt").exists():
            yield from read_lines(path)
