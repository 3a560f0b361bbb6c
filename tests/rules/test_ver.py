"""VER: the last scheduled run and the newest archive."""

from __future__ import annotations

import datetime as dt
from dataclasses import replace
from typing import Any

import pytest

from backup_standard.errors import Unknown
from backup_standard.evidence.notes import Evidence
from backup_standard.model import Facts, Gap, Node, Task
from tests.rules import builders as b
from tests_infra import test_ver_verification as ver

BEFORE = b.LAST_NIGHT - dt.timedelta(days=1)


def last_run(facts: Facts) -> Evidence:
    evidence = Evidence()
    ver.test_last_scheduled_run_was_without_error(b.mandatory(facts), evidence)
    return evidence


def newest(facts: Facts, **inventory: object) -> Evidence:
    evidence = Evidence()
    ver.test_newest_archive_is_younger_than_the_rpo(b.mandatory(facts, **inventory), evidence)
    return evidence


def with_tasks(*tasks: Task, states: bool = True) -> Facts:
    facts = b.facts(tasks={b.NODE: tasks})
    return facts if states else replace(facts, job_states={})


def with_log(*lines: str, **changes: object) -> Facts:
    head = f"INFO: starting new backup job: vzdump 210 --quiet 1 --storage {b.STORAGE}"
    return with_tasks(b.task(210, log=(head, *lines), **changes))


# --- VER-01 ------------------------------------------------------------------------------------------------------


def test_a_clean_run_passes_and_says_how_it_was_recognised() -> None:
    observed = last_run(b.facts()).observed
    assert observed["told_by"] == "state file of the job"
    assert observed["planned_for"] == "2026-11-24 02:00"
    assert observed["ended_with"] == "OK"


def test_without_ssh_command_and_start_time_tell() -> None:
    assert last_run(with_tasks(b.task(210), states=False)).observed["told_by"] == "command and start time"


def test_a_failed_guest_fails_with_its_reason() -> None:
    facts = with_log(
        "INFO: Starting Backup of VM 210 (qemu)",
        "ERROR: Backup of VM 210 failed - VM is locked (backup)",
        "INFO: Backup job finished with errors",
        "TASK ERROR: job errors",
        status="job errors",
    )
    with pytest.raises(AssertionError, match=r"VM 210 \(dns\): the backup failed: VM is locked \(backup\)"):
        last_run(facts)


def test_job_errors_of_another_guest_do_not_blame_this_one() -> None:
    """A task of several guests has an empty id and one status for all."""
    log = (
        f"INFO: starting new backup job: vzdump 210 999 --storage {b.STORAGE} --quiet 1",
        *b.guest_log(210, b.LAST_NIGHT),
        "ERROR: Backup of VM 999 failed - unable to find VM '999'",
        "INFO: Backup job finished with errors",
        "TASK ERROR: job errors",
    )
    shared = b.job(210, vmids=(210, 999))
    facts = replace(
        with_tasks(b.task(210, id="", status="job errors", log=log), states=False), jobs={shared.id: shared}
    )
    assert last_run(facts).observed["ended_with"] == "job errors"


def test_ok_can_hide_error_lines() -> None:
    lines = b.guest_log(210, b.LAST_NIGHT)
    facts = with_log(
        *lines[:-1], "ERROR: VM 210 qmp command 'guest-fsfreeze-thaw' failed - got timeout", lines[-1], "TASK OK"
    )
    with pytest.raises(AssertionError, match="its log holds errors: VM 210 qmp command"):
        last_run(facts)


def test_warnings_are_advice() -> None:
    lines = b.guest_log(210, b.LAST_NIGHT)
    facts = with_log(
        *lines[:-1], "WARN: unable to add notes - no space", lines[-1], "TASK WARNINGS: 1", status="WARNINGS: 1"
    )
    assert last_run(facts).advice == "the backup finished with warnings: unable to add notes - no space"
    silent = with_log(*lines, "TASK WARNINGS: 1", status="WARNINGS: 1")
    assert last_run(silent).advice == "the run ended with WARNINGS: 1"


def test_an_interrupted_backup_fails() -> None:
    facts = with_log("INFO: Starting Backup of VM 210 (qemu)", status="unexpected status")
    with pytest.raises(AssertionError, match="began and never finished; the run ended with: unexpected status"):
        last_run(facts)


def test_a_worker_killed_after_the_guest_is_still_no_clean_run() -> None:
    facts = with_log(*b.guest_log(210, b.LAST_NIGHT), status="unexpected status")
    with pytest.raises(AssertionError, match="unexpected status"):
        last_run(facts)


