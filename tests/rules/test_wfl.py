"""WFL: backups around changes, and where the Docker host comes from."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from typing import Any

import pytest

from backup_standard.errors import Unknown
from backup_standard.evidence.notes import Evidence
from backup_standard.model import Facts, Gap, Task
from tests.rules import builders as b
from tests_infra import test_wfl_workflow as wfl

MADE = b.NOW - dt.timedelta(days=90)
GUESTS = {100: {"role": "golden-template"}, 200: {"role": "docker-host"}}


def changed(*moments: dt.datetime, made: dt.datetime | None = MADE, status: str = "OK", nights: int = 14) -> Facts:
    """A template that was changed at these moments."""
    config = {"meta": f"creation-qemu=10.1.2,ctime={int(made.timestamp())}"} if made else {}
    tasks = tuple(
        Task(
            f"UPID:{at}", b.NODE, "qmtemplate", "100", "root@pam", int(at.timestamp()), int(at.timestamp()) + 5, status
        )
        for at in moments
    )
    facts = b.spoiled("guests", 100, b.guest(100, "golden-template", template=True, config=config))
    archives = tuple(b.archive(100, moment) for moment in b.nights(nights))
    return b.facts(guests=facts.guests, changes={100: tasks}, archives={b.KEY: archives})


def judged(rule: Callable[..., None], facts: Facts, vmid: int = 100) -> Evidence:
    evidence = Evidence()
    rule(b.mandatory(facts, vmid, guests=GUESTS), evidence)
    return evidence


way_back, since = wfl.test_a_way_back_before_the_last_change_exists, wfl.test_a_backup_since_the_last_change_exists
clone = wfl.test_docker_host_is_a_clone_of_the_golden_template


def test_a_template_untouched_for_months_needs_no_way_back() -> None:
    assert judged(way_back, changed()).observed["way_back"] is None
    judged(since, changed())


def test_the_archive_before_the_last_change_is_the_way_back() -> None:
    noon = b.LAST_NIGHT - dt.timedelta(days=3, hours=14)
    observed = judged(way_back, changed(noon)).observed
    assert observed["last_change"] == "task qmtemplate on 2026-11-20 12:00"
    assert "2026_11_20-02_00_00" in observed["way_back"]


def test_retention_may_have_removed_the_way_back() -> None:
    with pytest.raises(AssertionError, match="shows it as it was before its last change"):
        judged(way_back, changed(b.NOW - dt.timedelta(days=20)))


def test_two_changes_on_one_day_leave_no_archive_between_them() -> None:
    noon = b.LAST_NIGHT - dt.timedelta(days=3, hours=14)
    with pytest.raises(AssertionError, match="before its last change"):
        judged(way_back, changed(noon, noon + dt.timedelta(hours=1)))


def test_a_task_that_failed_changed_nothing() -> None:
    noon = b.LAST_NIGHT - dt.timedelta(days=3, hours=14)
    assert judged(way_back, changed(noon, status="unable to do it")).observed["last_change"].startswith("made on")


def test_a_change_since_the_last_backup_is_in_no_archive() -> None:
    with pytest.raises(AssertionError, match=r"no archive of VM 100 .* is newer than its last change"):
        judged(since, changed(b.NOW - dt.timedelta(hours=1)))


def test_a_change_before_the_last_backup_is_backed_up() -> None:
    judged(since, changed(b.NOW - dt.timedelta(hours=12)))


def test_a_new_guest_without_any_backup() -> None:
    with pytest.raises(AssertionError, match="newer than its last change"):
        judged(since, changed(nights=0))


@pytest.mark.parametrize("rule", [way_back, since])
def test_a_guest_that_does_not_tell_when_it_was_made_is_unknown(rule: Callable[..., None]) -> None:
    with pytest.raises(Unknown, match=r"when VM 100 \(golden-template\) was last changed"):
        judged(rule, changed(made=None))


def test_tasks_that_may_not_be_read_are_unknown() -> None:
    facts = b.facts(guests=changed().guests, changes={100: Gap("the tasks of guest 100", "403", "Sys.Audit")})
    with pytest.raises(Unknown, match=r"the tasks of guest 100"):
        judged(way_back, facts)


@pytest.mark.parametrize(
    "volume",
    ["vmdata:base-100-disk-0/vm-200-disk-0", "local:100/base-100-disk-0.qcow2/200/vm-200-disk-0.qcow2"],
)
def test_a_linked_clone_shows(volume: str) -> None:
    host = b.guest(200, "docker-host", config={"virtio0": f"{volume},size=8G"})
    assert judged(clone, b.spoiled("guests", 200, host), 200).observed["linked_clone_of"] == 100


@pytest.mark.parametrize(
    "config", [{"virtio0": "vmdata:vm-200-disk-0"}, {"virtio0": "x:base-999-disk-0/vm-200-disk-0"}, {}]
)
def test_a_full_clone_leaves_no_trace(config: dict[str, Any]) -> None:
    host = b.guest(200, "docker-host", config=config)
    with pytest.raises(Unknown, match="a full clone leaves no trace"):
        judged(clone, b.spoiled("guests", 200, host), 200)
