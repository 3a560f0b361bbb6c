"""TGT: a guest counts as backed up only where an enabled job really backs it up to the policy storage."""

from __future__ import annotations

import pytest

from backup_standard.errors import Unknown
from backup_standard.evidence.notes import Evidence
from backup_standard.model import Facts, Gap
from tests.rules import builders as b
from tests_infra import test_tgt_targets as tgt


def judge(facts: Facts, vmid: int = 210) -> Evidence:
    evidence = Evidence()
    tgt.test_guest_is_included_by_an_enabled_job(b.mandatory(facts, vmid), evidence)
    return evidence


def test_a_guest_with_its_own_job_passes() -> None:
    assert judge(b.facts()).observed["backed_up_by"] == "nightly-vm210"


def test_an_all_job_without_a_node_passes() -> None:
    everything = b.job(210, id="everything", vmids=(), selection="all")
    assert judge(b.with_jobs([everything])).observed["backed_up_by"] == "everything"


def test_a_disabled_job_is_no_cover_though_not_backed_up_says_so() -> None:
    with pytest.raises(AssertionError, match=r"VM 210 \(dns\).*job nightly-vm210 is disabled"):
        judge(b.with_jobs([b.job(210, enabled=False)]))


def test_a_job_pinned_to_a_node_that_the_guest_left_is_no_cover() -> None:
    """Proxmox drops the guest from the pinned job without a word."""
    pinned = b.job(210, node="pve2", includes={})
    with pytest.raises(AssertionError, match="runs on node pve2 only, and the guest lives on pve1"):
        judge(b.with_jobs([pinned]))


def test_a_job_that_names_a_guest_without_including_it_is_no_cover() -> None:
    with pytest.raises(AssertionError, match="names it, but Proxmox does not include it"):
        judge(b.with_jobs([b.job(210, includes={})]))


def test_a_job_to_another_storage_is_no_cover() -> None:
    with pytest.raises(AssertionError, match="writes to storage nas, not to backup-hdd"):
        judge(b.with_jobs([b.job(210, storage="nas")]))


def test_a_job_without_a_storage_writes_where_vzdump_conf_says() -> None:
    job = b.job(210, storage=None)
    with_conf = b.facts(jobs={job.id: job}, defaults={b.NODE: {"storage": b.STORAGE}})
    assert judge(with_conf).observed["backed_up_by"] == "nightly-vm210"
    with pytest.raises(AssertionError, match="writes to storage local, not to backup-hdd"):
        judge(b.with_jobs([job]))


def test_one_good_job_among_bad_ones_is_enough_and_the_others_are_listed() -> None:
    jobs = [b.job(210), b.job(210, id="off", enabled=False), b.job(210, id="copy", storage="nas")]
    observed = judge(b.with_jobs(jobs)).observed
    assert observed["backed_up_by"] == "nightly-vm210"
    assert observed["other_jobs"] == ["job off is disabled", "job copy writes to storage nas, not to backup-hdd"]


def test_no_job_at_all() -> None:
    with pytest.raises(AssertionError, match="no job names it"):
        judge(b.with_jobs([]))


def test_a_guest_that_is_not_there() -> None:
    guests = {vmid: guest for vmid, guest in b.facts().guests.items() if vmid != 210}
    with pytest.raises(AssertionError, match="the site has no guest 210"):
        judge(b.facts(guests=guests))


def test_a_guest_that_may_be_hidden_is_unknown_not_absent() -> None:
    guests = {vmid: guest for vmid, guest in b.facts().guests.items() if vmid != 210}
    blind = b.facts(guests=guests, gaps=(Gap("guests", "the token sees only some", "VM.Audit on /vms"),))
    with pytest.raises(Unknown, match=r"needed: VM.Audit on /vms"):
        judge(blind)


def test_a_guest_known_to_be_hidden_is_unknown() -> None:
    hidden = b.spoiled(
        "guests", 210, Gap("guest 210", "it exists and the token may not see it", "VM.Audit on /vms/210")
    )
    with pytest.raises(Unknown, match="guest 210 is unknown"):
        judge(hidden)


def test_a_job_list_that_could_not_be_read_is_unknown() -> None:
    with pytest.raises(Unknown, match=r"Sys.Audit"):
        judge(b.facts(jobs=Gap("backup jobs", "403", "Sys.Audit on /")))


def test_a_smaller_job_may_only_look_smaller_to_a_blind_token() -> None:
    blind = b.facts(
        jobs={"everything": b.job(210, vmids=(), includes={})}, gaps=(Gap("guests", "filtered", "VM.Audit on /vms"),)
    )
    with pytest.raises(Unknown, match="which jobs include guest 210"):
        judge(blind)


def test_an_unclassified_guest_counts_as_mandatory() -> None:
    stranger = b.spoiled("guests", 777, b.guest(777, "temp-test"))
    with pytest.raises(AssertionError, match=r"VM 777 \(temp-test\)"):
        judge(stranger, 777)
