"""Planned rows and their verdicts, and the reckoning between the two."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from typing import Any


class Outcome(StrEnum):
    """How a planned row ended, mildest first."""

    PASS = "pass"  # noqa: S105 - an outcome, no secret
    NOT_APPLICABLE = "not applicable"
    ADVISORY = "advisory"
    ATTESTED = "attested"
    WAIVED = "waived"
    NOT_RUN = "not run"
    UNKNOWN = "unknown"
    ERROR = "error"
    FAIL = "fail"

    @property
    def is_red(self) -> bool:
        """Whether it stands in the way of a good verdict."""
        return self in {Outcome.NOT_RUN, Outcome.UNKNOWN, Outcome.ERROR, Outcome.FAIL}

    def is_worse_than(self, other: Outcome) -> bool:
        """Whether it comes after another in that order."""
        return _ORDER.index(self) > _ORDER.index(other)


_ORDER = list(Outcome)
_PARAMETERS = re.compile(r"\[(.*)\]$")


def parameters_of(item: str) -> str | None:
    """What stands in the brackets of an item's id: ``210-web`` of ``test_x[210-web]``; None without brackets."""
    found = _PARAMETERS.search(item)
    return found[1] if found else None


@dataclass(frozen=True)
class Planned:
    """One rule on one subject, as it was planned; ``item`` identifies it within the run."""

    item: str
    rule: str
    subject: str
    title: str
    level: str
    tag: str
    rationale: str = ""

    def to_json(self) -> dict[str, Any]:
        """The row as JSON values."""
        return asdict(self)


@dataclass(frozen=True)
class Verdict:
    """What came of a planned row; ``seconds`` is the time it took."""

    item: str
    rule: str
    subject: str
    title: str
    level: str
    tag: str
    outcome: Outcome
    rationale: str = ""
    observed: Mapping[str, Any] = field(default_factory=dict)
    message: str = ""
    remedy: str = ""
    seconds: float = 0.0

    def to_json(self) -> dict[str, Any]:
        """The verdict as JSON values."""
        return {**asdict(self), "outcome": str(self.outcome), "observed": dict(self.observed)}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Verdict:
        """A verdict from its JSON values."""
        return cls(**{**data, "outcome": Outcome(data["outcome"])})

    @classmethod
    def not_run(cls, row: Planned) -> Verdict:
        """The verdict of a planned row that nothing was heard of."""
        message = "planned, and the run ended before it"
        return cls(**row.to_json(), outcome=Outcome.NOT_RUN, message=message)

    @property
    def is_red(self) -> bool:
        """Whether it fails the run: a must whose outcome is neither a pass, an advisory, attested nor waived."""
        return self.level == "must" and self.outcome.is_red


def worst(verdicts: Iterable[Verdict]) -> dict[str, Verdict]:
    """One verdict for each item: of several (a row, then its clean-up) the worst."""
    found: dict[str, Verdict] = {}
    for verdict in verdicts:
        before = found.get(verdict.item)
        if before is None or verdict.outcome.is_worse_than(before.outcome):
            found[verdict.item] = verdict
    return found


def reconcile(plan: Iterable[Planned], verdicts: Iterable[Verdict]) -> list[Verdict]:
    """A verdict for every planned row, in the order of the plan; what was planned and not heard of is *not run*."""
    heard = worst(verdicts)
    rows = {row.item: heard.get(row.item) or Verdict.not_run(row) for row in plan}
    return list((rows | heard).values())
