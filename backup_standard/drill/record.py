"""What a drill found: its steps, its phases with their times, and everything an auditor asks about them."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any

from backup_standard.drill.lines import append_line
from backup_standard.errors import NotRun, OperatorError, Unknown
from backup_standard.model import Archive

FILENAME = "drills.jsonl"


class Outcome(StrEnum):
    """How a step ended."""

    OK = "ok"
    FAILED = "failed"
    ERROR = "error"
    NOT_RUN = "not run"
    UNPROVEN = "not proven"


@dataclass(frozen=True)
class StepResult:
    """One step: how it ended, how long it took in seconds, what was seen, and why it failed or did not run."""

    name: str
    outcome: Outcome
    seconds: float = 0.0
    observed: Mapping[str, Any] = field(default_factory=dict)
    message: str = ""

    @property
    def ok(self) -> bool:
        """Whether it ran and found what it should."""
        return self.outcome is Outcome.OK

    @property
    def ends_the_drill(self) -> bool:
        """Whether the steps after it make no sense any more."""
        return not self.ok and self.outcome is not Outcome.UNPROVEN

    def __str__(self) -> str:
        return f"{self.name}: {self.outcome}{f' ({self.message})' if self.message else ''}"


def require_run(step: StepResult, guest: int, error: OperatorError | None = None) -> StepResult:
    """The step where it ran to its end, well or badly; else NotRun, its ``error``, or Unknown for what is unproven."""
    if step.outcome is Outcome.NOT_RUN:
        raise NotRun(f"{step.name} of guest {guest} was not run: {step.message}")
    if step.outcome is Outcome.ERROR:
        raise error or OperatorError(step.message)
    if step.outcome is Outcome.UNPROVEN:
        raise Unknown(step.name, reason=step.message)
    return step


@dataclass(frozen=True)
class Phase:
    """A measured stretch of a drill."""

    name: str
    seconds: float
    ok: bool
    observed: Mapping[str, Any] = field(default_factory=dict)
    message: str = ""


@dataclass
class DrillRecord:
    """The record of one drill; grows while it runs. Sizes in bytes, times in seconds, moments in UTC.

    ``disk_bytes`` is the size of the guest's disks, ``bytes`` the data restored (disk bytes, by the task log),
    ``mb_per_s`` that over the restore's time in MB (10⁶).
    ``data_age_seconds`` is the measured RPO: how long before the drill the oldest heartbeat was written. ``drift`` is
    how production's configuration differs from the archive's today.
    """

    guest: int
    name: str
    role: str
    kind: str
    vmid: int
    temporary_vmid: int
    node: str
    archive: Archive | None
    class_: str
    run: str
    started: dt.datetime
    system: str = "linux"
    finished: dt.datetime | None = None
    steps: dict[str, StepResult] = field(default_factory=dict)
    phases: list[Phase] = field(default_factory=list)
    disk_bytes: int | None = None
    bytes: int | None = None
    mb_per_s: float | None = None
    recovery_seconds: float | None = None
    rto_seconds: float | None = None
    restore_point: str = "newest"
    is_newest: bool = True
    kept: bool = False
    data_age_seconds: float | None = None
    screenshot: str | None = None
    screenshot_reason: str = ""
    isolation: dict[str, Any] = field(default_factory=dict)
    neutralised: list[str] = field(default_factory=list)
    drift: list[str] = field(default_factory=list)
    not_proven: list[str] = field(default_factory=list)
    production_before: dict[str, Any] = field(default_factory=dict)
    production_after: dict[str, Any] = field(default_factory=dict)

    @property
    def outcome(self) -> str:
        """One word: "passed" when every step ran and was ok, else "failed"; "unfinished" while steps are missing."""
        if any(step.outcome is not Outcome.OK for step in self.steps.values()):
            return "failed"
        return "passed" if self.finished else "unfinished"

    def to_json(self) -> dict[str, Any]:
        """The record as JSON values; the archive in short, steps as a list in their order."""
        data = asdict(self)
        data["class"] = data.pop("class_")
        data["archive"] = {key: getattr(self.archive, key, None) for key in ("volid", "ctime", "size")}
        data["steps"] = [asdict(step) for step in self.steps.values()]
        data["started"] = self.started.isoformat()
        data["finished"] = self.finished.isoformat() if self.finished else None
        data["outcome"] = self.outcome
        return data

    def append_to(self, folder: Path) -> None:
        """Append the record to ``drills.jsonl`` of a run folder, as one line."""
        append_line(folder / FILENAME, self.to_json())
