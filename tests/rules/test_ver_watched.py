"""VER-04, VER-07, VER-08: errors that nothing made up for, and who would notice."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from backup_standard.errors import Unknown
from backup_standard.evidence.notes import Evidence
from backup_standard.model import (
    Facts,
    Gap,
    JournalLine,
    NotificationMatcher,
    Notifications,
    NotificationTarget,
    Task,
)
from tests.rules import builders as b
from tests_infra import test_ver_verification as ver

BEFORE = b.LAST_NIGHT - dt.timedelta(days=1)
NOON = b.LAST_NIGHT + dt.timedelta(hours=6)


def judged(rule: Callable[..., None], facts: Facts, **inventory: Any) -> Evidence:
    evidence = Evidence()
    rule(b.mandatory(facts, **inventory), evidence)
    return evidence


# --- VER-04 ------------------------------------------------------------------------------------------------------

mended = ver.test_no_error_of_backups_is_left_unmended


def failed(moment: dt.datetime, *lines: str, vmid: str = "210", storage: str = b.STORAGE, **changes: Any) -> Task:
    head = f"INFO: starting new backup job: vzdump 210 --quiet 1 --storage {storage}"
    told = lines or (
        "INFO: Starting Backup of VM 210 (qemu)",
        "ERROR: Backup of VM 210 failed - VM is locked (backup)",
        "TASK ERROR: job errors",
    )
    return b.task(210, moment, **{"id": vmid, "status": "job errors", "log": (head, *told), **changes})


def with_tasks(*tasks: Task, journal: tuple[JournalLine, ...] | Gap = ()) -> Facts:
    return b.facts(tasks={b.NODE: tasks}, journals={b.NODE: journal})


def test_a_clean_history_passes() -> None:
    assert judged(mended, b.facts()).observed == {"cured": [], "uncured": []}


def test_an_error_that_a_later_backup_made_up_for_is_cured() -> None:
    observed = judged(mended, with_tasks(failed(BEFORE))).observed
    assert observed["cured"] == [f"2026-11-23 02:00 VM is locked (backup) (task {b.upid(210, BEFORE)})"]


def test_an_error_after_the_newest_archive_is_open() -> None:
    with pytest.raises(AssertionError, match=r"no later backup of VM 210 \(dns\) made up for: 2026-11-24 08:00 VM is"):
        judged(mended, with_tasks(failed(NOON)))


def test_another_guest_s_archive_cures_nothing() -> None:
    facts = with_tasks(failed(BEFORE))
    others = tuple(one for one in facts.archives[b.KEY] if one.vmid == 100)  # type: ignore[union-attr]
    with pytest.raises(AssertionError, match="VM is locked"):
        judged(mended, replace(facts, archives={b.KEY: others}))


def test_a_backup_whose_pruning_failed_is_not_cured_by_its_own_archive() -> None:
    task = failed(
        b.LAST_NIGHT,
        "INFO: Starting Backup of VM 210 (qemu)",
        "ERROR: Backup of VM 210 failed - error pruning backups - check log",
        "TASK ERROR: job errors",
    )
    with pytest.raises(AssertionError, match="error pruning backups"):
        judged(mended, with_tasks(task))


def test_the_part_of_a_task_of_several_guests_counts() -> None:
    with pytest.raises(AssertionError, match="VM is locked"):
        judged(mended, with_tasks(failed(NOON, vmid="")))
    other = failed(NOON, *b.guest_log(210, NOON), "ERROR: Backup of VM 999 failed - unable to find VM '999'", vmid="")
    judged(mended, with_tasks(other))


def test_an_error_of_a_copy_on_another_storage_is_not_judged() -> None:
    judged(mended, with_tasks(failed(NOON, storage="nas")))


@pytest.mark.parametrize(
    ("lines", "status", "said"),
    [
        (("TASK ERROR: could not activate storage 'x'",), "could not activate storage 'x'", "could not activate"),
        (("INFO: trying to get global lock - waiting...",), "unexpected status", "unexpected status"),
        (("INFO: Starting Backup of VM 210 (qemu)",), "interrupted by signal", "began and never finished: interrupted"),
        (("INFO: Starting Backup of VM 210 (qemu)", "ERROR: thaw failed", "INFO: Finished Backup of VM 210 (00:00:01)"),
         "OK", "thaw failed"),
    ],
)  # fmt: skip
def test_every_way_to_fail_is_an_error(lines: tuple[str, ...], status: str, said: str) -> None:
    with pytest.raises(AssertionError, match=said):
        judged(mended, with_tasks(failed(NOON, *lines, status=status)))


def test_a_guest_that_was_on_another_node_is_no_error_of_this_task() -> None:
    judged(mended, with_tasks(failed(NOON, "INFO: skip external VMs: 210", status="job errors", vmid="")))


def test_warnings_and_runs_that_go_on_are_no_errors() -> None:
    judged(mended, with_tasks(failed(NOON, *b.guest_log(210, NOON), status="WARNINGS: 1")))
    judged(mended, with_tasks(failed(NOON, endtime=None, status="")))
    judged(mended, with_tasks(b.task(210, NOON, log=None)))


def test_a_failed_task_whose_log_was_not_read_is_unknown() -> None:
    with pytest.raises(Unknown, match="the log of task"):
        judged(mended, with_tasks(failed(NOON, log=None)))


def line(moment: dt.datetime, vmid: int = 210, identifier: str = "vzdump") -> JournalLine:
    return JournalLine(int(moment.timestamp()), identifier, f"ERROR: Backup of VM {vmid} failed - disk is full")


@pytest.mark.parametrize("identifier", ["pvescheduler", "pvedaemon", "vzdump", "pvesh"])
def test_an_error_that_only_the_journal_remembers(identifier: str) -> None:
    with pytest.raises(AssertionError, match=rf"2026-11-24 08:00 disk is full \(journal, {identifier}\)"):
        judged(mended, with_tasks(journal=(line(NOON, identifier=identifier),)))
    judged(mended, with_tasks(journal=(line(BEFORE, identifier=identifier),)))


def test_lines_of_others_are_not_this_guest_s() -> None:
    other = JournalLine(int(NOON.timestamp()), "pvedaemon", "ERROR: something else")
    judged(mended, with_tasks(journal=(line(NOON, 100), other)))


def test_a_journal_line_of_a_known_task_is_told_by_its_log() -> None:
    judged(mended, with_tasks(failed(NOON, storage="nas"), journal=(line(NOON),)))
    of_another = b.task(100, NOON, id="100", log=b.log(100, NOON))
    with pytest.raises(AssertionError, match="disk is full"):
        judged(mended, with_tasks(of_another, journal=(line(NOON),)))


def test_a_journal_that_was_not_read_is_unknown_unless_a_task_says_enough() -> None:
    gap = Gap("the journal of node pve1", "lacks Sys.Syslog", "Sys.Syslog on /nodes/pve1")
    with pytest.raises(Unknown, match=r"Sys\.Syslog on /nodes/pve1"):
        judged(mended, with_tasks(journal=gap))
    with pytest.raises(AssertionError, match="VM is locked"):
        judged(mended, with_tasks(failed(NOON), journal=gap))
    with pytest.raises(Unknown, match="SSH to node pve1, or Sys.Syslog"):  # noqa: RUF043
        judged(mended, b.facts(journals={}))


# --- VER-07 ------------------------------------------------------------------------------------------------------

told = ver.test_somebody_is_told_when_a_backup_fails
MAIL = NotificationTarget("mail-to-root", "sendmail")
DEFAULT = NotificationMatcher("default-matcher", ("mail-to-root",))


def notifying(*matchers: NotificationMatcher, target: NotificationTarget = MAIL, **job: Any) -> Facts:
    facts = b.with_jobs([b.job(210, raw={key.replace("_", "-"): value for key, value in job.items()})])
    return replace(facts, notifications=Notifications((target,), matchers))


def test_the_site_s_default_matcher_tells_somebody() -> None:
    observed = judged(told, notifying(DEFAULT)).observed
    assert observed["told_by"] == {"nightly-vm210": "matcher default-matcher to mail-to-root"}


@pytest.mark.parametrize(
    "changes",
    [{"disabled": True}, {"targets": ()}, {"targets": ("gone",)}, {"severities": ("info", "notice")}],
)
def test_a_matcher_that_brings_errors_nowhere(changes: dict[str, Any]) -> None:
    with pytest.raises(AssertionError, match="no enabled matcher of the site brings errors to an enabled target"):
        judged(told, notifying(replace(DEFAULT, **changes)))


def test_a_disabled_target_tells_nobody() -> None:
    with pytest.raises(AssertionError, match="nobody is told"):
        judged(told, notifying(DEFAULT, target=replace(MAIL, disabled=True)))


def test_a_matcher_for_errors_is_enough_and_one_with_other_conditions_is_not() -> None:
    judged(told, notifying(replace(DEFAULT, severities=("error",))))
    with pytest.raises(AssertionError, match="only matchers with conditions of their own are left"):
        judged(told, notifying(replace(DEFAULT, is_narrow=True)))


@pytest.mark.parametrize(("mode", "address"), [("auto", "ops@x"), ("legacy-sendmail", "ops@x")])
def test_a_job_with_an_address_sends_mail_itself(mode: str, address: str) -> None:
    facts = notifying(notification_mode=mode, mailto=address)
    assert judged(told, facts).observed["told_by"] == {"nightly-vm210": "mail to ops@x"}


def test_a_job_that_sends_mail_to_nobody() -> None:
    with pytest.raises(AssertionError, match=r"job nightly-vm210: it sends mail, and no address is set \(mailto\)"):
        judged(told, notifying(DEFAULT, notification_mode="legacy-sendmail"))


def test_vzdump_conf_may_hold_the_address() -> None:
    facts = replace(notifying(), defaults={b.NODE: {"mailto": "root@x"}})
    assert judged(told, facts).observed["told_by"] == {"nightly-vm210": "mail to root@x"}


@pytest.mark.parametrize("release", ["7.4", "7.4-17", "8.0", "8.0.9"])
def test_before_8_1_there_is_mail_only(release: str) -> None:
    silent, gone = notifying(DEFAULT), Gap("who gets notifications", "Method 'GET /x' not implemented")
    for notifications in (silent.notifications, gone):
        with pytest.raises(AssertionError, match="no address is set"):
            judged(told, replace(silent, release=release, notifications=notifications))
    remedies = [b.mandatory(replace(silent, release=one)).telling_remedy for one in (release, "8.1", "9.2", "")]
    assert remedies[0] == "pvesh set /cluster/backup/nightly-vm210 --mailto root"
    assert all("--notification-mode notification-system\npvesh create" in one for one in remedies[1:])


def test_settings_that_may_not_be_read_are_unknown() -> None:
    gap = Gap("who gets notifications", "Permission check failed", "Mapping.Audit on /mapping/notifications")
    for settings in (gap, None):
        with pytest.raises(Unknown, match="who gets notifications"):
            judged(told, replace(notifying(), notifications=settings))


def test_without_a_job_nobody_can_be_told() -> None:
    with pytest.raises(AssertionError, match="no enabled job"):
        judged(told, b.with_jobs([]))


# --- VER-08 ------------------------------------------------------------------------------------------------------


def looked(facts: Facts | None = None, **inventory: Any) -> Evidence:
    evidence = Evidence()
    ver.test_somebody_looks_at_the_backups(b.site(facts, **inventory), evidence)
    return evidence


def attested(date: str, rule: str = "VER-08", until: str = "2027-01-01") -> list[dict[str, str]]:
    return [{"rule": rule, "subject": "the site", "statement": "looked", "by": "A. B.", "date": date, "until": until}]


def test_monitoring_that_runs_looks() -> None:
    watching = b.spoiled("guests", 220, b.guest(220, "monitoring"))
    guests = {100: {"role": "golden-template"}, 220: {"role": "monitoring"}}
    assert looked(watching, guests=guests).observed["monitoring"] == ["VM 220 (monitoring)"]
    stopped = b.spoiled("guests", 220, b.guest(220, "monitoring", status="stopped"))
    with pytest.raises(AssertionError, match="no monitoring runs"):
        looked(stopped, guests=guests)


def test_an_audit_of_this_week_is_a_look() -> None:
    for days, fine in ((1, True), (7, True), (8, False)):
        facts = b.facts(looked_at=(b.NOW - dt.timedelta(days=days),))
        if fine:
            assert "an audit" in looked(facts).observed["last_look"]
        else:
            with pytest.raises(AssertionError, match="nobody checked the backups in the last seven days"):
                looked(facts)


@pytest.mark.parametrize(
    "attestations",
    [attested("2026-11-10"), attested("2026-11-23", rule="STO-05"), attested("2026-11-20", until="2026-11-21")],
)
def test_an_attestation_of_last_week_another_rule_or_past_its_date_is_none(attestations: list[dict[str, str]]) -> None:
    with pytest.raises(AssertionError, match="nobody checked"):
        looked(attestations=attestations)


def test_a_person_s_look_of_this_week_counts() -> None:
    assert looked(attestations=attested("2026-11-20")).observed["last_look"] == "2026-11-20, by A. B.: looked"