def test_a_storage_that_was_away_stops_the_run_before_any_guest() -> None:
    why = f"could not activate storage '{b.STORAGE}': directory is expected to be a mount point but is not mounted"
    with pytest.raises(AssertionError, match="did not back the guest up; it ended with: could not activate storage"):
        last_run(with_tasks(b.task(210, log=(f"TASK ERROR: {why}",), status=why)))
    with pytest.raises(AssertionError, match="could not activate storage"):
        last_run(with_tasks(b.task(210, log=(f"TASK ERROR: {why}",), status=why), states=False))


def test_a_guest_that_was_on_another_node() -> None:
    facts = with_log("INFO: skip external VMs: 210, 211", "INFO: Backup job finished successfully", "TASK OK")
    with pytest.raises(AssertionError, match="because the guest was on another node; it ended with: OK"):
        last_run(facts)


def test_a_missed_night_fails_though_the_night_before_was_fine() -> None:
    with pytest.raises(AssertionError, match="was due at 2026-11-24 02:00, and no such run took place"):
        last_run(with_tasks(b.task(210, BEFORE), states=False))


@pytest.mark.parametrize(
    "changes",
    [
        {"user": "operator@pve"},
        {"tokenid": "suite"},
        {"id": "100"},
        {"type": "qmrestore"},
        {"log": b.log(210, b.LAST_NIGHT, command=f"210 --storage {b.STORAGE} --compress zstd")},
        {"log": b.log(210, b.LAST_NIGHT, command="210 --quiet 1 --storage nas")},
        {"log": b.log(100, b.LAST_NIGHT)},
    ],
)
def test_a_backup_by_hand_is_no_scheduled_run(changes: dict[str, Any]) -> None:
    with pytest.raises(AssertionError, match="no such run took place"):
        last_run(with_tasks(b.task(210, **changes), states=False))


def test_a_backup_at_another_time_is_no_scheduled_run() -> None:
    noon = b.LAST_NIGHT + dt.timedelta(hours=6, minutes=5)
    with pytest.raises(AssertionError, match="no such run took place"):
        last_run(with_tasks(b.task(210, noon), states=False))


def test_a_run_that_goes_on_is_not_judged_yet() -> None:
    running = b.task(210, endtime=None, status="")
    assert last_run(with_tasks(running, b.task(210, BEFORE))).observed["planned_for"] == "2026-11-23 02:00"


def test_a_run_that_is_due_this_minute_is_not_missed_yet() -> None:
    node = Node(b.NODE, online=True, timezone="Europe/Berlin", now=int(b.LAST_NIGHT.timestamp()) + 30)
    facts = replace(with_tasks(b.task(210, BEFORE), states=False), nodes={b.NODE: node})
    assert last_run(facts).observed["planned_for"] == "2026-11-23 02:00"


def test_a_job_that_was_never_due() -> None:
    facts = b.with_jobs([b.job(210, schedule="2030-01-01 02:00")])
    with pytest.raises(AssertionError, match=r"no job of VM 210 \(dns\) has been due yet"):
        last_run(facts)


def test_of_two_jobs_the_latest_start_counts() -> None:
    jobs = [b.job(210), b.job(210, id="early", schedule="01:00")]
    facts = replace(b.with_jobs(jobs), tasks={b.NODE: (b.task(210),)})
    assert last_run(facts).observed["job"] == "nightly-vm210"


def test_a_log_that_was_not_read_is_unknown() -> None:
    with pytest.raises(Unknown, match="the log of task"):
        last_run(with_tasks(b.task(210, log=None)))
    with pytest.raises(Unknown, match="the log of task"):
        last_run(with_tasks(b.task(210, log=None), states=False))


def test_tasks_that_were_not_read_are_unknown() -> None:
    with pytest.raises(Unknown, match=r"Sys.Audit"):
        last_run(b.facts(tasks={b.NODE: Gap("tasks", "only its own are shown", "Sys.Audit on /nodes/pve1")}))
    with pytest.raises(Unknown, match="they were not read"):
        last_run(b.facts(tasks={}))


def test_without_a_job_ver_01_fails() -> None:
    with pytest.raises(AssertionError, match="no enabled job"):
        last_run(b.with_jobs([]))


# --- VER-02 ------------------------------------------------------------------------------------------------------


def with_archives(*moments: dt.datetime, **changes: object) -> Facts:
    return b.facts(archives={b.KEY: tuple(b.archive(210, moment, **changes) for moment in moments)})


def test_last_night_s_archive_is_young_enough() -> None:
    observed = newest(b.facts()).observed
    assert observed["age"] == "7 h"
    assert observed["archives"] == 14
    assert observed["newest_archive"] == "archive vzdump-qemu-210-2026_11_24-02_00_00.vma.zst"


