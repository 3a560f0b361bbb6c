"""SCH: a run every night, and the one night that summer time takes away."""

from __future__ import annotations

import pytest

from backup_standard.errors import Unknown
from backup_standard.evidence.notes import Evidence
from backup_standard.model import Facts, Gap, Node
from tests.rules import builders as b
from tests_infra import test_sch_schedule as sch


def judge(facts: Facts) -> Evidence:
    evidence = Evidence()
    sch.test_guest_has_a_run_planned_every_night(b.mandatory(facts), evidence)
    return evidence


def scheduled(*schedules: str, **changes: object) -> Facts:
    return b.with_jobs([b.job(210, id=f"job{number}", schedule=one, **changes) for number, one in enumerate(schedules)])


def test_a_nightly_run_passes_with_advice_about_summer_time() -> None:
    evidence = judge(b.facts())
    assert evidence.observed["nights_looked_at"] == 400
    assert evidence.observed["nights_lost_to_summer_time"] == ["2027-03-28"]
    assert "2027-03-28" in evidence.advice
    assert evidence.advised_remedy.startswith(
        "pvesh create /cluster/backup --id summertime-vm210 --schedule 'sun *-3-25..31 03:00'"
    )
    assert "--storage backup-hdd" in evidence.advised_remedy
    assert "keep-daily=14" in evidence.advised_remedy


def test_a_companion_job_ends_the_advice() -> None:
    assert judge(scheduled("02:00", "sun *-3-25..31 03:00")).advice == ""


@pytest.mark.parametrize("schedule", ["03:00", "23:30", "daily", "02:30 UTC", "*:0/15", "*:*"])
def test_schedules_outside_the_gap_need_no_advice(schedule: str) -> None:
    assert judge(scheduled(schedule)).advice == ""


def test_working_days_only_fails() -> None:
    with pytest.raises(
        AssertionError, match=r"of the next 400 nights have no run of VM 210 \(dns\): 2026-11-28, 2026-11-29"
    ):
        judge(scheduled("mon..fri 02:00"))


def test_weekly_fails() -> None:
    with pytest.raises(AssertionError, match="343 of the next 400"):
        judge(scheduled("sat 03:00"))


def test_jobs_complement_each_other() -> None:
    assert judge(scheduled("mon..fri 03:00", "sat,sun 04:00")).advice == ""


def test_two_nights_in_a_row_fail_even_across_the_clock_change() -> None:
    with pytest.raises(AssertionError, match="2027-03-29"):
        judge(scheduled("*-1,2,4..12-* 02:00", "*-3-1..28 02:00", "*-3-30,31 02:00"))


def test_a_schedule_that_is_no_calendar_event_never_runs() -> None:
    with pytest.raises(AssertionError, match="400 of the next 400"):
        judge(scheduled("every night"))


def test_a_schedule_that_has_passed_never_runs() -> None:
    with pytest.raises(AssertionError, match="400 of the next 400"):
        judge(scheduled("2020-01-01 02:00"))


def test_a_lone_number_is_minutes() -> None:
    assert judge(scheduled("2")).observed["nights_without_a_run"] == 0


def test_the_site_s_own_computation_is_preferred() -> None:
    """The recorded starts say that every second night is left out, whatever the schedule's text seems to say."""
    first = int(b.LAST_NIGHT.timestamp())
    runs = tuple(first + 2 * 86400 * number for number in range(1, 205))
    with pytest.raises(AssertionError, match="nights have no run"):
        judge(scheduled("03:00", runs=runs, runs_source="the site", runs_until=runs[-1]))


def test_starts_that_end_too_early_are_not_taken_for_the_whole_plan() -> None:
    runs = tuple(int(b.LAST_NIGHT.timestamp()) + 86400 * number for number in range(1, 50))
    early = judge(scheduled("03:00", runs=runs, runs_until=runs[-1])).observed
    assert early["nights_without_a_run"] == 0


def test_who_computed_the_runs_is_told() -> None:
    assert judge(scheduled("03:00")).observed["planned_by"] == "this suite, by the clock of Europe/Berlin"


def test_new_york_gets_a_dated_companion() -> None:
    node = Node(b.NODE, online=True, timezone="America/New_York", now=int(b.NOW.timestamp()))
    facts = b.facts(nodes={b.NODE: node})
    evidence = judge(facts)
    assert evidence.observed["nights_lost_to_summer_time"] == ["2027-03-14"]
    assert "--schedule '2027-03-14 03:00'" in evidence.advised_remedy


def test_a_node_whose_zone_is_unknown() -> None:
    with pytest.raises(Unknown, match="time zone of node pve1"):
        judge(b.facts(nodes={b.NODE: Node(b.NODE, online=True)}))
    with pytest.raises(Unknown, match="calls it Mars/Olympus, which is no known zone"):
        judge(b.facts(nodes={b.NODE: Node(b.NODE, online=True, timezone="Mars/Olympus")}))
    with pytest.raises(Unknown, match="offline"):
        judge(b.facts(nodes={b.NODE: Gap("node pve1", "it is offline")}))
    with pytest.raises(Unknown, match="not part of what was read"):
        judge(b.facts(nodes={}))


def test_without_a_job_the_rule_fails() -> None:
    with pytest.raises(AssertionError, match="no enabled job"):
        judge(b.with_jobs([]))


def test_nights_begin_at_noon() -> None:
    """A job at 23:00 and one at 01:00 serve the same night."""
    late = judge(scheduled("mon..thu,sun 23:00", "sat,sun 01:00"))
    assert late.observed["nights_without_a_run"] == 0
