"""A run in one line and one exit status."""

from __future__ import annotations

import pytest

from backup_standard.evidence.summary import Summary
from backup_standard.evidence.verdicts import Outcome, Verdict

O = Outcome  # noqa: E741


def row(rule: str, outcome: Outcome, subject: str = "VM 210 (dns)", level: str = "must", **observed: object) -> Verdict:
    return Verdict(f"{rule}[{subject}]", rule, subject, "title", level, "standard", outcome, observed=observed)


def test_all_met() -> None:
    summary = Summary([row("A-01", O.PASS), row("A-02", O.PASS), row("A-02", O.ADVISORY, "VM 100 (x)")])
    assert str(summary) == "COMPLIANT: 2 of the standard's rules checked on 2 subjects, all met; 1 advisory"
    assert summary.exit_status(0) == 0
    assert summary.is_green


def test_failures_are_counted_by_rule() -> None:
    rows = [row("A-01", O.FAIL), row("A-01", O.FAIL, "VM 100 (x)"), row("A-02", O.FAIL), row("A-03", O.PASS)]
    summary = Summary(rows)
    assert str(summary) == "NOT COMPLIANT: 2 of 3 rules fail (A-01, A-02)"
    assert summary.exit_status(1) == 1
    assert summary.counts["fail"] == 3


def test_everything_that_is_not_known_is_said() -> None:
    summary = Summary([row("A-01", O.UNKNOWN), row("A-02", O.ERROR), row("A-03", O.NOT_RUN), row("A-04", O.PASS)])
    assert str(summary) == (
        "NOT PROVEN: 1 of 4 rules could not be decided (A-01); 1 of 4 rules ended in an error (A-02); "
        "1 of 4 rules did not run (A-03)"
    )
    assert summary.exit_status(1) == 12


def test_a_drill() -> None:
    assert Summary([row("RST-01", O.PASS)], drilled=True, not_covered=2).sentence == (
        "1 of the standard's rules checked on 1 subject, all met; 2 guests not yet covered"
    )
    assert Summary([row("RST-01", O.PASS)], drilled=True).headline == "RESTORABLE"
    assert Summary([row("RST-03", O.FAIL)], drilled=True).headline == "NOT RESTORABLE"


def test_leftovers_come_first() -> None:
    summary = Summary([row("RST-01", O.PASS)], drilled=True, leftovers=1)
    assert (
        str(summary)
        == "NOT PROVEN: 1 of the standard's rules checked on 1 subject, all met; 1 temporary guest left behind"
    )
    assert summary.exit_status(0) == 10
    assert summary.exit_status(2) == 10


@pytest.mark.parametrize(
    "rows", [[row("STO-03", O.FAIL)], [row("STO-07", O.FAIL)], [row("STO-02", O.FAIL, mounted_now=False)]]
)
def test_a_failed_backup_storage_degrades_the_platform(rows: list[Verdict]) -> None:
    summary = Summary(rows)
    assert "the platform is degraded until the backup storage is mended" in summary.sentence
    assert summary.exit_status(1) == 11


def test_an_unmounted_storage_that_is_unknown_is_not_called_degraded() -> None:
    assert not Summary([row("STO-03", O.UNKNOWN), row("STO-02", O.FAIL, mounted_now=True)]).is_degraded


def test_pytest_s_own_statuses_stay() -> None:
    assert Summary([row("A-01", O.FAIL)]).exit_status(2) == 2
    assert Summary([row("A-01", O.PASS)]).exit_status(1) == 1
    assert Summary([row("A-01", O.FAIL)]).exit_status(0) == 1


def test_nothing_run_is_never_green() -> None:
    summary = Summary([])
    assert str(summary) == "NOTHING WAS CHECKED: no rule was run"
    assert not summary.is_green
    assert summary.exit_status(0) == 12
    assert summary.exit_status(5) == 5


def test_a_part_says_so_and_a_failing_should_fails_nothing() -> None:
    summary = Summary([row("A-01", O.PASS), row("A-02", O.FAIL, level="should")], partial=True)
    assert (
        summary.sentence == "2 of the standard's rules checked on 1 subject, all met; only a part of the rules was run"
    )
    assert summary.exit_status(0) == 0


def test_what_is_attested_is_neither_red_nor_met() -> None:
    summary = Summary([row("A-01", O.ATTESTED), row("A-02", O.PASS)])
    assert str(summary) == (
        "COMPLIANT: 2 of the standard's rules checked on 1 subject, all met or attested; 1 check attested, not observed"
    )
    assert summary.exit_status(0) == 0
    assert summary.counts["attested"] == 1


def test_recommendations_that_could_not_be_decided_are_told_and_do_no_harm() -> None:
    summary = Summary([row("RET-01", Outcome.PASS), row("WFL-03", Outcome.UNKNOWN, level="should")])
    assert summary.headline == "COMPLIANT"
    assert summary.sentence.endswith("1 recommendation undecided")
    assert summary.exit_status(0) == 0
