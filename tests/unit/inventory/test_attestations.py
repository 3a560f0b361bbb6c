"""Attestations: which statement counts on a day, and why another does not."""

from __future__ import annotations

import datetime as dt
from typing import Any

from backup_standard.inventory import attestations
from tests.rules import builders as b

TODAY = dt.date(2026, 11, 24)


def statement(**changes: Any) -> dict[str, Any]:
    return {
        "rule": "STO-05", "subject": "pve1/backup-hdd", "statement": "own drive in bay 4", "by": "A. Admin",
        "date": "2026-11-01", "until": "2027-05-01",
    } | changes  # fmt: skip


def look_up(*statements: dict[str, Any], rule: str = "STO-05", day: dt.date = TODAY) -> attestations.Standing:
    names = {"pve1/backup-hdd", "storage backup-hdd on node pve1"}
    return attestations.look_up(b.inventory(attestations=list(statements)), rule, names, day)


def test_a_statement_in_date_counts_under_each_name_of_its_subject() -> None:
    for subject in ("pve1/backup-hdd", "storage backup-hdd on node pve1"):
        valid = look_up(statement(subject=subject)).valid
        assert valid
        said = "attested by A. Admin on 2026-11-01, valid until 2027-05-01: own drive in bay 4"
        assert attestations.say(valid) == said


def test_its_first_and_last_day_count_and_the_days_around_do_not() -> None:
    days = [dt.date(2026, 10, 31), dt.date(2026, 11, 1), dt.date(2027, 5, 1), dt.date(2027, 5, 2)]
    assert [bool(look_up(statement(), day=day).valid) for day in days] == [False, True, True, False]
    assert look_up(statement(), day=days[0]).why_not == "the attestation of A. Admin begins only on 2026-11-01"
    assert look_up(statement(), day=days[3]).why_not == "the attestation of A. Admin ended on 2027-05-01"


def test_another_rule_or_subject_is_not_meant() -> None:
    nothing = attestations.Standing()
    assert look_up(statement(), rule="STO-07") == nothing
    assert look_up(statement(subject="pve2/backup-hdd")) == nothing


def test_of_several_the_longest_counts() -> None:
    valid = look_up(statement(), statement(until="2027-06-01", by="B. Boss"), statement(until="2026-11-02")).valid
    assert valid
    assert valid.by == "B. Boss"
