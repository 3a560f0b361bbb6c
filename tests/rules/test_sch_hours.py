"""SCH: the hour of the site's clock, the hours of low usage, names, missed runs, modes."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from backup_standard.audit.hours import Window
from backup_standard.errors import Unknown
from backup_standard.evidence.notes import Evidence
from backup_standard.model import Facts, Gap, Node, Task
from tests.rules import builders as b
from tests_infra import test_sch_schedule as sch


def judged(rule: Callable[..., None], facts: Facts, **inventory: Any) -> Evidence:
    evidence = Evidence()
    rule(b.mandatory(facts, **inventory), evidence)
    return evidence


def scheduled(*schedules: str, zone: str = "Europe/Berlin") -> Facts:
    node = Node(b.NODE, online=True, timezone=zone, now=int(b.NOW.timestamp()))
    jobs = [b.job(210, id=f"job{number}", schedule=one) for number, one in enumerate(schedules)]
    return replace(b.with_jobs(jobs), nodes={b.NODE: node})


# --- SCH-02 ------------------------------------------------------------------------------------------------------

hour = sch.test_run_is_planned_for_the_hour_of_the_policy


@pytest.mark.parametrize(
    "schedule", ["02:00", "2:0", "*-*-* 02:00:00", "mon..sun 2:00", "2,14:00", "0:00 UTC", "1:00 UTC"]
)
def test_every_way_to_write_two_o_clock_passes(schedule: str) -> None:
    facts = scheduled(schedule)
    if schedule.endswith("UTC"):
        with pytest.raises(AssertionError, match="have no run at 02:00"):
            judged(hour, facts)
    else:
        assert judged(hour, facts).observed["zone_of_the_node"] == "Europe/Berlin"


@pytest.mark.parametrize(
    ("schedule", "times"), [("03:00", "03:00"), ("22:00", "22:00"), ("02:30", "02:30"), ("2", "00:02")]
)
def test_another_hour_fails(schedule: str, times: str) -> None:
    with pytest.raises(AssertionError, match=rf"planned nights of VM 210 \(dns\) have no run at 02:00, but at {times}"):
        judged(hour, scheduled(schedule))


def test_the_companion_of_the_shortened_night_is_exempt() -> None:
    assert not judged(hour, scheduled("02:00", "sun *-3-25..31 03:00")).advice


def test_a_further_run_at_another_hour_is_no_fault() -> None:
    judged(hour, scheduled("02:00", "12:00"))


def test_the_calendar_time_counts_not_the_queue() -> None:
    late = b.task(210, b.LAST_NIGHT + dt.timedelta(hours=2))
    judged(hour, b.facts(tasks={b.NODE: (late,)}))


@pytest.mark.parametrize("schedule", ["00:00", "01:00"])
def test_a_node_in_another_zone_is_advice_when_its_runs_are_right_for_half_the_year(schedule: str) -> None:
    evidence = judged(hour, scheduled(schedule, zone="UTC"))
    assert "node pve1 keeps the clock of UTC, so runs move with summer time between" in evidence.advice


def test_two_o_clock_in_another_zone_is_not_two_o_clock_at_the_site() -> None:
    with pytest.raises(AssertionError, match="have no run at 02:00, but at 03:00, 04:00"):
        judged(hour, scheduled("02:00", zone="UTC"))


def test_a_client_without_tolerance() -> None:
    policy = {"storage": b.STORAGE, "summer_time_tolerance": "0s"}
    with pytest.raises(AssertionError, match="have no run at 02:00"):
        judged(hour, scheduled("01:00", zone="UTC"), policy=policy)


def test_a_zone_of_another_name_with_the_same_clock_needs_no_advice() -> None:
    assert not judged(hour, scheduled("02:00", zone="Europe/Vienna")).advice


def test_a_job_that_never_runs() -> None:
    with pytest.raises(AssertionError, match=r"no run of VM 210 \(dns\) is planned at all"):
        judged(hour, scheduled("*-02-30 02:00"))


# --- SCH-04 ------------------------------------------------------------------------------------------------------

low_usage = sch.test_runs_stay_within_the_hours_of_low_usage


def with_tasks(*tasks: Task, **changes: Any) -> Facts:
    return b.facts(tasks={b.NODE: tasks}, **changes)


def test_runs_of_the_night_pass() -> None:
    observed = judged(low_usage, b.facts()).observed
    assert observed["runs"] == 3
    assert observed["longest"] == "42 s"


def test_a_run_that_waits_until_morning_shows() -> None:
    started = int(b.LAST_NIGHT.timestamp()) + 2
    with pytest.raises(AssertionError, match=r"1 of 1 runs of VM 210 \(dns\) left .* 2026-11-24 02:00 to 06:30"):
        judged(low_usage, with_tasks(b.task(210, endtime=started + 4 * 3600 + 1800)))


def test_runs_at_the_hour_of_a_former_schedule_count() -> None:
    facts = replace(scheduled("03:30"), tasks={b.NODE: (b.task(210),)})
    assert judged(low_usage, facts).observed["runs"] == 1


def test_backups_by_hand_at_noon_are_not_the_schedule_s() -> None:
    noon = b.LAST_NIGHT - dt.timedelta(hours=14)
    by_hand = b.log(210, noon, command=f"210 --storage {b.STORAGE} --compress zstd")
    for log in (by_hand, None):
        assert judged(low_usage, with_tasks(b.task(210), b.task(210, noon, log=log))).observed["runs"] == 1


def test_a_task_of_several_guests_counts_when_the_guest_is_among_them() -> None:
    ours = b.task(210, id="", log=b.log(210, b.LAST_NIGHT))
    assert judged(low_usage, with_tasks(ours)).observed["runs"] == 1
    others = b.task(210, id="", log=b.log(100, b.LAST_NIGHT))
    with pytest.raises(AssertionError, match="no scheduled run"):
        judged(low_usage, with_tasks(others))


def test_a_run_that_goes_on_is_not_judged() -> None:
    with pytest.raises(AssertionError, match="no scheduled run"):
        judged(low_usage, with_tasks(b.task(210, endtime=None, status="")))


def test_a_run_in_the_client_s_own_hours() -> None:
    policy = {"storage": b.STORAGE, "low_usage": "03:00-05:00"}
    with pytest.raises(AssertionError, match=r"03:00 to 05:00"):
        judged(low_usage, b.facts(), policy=policy)


def test_tasks_that_were_not_read_are_unknown() -> None:
    with pytest.raises(Unknown, match=r"Sys\.Audit"):
        judged(low_usage, b.facts(tasks={b.NODE: Gap("tasks", "filtered", "Sys.Audit on /nodes/pve1")}))


@pytest.mark.parametrize(
    ("text", "begin", "hours", "inside"),
    [("22:00-06:00", 22, 8, True), ("22:00-06:00", 21, 1, False), ("22:00-06:00", 5, 2, False),
     ("01:00-05:00", 1, 4, True), ("01:00-05:00", 5, 0, False), ("00:00-00:00", 12, 3, True)],
)  # fmt: skip
def test_hours_of_low_usage_may_reach_over_midnight(text: str, begin: int, hours: int, *, inside: bool) -> None:
    moment = int(dt.datetime(2026, 11, 24, begin, tzinfo=b.BERLIN).timestamp())
    assert Window(text).holds(moment, moment + hours * 3600, b.BERLIN) is inside


# --- SCH-05 ------------------------------------------------------------------------------------------------------

named = sch.test_job_is_named_after_its_guest


def test_the_policy_s_own_name_passes() -> None:
    judged(named, b.facts())


def test_one_job_for_all_is_advice_and_the_remedy_makes_one_more() -> None:
    everything = b.with_jobs([b.job(210, id="everything", vmids=(), selection="all")])
    with pytest.raises(AssertionError, match=r"is backed up by everything, not by a job named nightly-vm210"):
        judged(named, everything)
    assert "delete" not in b.mandatory(everything).renaming


def test_a_job_of_another_name_is_replaced() -> None:
    facts = b.with_jobs([b.job(210, id="backup-1234")])
    with pytest.raises(AssertionError, match="backup-1234"):
        judged(named, facts)
    made, deleted = b.mandatory(facts).renaming.splitlines()
    assert made.startswith("pvesh create /cluster/backup --id nightly-vm210 --schedule 02:00 --vmid 210")
    assert deleted == "pvesh delete /cluster/backup/backup-1234"


def test_a_companion_beside_the_named_job_is_exempt() -> None:
    judged(named, b.with_jobs([b.job(210), b.job(210, id="summertime-vm210")]))


# --- SCH-06 ------------------------------------------------------------------------------------------------------

missed = sch.test_no_run_was_missed_unnoticed


def nightly(count: int, *, without: tuple[int, ...] = ()) -> Facts:
    moments = [moment for index, moment in enumerate(b.nights(count)) if index not in without]
    return with_tasks(*(b.task(210, moment, log=None) for moment in moments))


def test_a_run_every_night_passes_whatever_repeat_missed_says() -> None:
    assert judged(missed, nightly(13)).observed["makes_up_for_missed_runs"] == {"nightly-vm210": False}
    on = replace(nightly(13), jobs={"j": b.job(210, raw={"repeat-missed": "1"})})
    assert judged(missed, on).observed["makes_up_for_missed_runs"] == {"nightly-vm210": True}


def test_a_night_without_a_run_is_noticed() -> None:
    with pytest.raises(
        AssertionError, match=r"in 2 of the last 14 nights no planned run .* began: 2026-11-20, 2026-11-22"
    ):
        judged(missed, nightly(13, without=(2, 4)))


def test_nights_before_the_first_run_were_not_missed() -> None:
    judged(missed, nightly(2))
    judged(missed, with_tasks())


def test_a_catch_up_some_hours_later_is_no_miss() -> None:
    late = b.task(210, b.LAST_NIGHT + dt.timedelta(hours=5), log=None)
    judged(missed, with_tasks(late, b.task(210, b.nights(2)[1])))


# --- SCH-08 ------------------------------------------------------------------------------------------------------

mode = sch.test_job_uses_mode_snapshot


def test_snapshot_passes_also_where_only_proxmox_s_default_says_so() -> None:
    assert judged(mode, b.facts()).observed["mode"] == {"nightly-vm210": "snapshot"}


@pytest.mark.parametrize("changes", [{"mode": "stop"}, {"raw": {"mode": "suspend"}}])
def test_another_mode_is_advice(changes: dict[str, Any]) -> None:
    with pytest.raises(AssertionError, match=r"no job of VM 210 .* uses mode snapshot: job nightly-vm210 uses s"):
        judged(mode, b.with_jobs([b.job(210, **changes)]))


def test_vzdump_conf_may_set_another_mode() -> None:
    with pytest.raises(AssertionError, match="uses stop"):
        judged(mode, b.facts(defaults={b.NODE: {"mode": "stop"}}))
    explicit = b.facts(defaults={b.NODE: {"mode": "stop"}}, jobs={"j": b.job(210, raw={"mode": "snapshot"})})
    judged(mode, explicit)


def test_mode_stop_in_the_log_of_a_guest_that_is_off_is_normal() -> None:
    log = (b.log(210, b.LAST_NIGHT)[0], b.guest_log(210, b.LAST_NIGHT)[0], "INFO: backup mode: stop", "TASK OK")
    assert not judged(mode, with_tasks(b.task(210, log=log))).advice


def test_a_container_that_is_paused_because_its_storage_has_no_snapshots_is_advice() -> None:
    head, *rest = b.guest_log(210, b.LAST_NIGHT)
    failure = ("INFO: mode failure - some volumes do not support snapshots", "INFO: trying 'suspend' mode instead")
    log = (b.log(210, b.LAST_NIGHT)[0], head, *failure, *rest, "TASK OK")
    advice = judged(mode, with_tasks(b.task(210, log=log))).advice
    assert advice.startswith("the newest run of VM 210 (dns) fell back to mode suspend, which pauses it")


@pytest.mark.parametrize("rule", [hour, low_usage, named, missed, mode])
def test_without_a_job_every_rule_says_so(rule: Callable[..., None]) -> None:
    with pytest.raises(AssertionError, match="no enabled job"):
        judged(rule, b.with_jobs([]))
