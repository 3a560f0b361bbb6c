"""The reckoning between what was planned and what was heard."""

from __future__ import annotations

from dataclasses import replace

from backup_standard.evidence.notes import Evidence
from backup_standard.evidence.verdicts import Outcome, Planned, Verdict, reconcile, worst

ROW = Planned("t.py::a[210]", "STO-02", "storage s", "A title", "must", "minimum", "because")
PASS = Verdict(**ROW.to_json(), outcome=Outcome.PASS)


def test_what_was_planned_and_not_heard_of_is_not_run() -> None:
    other = replace(ROW, item="t.py::a[100]")
    first, second = reconcile([ROW, other], [PASS])
    assert first == PASS
    assert second.outcome is Outcome.NOT_RUN
    assert second.is_red
    assert second.message == "planned, and the run ended before it"


def test_a_verdict_that_was_never_planned_is_not_dropped() -> None:
    assert reconcile([], [PASS]) == [PASS]


def test_the_worst_of_a_row_and_its_clean_up_counts() -> None:
    failed_clean_up = replace(PASS, outcome=Outcome.ERROR, message="clean-up")
    for heard in ([PASS, failed_clean_up], [failed_clean_up, PASS]):
        assert worst(heard)[PASS.item].message == "clean-up"


def test_verdicts_survive_json() -> None:
    verdict = replace(PASS, outcome=Outcome.NOT_RUN, observed={"a": [1]}, message="m", remedy="r", seconds=1.5)
    assert Verdict.from_json(verdict.to_json()) == verdict


def test_a_should_is_never_red() -> None:
    assert not replace(PASS, level="should", outcome=Outcome.FAIL).is_red
    assert replace(PASS, outcome=Outcome.UNKNOWN).is_red
    assert not replace(PASS, outcome=Outcome.ADVISORY).is_red


def test_notes_are_collected_and_empty_advice_changes_nothing() -> None:
    evidence = Evidence()
    evidence(rpo=1)
    evidence(nights={"b", "a"})
    evidence.advise("")
    assert (evidence.observed, evidence.advice) == ({"rpo": 1, "nights": ["a", "b"]}, "")
    evidence.advise("take care", "do this")
    assert (evidence.advice, evidence.advised_remedy) == ("take care", "do this")