def test_the_night_before_is_too_old() -> None:
    with pytest.raises(AssertionError, match=r"of VM 210 \(dns\) is 1 d 7 h old; the RPO allows 1 d 2 h"):
        newest(with_archives(BEFORE))


def test_a_guest_s_own_rpo_counts() -> None:
    guests = {210: {"role": "dns", "rpo": "4h"}}
    with pytest.raises(AssertionError, match="is 7 h old; the RPO allows 4 h"):
        newest(b.facts(), guests=guests)


def test_no_archive_at_all() -> None:
    with pytest.raises(AssertionError, match=r"VM 210 \(dns\) has no archive on storage backup-hdd"):
        newest(b.facts(archives={b.KEY: ()}))


def test_archives_of_a_container_that_had_the_vmid_before_do_not_count() -> None:
    with pytest.raises(AssertionError, match="has no archive"):
        newest(with_archives(b.LAST_NIGHT, kind="lxc"))


def test_an_archive_from_the_future_shows_a_wrong_clock() -> None:
    with pytest.raises(AssertionError, match="dated in the future"):
        newest(with_archives(b.NOW + dt.timedelta(hours=2)))


def test_a_few_minutes_ahead_are_forgiven() -> None:
    newest(with_archives(b.NOW + dt.timedelta(minutes=3)))


def test_ages_are_measured_against_the_node_s_clock() -> None:
    node = Node(b.NODE, online=True, timezone="Europe/Berlin", now=int(b.NOW.timestamp()) + 86400)
    with pytest.raises(AssertionError, match="is 1 d 7 h old"):
        newest(b.facts(nodes={b.NODE: node}))


def test_archives_of_a_former_node_count_for_a_migrated_guest() -> None:
    moved = b.guest(210, "dns", node="pve2")
    both = {
        name: Node(name, online=True, timezone="Europe/Berlin", now=int(b.NOW.timestamp())) for name in ("pve1", "pve2")
    }
    facts = replace(b.spoiled("guests", 210, moved), nodes=both)
    assert newest(facts).observed["archives"] == 14


def test_a_listing_that_could_not_be_read_is_unknown() -> None:
    with pytest.raises(Unknown, match="archives"):
        newest(b.facts(archives={b.KEY: Gap("archives on pve1/backup-hdd", "not mounted")}))


def test_another_node_s_unreadable_listing_matters_only_where_nothing_was_found() -> None:
    both = {
        name: Node(name, online=True, timezone="Europe/Berlin", now=int(b.NOW.timestamp())) for name in ("pve1", "pve2")
    }
    gap = Gap("archives on pve2/backup-hdd", "the node is offline")
    facts = b.facts(nodes=both)
    found = replace(facts, archives={**facts.archives, "pve2/backup-hdd": gap})
    assert newest(found).observed["archives"] == 14
    with pytest.raises(Unknown, match="the node is offline"):
        newest(replace(facts, archives={b.KEY: (), "pve2/backup-hdd": gap}))


def test_the_night_that_summer_time_takes_away_is_allowed_for() -> None:
    """02:00 does not exist on 2027-03-28 in Berlin: on Sunday morning Saturday's archive is 30 hours old."""
    sunday = dt.datetime(2027, 3, 28, 9, 0, tzinfo=b.BERLIN)
    saturday = dt.datetime(2027, 3, 27, 2, 0, tzinfo=b.BERLIN)
    node = Node(b.NODE, online=True, timezone="Europe/Berlin", now=int(sunday.timestamp()))
    facts = replace(with_archives(saturday), nodes={b.NODE: node})
    assert newest(facts).observed["nights_lost_to_summer_time"] == 1
    monday = replace(node, now=int((sunday + dt.timedelta(days=1)).timestamp()))
    with pytest.raises(AssertionError, match="the RPO allows 2 d 2 h"):
        newest(replace(facts, nodes={b.NODE: monday}))


def test_a_missed_ordinary_night_is_not_allowed_for() -> None:
    assert newest(b.facts()).observed["nights_lost_to_summer_time"] == 0


def test_a_renamed_file_is_no_newer_archive() -> None:
    """Its date is that of the renaming."""
    renamed = b.archive(210, b.NOW, volid=f"{b.STORAGE}:backup/vzdump-qemu-210-before-upgrade.vma.zst")
    with pytest.raises(AssertionError, match="is 1 d 7 h old"):
        newest(b.facts(archives={b.KEY: (b.archive(210, BEFORE), renamed)}))
