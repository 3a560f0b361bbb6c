"""RET: enforced by Proxmox, really there, as long as recommended, and nothing outside of it."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from backup_standard.errors import Unknown
from backup_standard.evidence.notes import Evidence
from backup_standard.model import Archive, Facts, Gap, GuestKind, StorageStatus
from tests.rules import builders as b
from tests_infra import test_ret_retention as ret


def judged(rule: Callable[..., None], facts: Facts, **inventory: Any) -> Evidence:
    evidence = Evidence()
    rule(b.mandatory(facts, **inventory), evidence)
    return evidence


# --- RET-02 ------------------------------------------------------------------------------------------------------

enforced = ret.test_retention_is_enforced_by_proxmox_itself


@pytest.mark.parametrize("keep", [{"keep-daily": 14}, {"keep-last": 7}, {"keep-daily": 7, "keep-weekly": 4}])
def test_counts_that_remove_pass(keep: dict[str, int]) -> None:
    judged(enforced, b.with_jobs([b.job(210, prune=keep)]))


@pytest.mark.parametrize("keep", [{"keep-all": 1}, {"keep-last": 0}, None])
def test_keeping_everything_is_no_retention(keep: dict[str, int] | None) -> None:
    facts = b.with_jobs([b.job(210, prune=keep)])
    with pytest.raises(AssertionError, match="job nightly-vm210 keeps every archive: keep-all=1"):
        judged(enforced, facts)
    assert b.mandatory(facts).enforcing_remedy == (
        "pvesh set /cluster/backup/nightly-vm210 --prune-backups keep-daily=14 --remove 1"
    )


def test_maxfiles_that_release_9_ignores_is_no_retention() -> None:
    jobs = {"j": b.job(210, id="j", prune=None, raw={"maxfiles": "7"})}
    judged(enforced, b.facts(jobs=jobs, release="8.4.21"))
    with pytest.raises(AssertionError, match="job j keeps every archive"):
        judged(enforced, b.facts(jobs=jobs))


def test_remove_0_removes_nothing() -> None:
    facts = b.with_jobs([b.job(210, remove=False)])
    with pytest.raises(AssertionError, match="has remove=0"):
        judged(enforced, facts)
    assert "--prune-backups keep-daily=14 --remove 1" in b.mandatory(facts).enforcing_remedy


def test_two_jobs_with_different_counts_remove_each_other_s_archives() -> None:
    facts = b.with_jobs([b.job(210), b.job(210, id="hourly", prune={"keep-last": 3})])
    with pytest.raises(AssertionError, match="job nightly-vm210 keeps keep-daily=14, job hourly keeps keep-last=3"):
        judged(enforced, facts)
    assert b.mandatory(facts).enforcing_remedy.count("--prune-backups keep-daily=14") == 2


def test_a_companion_with_the_same_counts_is_no_rival() -> None:
    judged(enforced, b.with_jobs([b.job(210), b.job(210, id="summertime-vm210", schedule="sun *-3-25..31 03:00")]))


def test_a_job_that_writes_elsewhere_is_no_rival() -> None:
    judged(enforced, b.with_jobs([b.job(210), b.job(210, id="nas", storage="nas", prune={"keep-last": 1})]))


# --- RET-03 ------------------------------------------------------------------------------------------------------

held = ret.test_archives_already_hold_the_nights


def holding(*moments: dt.datetime, made: dt.datetime | None = None, kind: GuestKind = GuestKind.QEMU) -> Facts:
    config = {"meta": f"creation-qemu=10.1.2,ctime={int(made.timestamp())}"} if made else {}
    seen = b.guest(210, "dns", config=config, kind=kind)
    archives = tuple(b.archive(210, moment, kind=str(kind)) for moment in moments)
    return replace(b.spoiled("guests", 210, seen), archives={b.KEY: archives})


OLD = b.NOW - dt.timedelta(days=400)


def test_fourteen_nights_pass() -> None:
    observed = judged(held, holding(*b.nights(14), made=OLD)).observed
    assert (observed["nights_held"], observed["nights_demanded"]) == (14, 7)


def test_the_policy_s_own_seven_pass() -> None:
    judged(held, holding(*b.nights(7), made=OLD))


def test_six_nights_of_an_old_guest_fail() -> None:
    with pytest.raises(AssertionError, match=r"archives of VM 210 \(dns\) hold 6 distinct nights of 7"):
        judged(held, holding(*b.nights(6), made=OLD))


def test_seven_archives_of_one_night_are_one_night() -> None:
    moments = [b.LAST_NIGHT + dt.timedelta(minutes=10 * number) for number in range(7)]
    with pytest.raises(AssertionError, match="hold 1 distinct nights of 7"):
        judged(held, holding(*moments, made=OLD))


def test_a_guest_two_days_old_holds_every_night_it_has_seen() -> None:
    made = b.NOW - dt.timedelta(days=2)
    observed = judged(held, holding(*b.nights(2), made=made)).observed
    assert observed["nights_demanded"] == 2
    assert observed["guest_made"] == "2026-11-22 08:00 UTC"


def test_a_guest_two_days_old_without_last_night_s_archive() -> None:
    with pytest.raises(AssertionError, match="hold 1 distinct nights of 2: missing 2026-11-24"):
        judged(held, holding(b.nights(2)[1], made=b.NOW - dt.timedelta(days=2)))


def test_a_guest_made_this_morning_has_seen_no_night() -> None:
    assert judged(held, holding(made=b.NOW - dt.timedelta(hours=1))).observed["nights_demanded"] == 0


def test_archives_of_a_former_guest_with_the_same_vmid_do_not_count() -> None:
    made = b.NOW - dt.timedelta(days=3)
    observed = judged(held, holding(*b.nights(14), made=made)).observed
    assert (observed["nights_held"], observed["archives_of_a_former_guest"]) == (3, 11)
    with pytest.raises(AssertionError, match="hold 0 distinct nights of 3"):
        judged(held, holding(*b.nights(14)[3:], made=made))


def test_a_container_does_not_tell_its_age_but_its_runs_do() -> None:
    tasks = {b.NODE: tuple(b.task(210, moment) for moment in b.nights(13))}
    facts = holding(*b.nights(6), kind=GuestKind.LXC)
    with pytest.raises(AssertionError, match=r"CT 210 \(dns\) hold 6 distinct nights of 7"):
        judged(held, replace(facts, tasks=tasks))


def test_a_container_with_few_runs_and_few_archives_is_unknown() -> None:
    facts = replace(holding(*b.nights(3), kind=GuestKind.LXC), tasks={b.NODE: (b.task(210),)})
    with pytest.raises(Unknown, match="does not tell when the guest was made"):
        judged(held, facts)


def test_a_run_whose_archive_is_gone_shows_without_a_creation_time_too() -> None:
    tasks = {b.NODE: tuple(b.task(210, moment) for moment in b.nights(3))}
    with pytest.raises(AssertionError, match="hold 1 distinct nights of 3: missing 2026-11-22, 2026-11-23"):
        judged(held, replace(holding(b.LAST_NIGHT), tasks=tasks))


def test_archives_that_a_migrated_guest_left_on_its_former_node_count() -> None:
    facts = holding(*b.nights(3), made=OLD)
    left = tuple(b.archive(210, moment, node="pve2") for moment in b.nights(9)[3:])
    nodes = {**facts.nodes, "pve2": replace(facts.nodes[b.NODE], name="pve2")}  # type: ignore[type-var]
    both = replace(facts, archives={**facts.archives, f"pve2/{b.STORAGE}": left}, nodes=nodes)
    assert judged(held, both).observed["nights_held"] == 9


def test_archives_that_were_not_read_are_unknown() -> None:
    with pytest.raises(Unknown, match="not mounted"):
        judged(held, b.facts(archives={b.KEY: Gap("the archives", "not mounted")}))


# --- RET-04 ------------------------------------------------------------------------------------------------------

long = ret.test_retention_keeps_the_recommended_nights


@pytest.mark.parametrize("days", [14, 30, 365])
def test_two_weeks_and_more_pass(days: int) -> None:
    judged(long, b.with_jobs([b.job(210, prune={"keep-daily": days})]))


def test_seven_nights_are_advice_while_the_disk_has_room() -> None:
    with pytest.raises(AssertionError, match=r"7 nights of VM 210 \(dns\) are kept; 14 to 30 are recommended"):
        judged(long, b.with_jobs([b.job(210, prune={"keep-last": 7})]))


def test_a_disk_without_room_for_more_is_no_fault() -> None:
    facts = b.with_jobs([b.job(210, prune={"keep-last": 7})])
    full = StorageStatus(b.STORAGE, b.NODE, True, True, 500 * b.GiB, 499 * b.GiB, b.GiB)
    assert judged(long, replace(facts, statuses={b.KEY: full})).observed["more_would_fit"] is False


def test_without_an_archive_room_is_assumed() -> None:
    facts = b.with_jobs([b.job(210, prune={"keep-last": 7})])
    with pytest.raises(AssertionError, match="recommended"):
        judged(long, replace(facts, archives={b.KEY: ()}))


# --- RET-05 ------------------------------------------------------------------------------------------------------


def strays(*more: Archive, facts: Facts | None = None) -> Evidence:
    evidence, sound = Evidence(), facts or b.facts()
    own = sound.archives[b.KEY]
    spoiled = sound if isinstance(own, Gap) else replace(sound, archives={b.KEY: (*own, *more)})
    ret.test_no_archive_escapes_retention_unnoticed(b.backup_storage(spoiled), evidence)
    return evidence


def test_archives_of_guests_that_live_pass() -> None:
    assert strays().observed["archives_that_nothing_removes"] == []


def test_an_archive_of_a_deleted_guest_stays_for_ever() -> None:
    with pytest.raises(AssertionError, match=r"removes 1 \(400 MiB\): vzdump-qemu-333-.*guest 333 is gone, 400 MiB"):
        strays(b.archive(333, b.LAST_NIGHT))


def test_a_protected_archive_stays_for_ever() -> None:
    with pytest.raises(AssertionError, match=r"\(protected, size unknown\)"):
        strays(b.archive(210, b.nights(15)[14], protected=True, size=None))


def test_a_renamed_file_stays_for_ever() -> None:
    with pytest.raises(AssertionError, match="renamed, so that Proxmox no longer knows whose it is"):
        strays(b.archive(210, b.LAST_NIGHT, volid=f"{b.STORAGE}:backup/vzdump-qemu-210-before-upgrade.vma.zst"))


def test_an_archive_of_a_guest_of_the_other_kind_stays_for_ever() -> None:
    with pytest.raises(AssertionError, match="guest 210 is another one now"):
        strays(b.archive(210, b.LAST_NIGHT, kind="lxc"))


def test_an_archive_of_a_guest_that_is_merely_hidden_is_no_stray() -> None:
    hidden = b.spoiled("guests", 444, Gap("guest 444", "hidden"))
    strays(b.archive(444, b.LAST_NIGHT), facts=hidden)


def test_many_strays_are_told_in_few_words() -> None:
    with pytest.raises(AssertionError, match=r"removes 8 \(3.1 GiB\): .* and 3 more"):
        strays(*(b.archive(333, moment) for moment in b.nights(8)))


def test_a_listing_that_was_not_read_hides_strays() -> None:
    with pytest.raises(Unknown, match="not mounted"):
        strays(facts=b.facts(archives={b.KEY: Gap("the archives", "not mounted")}))


@pytest.mark.parametrize("rule", [enforced, held, long])
def test_without_a_job_every_rule_says_so(rule: Callable[..., None]) -> None:
    with pytest.raises(AssertionError, match="no enabled job"):
        judged(rule, b.with_jobs([]))
