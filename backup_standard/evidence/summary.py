"""The whole run in one line, in numbers and in an exit status."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from backup_standard.evidence.verdicts import Outcome, Verdict

LEFTOVERS_REMAIN, PLATFORM_DEGRADED, NOT_DECIDED = 10, 11, 12
"""Exit statuses of our own, beside pytest's 0 to 5."""

_FAILED = 1
_DEGRADING_RULES = frozenset({"STO-03", "STO-07"})
_UNDECIDED = (Outcome.UNKNOWN, Outcome.ERROR, Outcome.NOT_RUN)
_RESTORE_RULES = "RST-"


@dataclass(frozen=True)
class Summary:
    """A run's rows, reckoned up. ``drilled``: it restored guests; ``not_covered``: guests that nothing was run for."""

    rows: Sequence[Verdict]
    drilled: bool = False
    not_covered: int = 0
    leftovers: int = 0
    partial: bool = False

    @property
    def judged(self) -> list[Verdict]:
        """The rows that had something to judge."""
        return [row for row in self.rows if row.outcome is not Outcome.NOT_APPLICABLE]

    @property
    def counts(self) -> dict[str, int]:
        """Rows by outcome, each outcome present."""
        counted = Counter(str(row.outcome) for row in self.rows)
        return {str(outcome): counted.get(str(outcome), 0) for outcome in Outcome}

    def rules(self, *outcomes: Outcome) -> list[str]:
        """The ids of the must rules with a row of such an outcome."""
        return sorted({row.rule for row in self.rows if row.level == "must" and row.outcome in outcomes})

    @property
    def is_degraded(self) -> bool:
        """Whether the backup storage itself is out of order: by the policy the platform is degraded until then."""
        return any(
            row.outcome is Outcome.FAIL and (row.rule in _DEGRADING_RULES or row.observed.get("mounted_now") is False)
            for row in self.rows
        )

    @property
    def is_green(self) -> bool:
        """Whether nothing red is among the rows and nothing was left behind."""
        return bool(self.rows) and not any(row.is_red for row in self.rows) and not self.leftovers

    def exit_status(self, pytests: int) -> int:
        """The run's exit status: what pytest would give (0 to 5), or one of our own where that says more."""
        if self.leftovers:
            return LEFTOVERS_REMAIN
        if pytests > _FAILED:
            return pytests
        if self.is_degraded:
            return PLATFORM_DEGRADED
        if self.rules(Outcome.FAIL):
            return _FAILED
        if self.rules(Outcome.UNKNOWN, Outcome.ERROR, Outcome.NOT_RUN):
            return NOT_DECIDED
        return pytests if self.rows else pytests or NOT_DECIDED

    @property
    def headline(self) -> str:
        """The verdict, in two or three words."""
        if not self.rows:
            return "NOTHING WAS CHECKED"
        if self.rules(Outcome.FAIL):
            return "NOT RESTORABLE" if self._drill_failed else "NOT COMPLIANT"
        if not self.is_green:
            return "NOT PROVEN"
        return "RESTORABLE" if self.drilled else "COMPLIANT"

    @property
    def _drill_failed(self) -> bool:
        return any(rule.startswith(_RESTORE_RULES) for rule in self.rules(Outcome.FAIL))

    @property
    def sentence(self) -> str:
        """The verdict in plain words, with its reasons."""
        total = len({row.rule for row in self.judged})
        parts = [
            self._said(self.rules(Outcome.FAIL), total, "fails", "fail"),
            self._said(self.rules(Outcome.UNKNOWN), total, "could not be decided", "could not be decided"),
            self._said(self.rules(Outcome.ERROR), total, "ended in an error", "ended in an error"),
            self._said(self.rules(Outcome.NOT_RUN), total, "did not run", "did not run"),
        ]
        subjects = len({row.subject for row in self.judged})
        attested, waived = self.counts[Outcome.ATTESTED], self.counts[Outcome.WAIVED]
        others = [word for word, count in (("attested", attested), ("waived", waived)) if count]
        met = " or ".join(["all met", *others])
        said = [part for part in parts if part] or [
            f"{total} of the standard's rules checked on {_many(subjects, 'subject')}, {met}"
        ]
        said += [f"{_many(attested, 'check')} attested, not observed"] if attested else []
        said += [f"{_many(waived, 'finding')} waived"] if waived else []
        unasked = self.counts[Outcome.NOT_APPLICABLE]
        said += [f"{_many(unasked, 'check')} not applicable, as declared"] if unasked else []
        advisories = self.counts[Outcome.ADVISORY]
        said += [_many(advisories, "advisory", "advisories")] if advisories else []
        undecided = sum(row.level != "must" and row.outcome in _UNDECIDED for row in self.rows)
        said += [f"{_many(undecided, 'recommendation')} undecided"] if undecided else []
        said += [f"{_many(self.leftovers, 'temporary guest')} left behind"] if self.leftovers else []
        said += [f"{_many(self.not_covered, 'guest')} not yet covered"] if self.drilled and self.not_covered else []
        said += ["only a part of the rules was run"] if self.partial else []
        said += ["the platform is degraded until the backup storage is mended"] if self.is_degraded else []
        return "; ".join(said) if self.rows else "no rule was run"

    @staticmethod
    def _said(rules: Sequence[str], total: int, one: str, several: str) -> str:
        verb = one if len(rules) == 1 else several
        return f"{len(rules)} of {_many(total, 'rule')} {verb} ({', '.join(rules)})" if rules else ""

    def __str__(self) -> str:
        return f"{self.headline}: {self.sentence}"


def _many(count: int, one: str, several: str = "") -> str:
    """A count with its noun."""
    return f"{count} {one if count == 1 else several or one + 's'}"
