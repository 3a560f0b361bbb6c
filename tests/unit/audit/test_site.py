"""Which subjects follow from an inventory and a reading of its site."""

from __future__ import annotations

from dataclasses import replace

import pytest

from backup_standard.errors import Unknown
from backup_standard.model import Gap, GuestKind
from backup_standard.model.guests import DRILL_TAG
from tests.rules import builders as b


def test_mandatory_guests_are_subjects_and_a_scratch_guest_is_not() -> None:
    site = b.site()
    assert [guest.vmid for guest in site.guests] == [100, 210]
    assert [(one.vmid, one.reason) for one in site.not_judged] == [(305, "role scratch: build cache")]
    assert [guest.role for guest in site.guests] == ["golden-template", "dns"]


def test_an_unclassified_guest_is_a_subject() -> None:
    site = b.site(b.spoiled("guests", 900, b.guest(900)))
    assert [guest.vmid for guest in site.guests] == [100, 210, 900]
    assert site.guests[-1].role == "unclassified"
    assert site.guests[-1].rpo == site.inventory.policy.rpo


@pytest.mark.parametrize(("tags", "counts"), [((DRILL_TAG,), False), ((), True)])
def test_only_a_tagged_guest_on_a_reserved_vmid_is_a_drill_s(tags: tuple[str, ...], counts: bool) -> None:  # noqa: FBT001
    drilled = {100: {"role": "golden-template", "drill": {"vmid": 101}}}
    facts = replace(b.facts(), guests={100: b.guest(100), 101: b.guest(101, tags=tags), 9005: b.guest(9005, tags=tags)})
    drill = {"bridge": "vmbr9", "storage": "vmdata", "vmids": "9000-9099"}
    site = b.site(facts, guests=drilled, drill=drill)
    assert ([guest.vmid for guest in site.guests] == [100, 101, 9005]) is counts
    assert (len(site.not_judged) == 0) is counts
    without_range = b.site(facts, guests=drilled)
    assert 9005 in [guest.vmid for guest in without_range.guests]


def test_a_guest_is_called_by_its_kind_and_name() -> None:
    facts = b.spoiled("guests", 210, replace(b.guest(210, "files"), kind=GuestKind.LXC))
    assert str(b.mandatory(facts)) == "CT 210 (files)"
    hidden = b.spoiled("guests", 210, Gap("guest 210", "hidden"))
    assert str(b.mandatory(hidden)) == "VM 210 (dns)"


def test_the_storage_is_judged_on_every_node_with_mandatory_guests() -> None:
    moved = b.spoiled("guests", 100, b.guest(100, node="pve2"))
    assert [one.key for one in b.site(moved).backup_storages] == ["pve1/backup-hdd", "pve2/backup-hdd"]
    assert [one.key for one in b.site(b.facts(guests={})).backup_storages] == ["pve1/backup-hdd"]


def test_jobs_are_subjects_or_unknown() -> None:
    assert [job.id for job in b.site().jobs] == ["nightly-vm100", "nightly-vm210"]
    with pytest.raises(Unknown, match="backup jobs"):
        _ = b.site(b.facts(jobs=Gap("backup jobs", "403"))).jobs


def test_what_may_hide_guests_is_told() -> None:
    gap = Gap("guests", "filtered", "VM.Audit on /vms")
    assert b.site(b.facts(gaps=(gap,))).hidden == gap
    assert b.site().hidden is None


def test_a_guest_s_node_is_unknown_where_the_guest_is_absent() -> None:
    with pytest.raises(Unknown, match="the site has no guest of that VMID"):
        _ = b.mandatory(b.facts(guests={})).node


def test_ages_fall_back_on_the_moment_of_reading() -> None:
    guest = b.mandatory(b.facts(nodes={b.NODE: Gap("node", "offline")}))
    assert guest.now == int(b.NOW.timestamp())


def test_remedies_name_something_even_without_a_job() -> None:
    guest = b.mandatory(b.with_jobs([]))
    assert guest.first_job == "nightly-vm210"
    assert guest.retention_remedy == "pvesh set /cluster/backup/nightly-vm210 --prune-backups keep-daily=14"
    assert guest.summertime_remedy == ""
    assert guest.lost_nights == 0
    assert b.mandatory(b.facts(archives={})).say_age() == "none"


def test_a_storage_s_status_may_be_unread() -> None:
    assert b.backup_storage(b.facts(statuses={})).is_active is None
    assert b.backup_storage(b.facts(statuses={b.KEY: Gap("status", "offline")})).is_active is None
    assert str(b.backup_storage()) == "storage backup-hdd on node pve1"
    assert b.backup_storage(b.with_mount(None)).shares_root is False


def test_a_job_s_lost_nights_need_a_calendar_event() -> None:
    guest = b.mandatory(b.with_jobs([b.job(210, schedule="never")]))
    assert guest.lost_nights == 0
    assert str(guest.jobs[0]) == "job nightly-vm210"
