"""TGT: roles that exist, guests that nobody forgot, volumes that are left out, jobs that name ghosts."""

from __future__ import annotations

import datetime as dt
from dataclasses import replace
from typing import Any

import pytest

from backup_standard.audit.everyone import HiddenGuests
from backup_standard.errors import Unknown
from backup_standard.evidence.notes import Evidence
from backup_standard.model import Facts, Gap, GuestKind, IncludedVolume
from backup_standard.model.guests import DRILL_TAG
from tests.rules import builders as b
from tests_infra import test_tgt_targets as tgt

HIDDEN = Gap("the list of guests", "the token has no VM.Audit on /", "VM.Audit on /: pveum …")

# --- TGT-01 ------------------------------------------------------------------------------------------------------


def role(name: str, facts: Facts | None = None, **inventory: Any) -> Evidence:
    evidence = Evidence()
    subject = next(one for one in b.site(facts, **inventory).required_roles if one.role == name)
    tgt.test_required_role_is_declared_and_exists(subject, evidence)
    return evidence


def test_declared_roles_that_exist_pass() -> None:
    assert role("dns").observed["guests"] == "VM 210 (dns)"
    assert role("golden-template").observed["guests"] == "VM 100 (golden-template)"


def test_a_role_that_is_declared_as_not_deployed_passes_with_its_reason() -> None:
    assert role("monitoring").observed["not_deployed"] == "phase 2"


def test_a_role_nobody_declares_fails() -> None:
    with pytest.raises(AssertionError, match="declares no guest as monitoring, and no reason why there is none"):
        role("monitoring", not_deployed={})


def test_a_declared_guest_that_the_site_has_not() -> None:
    with pytest.raises(AssertionError, match="declares guest 210 as dns, and the site has none such"):
        role("dns", b.facts(guests={}))


def test_a_golden_template_that_is_an_ordinary_guest() -> None:
    with pytest.raises(AssertionError, match=r"VM 100 \(golden\) is declared as the golden template, and it is no"):
        role("golden-template", b.spoiled("guests", 100, b.guest(100, "golden")))


def test_a_service_that_is_only_a_template_never_runs() -> None:
    with pytest.raises(AssertionError, match="is a template, which never runs"):
        role("dns", b.spoiled("guests", 210, b.guest(210, template=True)))


def test_a_role_whose_guest_may_be_hidden_is_unknown() -> None:
    with pytest.raises(Unknown, match=r"VM\.Audit"):
        role("dns", b.facts(guests={}, gaps=(HIDDEN,)))
    with pytest.raises(Unknown, match="guest 210"):
        role("dns", b.spoiled("guests", 210, Gap("guest 210", "it exists, but the token may not see it")))


# --- TGT-03 ------------------------------------------------------------------------------------------------------


def classified(vmid: int, facts: Facts | None = None, **inventory: Any) -> Evidence:
    evidence = Evidence()
    subject = next(one for one in b.site(facts, **inventory).everyone if one.vmid == vmid)
    tgt.test_every_guest_is_classified_and_backed_up_or_exempt(subject, evidence)
    return evidence


def test_a_classified_guest_passes() -> None:
    assert classified(210).observed["role"] == "dns"


def test_an_exempt_guest_passes_while_its_exemption_lasts() -> None:
    assert classified(305).observed["exempt"] == "build cache (until 2027-03-31)"


def test_an_expired_exemption_fails() -> None:
    guests = {305: {"role": "scratch", "exempt": {"reason": "build cache", "until": "2026-11-23"}}}
    with pytest.raises(AssertionError, match="its exemption ended on 2026-11-23"):
        classified(305, guests=guests)


def test_an_exemption_ends_with_the_day_of_the_site() -> None:
    guests = {305: {"role": "scratch", "exempt": {"reason": "build cache", "until": "2026-11-23"}}}
    late = dt.datetime(2026, 11, 23, 23, 30, tzinfo=dt.UTC)  # the 24th in Berlin
    with pytest.raises(AssertionError, match="its exemption ended on 2026-11-23"):
        classified(305, b.facts(taken_at=late), guests=guests)


def test_a_scratch_guest_without_exemption_fails_unless_a_job_backs_it_up() -> None:
    guests = {305: {"role": "scratch"}}
    with pytest.raises(AssertionError, match=r"no job backs VM 305 \(scratch\) up, and the inventory does not exempt"):
        classified(305, guests=guests)
    elsewhere = b.facts(jobs={"j": b.job(305, storage="nas")})
    assert classified(305, elsewhere, guests=guests).observed["backed_up_by"] == "nightly-vm305"


@pytest.mark.parametrize("changes", [{"enabled": False}, {"node": "pve2"}, {"includes": {}}])
def test_a_job_that_never_backs_it_up_is_no_backup(changes: dict[str, Any]) -> None:
    with pytest.raises(AssertionError, match="no job backs VM 305"):
        classified(305, b.facts(jobs={"j": b.job(305, **changes)}), guests={305: {"role": "scratch"}})


@pytest.mark.parametrize(
    "changes", [{"name": "temp"}, {"kind": GuestKind.LXC}, {"template": True}, {"status": "stopped"}]
)
def test_no_name_kind_or_state_exempts_an_unclassified_guest(changes: dict[str, Any]) -> None:
    seen = replace(b.guest(900, "x"), **changes)
    with pytest.raises(AssertionError, match=r"[VC][MT] 900 \(\w+\) stands nowhere in the inventory"):
        classified(900, b.spoiled("guests", 900, seen))


def test_the_drills_own_guests_are_no_subjects() -> None:
    drill = {"bridge": "vmbr9", "storage": "vmdata", "vmids": "9000-9099"}
    facts = b.spoiled("guests", 9000, b.guest(9000, tags=(DRILL_TAG,)))
    assert 9000 not in [one.vmid for one in b.site(facts, drill=drill).everyone]
    untagged = b.spoiled("guests", 9000, b.guest(9000))
    assert 9000 in [one.vmid for one in b.site(untagged, drill=drill).everyone]


def test_guests_that_may_be_hidden_are_one_more_subject_which_is_unknown() -> None:
    evidence = Evidence()
    hidden = b.site(b.facts(gaps=(HIDDEN,))).everyone[-1]
    assert isinstance(hidden, HiddenGuests)
    assert str(hidden) == "guests that may be hidden"
    with pytest.raises(Unknown, match=r"VM\.Audit on /"):
        tgt.test_every_guest_is_classified_and_backed_up_or_exempt(hidden, evidence)


def test_a_guest_that_the_token_may_not_see_is_unknown() -> None:
    facts = b.spoiled("guests", 444, Gap("guest 444", "it exists, but the token may not see it"))
    assert str(b.site(facts).everyone[-1]) == "guest 444"
    with pytest.raises(Unknown, match="guest 444"):
        classified(444, facts)


# --- TGT-04 ------------------------------------------------------------------------------------------------------


def volumes(*listed: IncludedVolume, config: dict[str, str] | None = None, **seen: Any) -> Facts:
    facts = b.with_jobs([b.job(210, includes={210: listed})])
    return replace(facts, guests={**facts.guests, 210: b.guest(210, "dns", config=config or {}, **seen)})


def one(key: str, volid: str = "", *, included: bool = True) -> IncludedVolume:
    return IncludedVolume(210, key, volid or f"vmdata:vm-210-{key}", included)


def in_backups(facts: Facts, **inventory: Any) -> Evidence:
    evidence = Evidence()
    tgt.test_every_data_volume_is_in_the_backups(b.mandatory(facts, **inventory), evidence)
    return evidence


def remedy(facts: Facts) -> str:
    return b.mandatory(facts).volumes_remedy


def test_every_disk_in_the_backup_passes() -> None:
    assert in_backups(b.facts()).observed["included"] == ["virtio0"]


def test_a_disk_with_backup_0_fails_and_the_remedy_keeps_its_other_options() -> None:
    facts = volumes(
        one("scsi0"), one("scsi1", included=False), config={"scsi1": "vmdata:vm-210-scsi1,backup=0,size=1G,ssd=1"}
    )
    with pytest.raises(AssertionError, match=r"not in the backups of VM 210 \(dns\): scsi1 \(vmdata:vm-210-scsi1\)"):
        in_backups(facts)
    assert "qm set 210 --scsi1 vmdata:vm-210-scsi1,size=1G,ssd=1" in remedy(facts)


def test_a_mount_point_of_a_container_is_left_out_unless_told_otherwise() -> None:
    facts = volumes(
        one("rootfs"), one("mp0", included=False), config={"mp0": "vmdata:vm-210-mp0,mp=/srv"}, kind=GuestKind.LXC
    )
    with pytest.raises(AssertionError, match=r"CT 210 \(dns\): mp0"):
        in_backups(facts)
    assert "pct set 210 --mp0 vmdata:vm-210-mp0,mp=/srv,backup=1" in remedy(facts)


def test_a_bind_mount_is_named_and_no_command_helps() -> None:
    facts = volumes(one("rootfs"), one("mp0", "/srv/data", included=False), kind=GuestKind.LXC)
    with pytest.raises(AssertionError, match=r"mp0 \(/srv/data\)"):
        in_backups(facts)
    assert remedy(facts).startswith("mp0 is a folder of the node")


def test_a_folder_shared_by_virtiofs_is_in_no_backup() -> None:
    facts = volumes(one("scsi0"), config={"virtiofs0": "dirid=media"})
    with pytest.raises(AssertionError, match=r"virtiofs0 \(dirid=media\)"):
        in_backups(facts)
    assert "virtiofs0 (dirid=media)" in remedy(facts)


def test_a_disk_passed_through_is_in_the_backup_and_named() -> None:
    observed = in_backups(volumes(one("scsi0"), one("scsi1", "/dev/disk/by-id/ata-X"))).observed
    assert observed["passed_through"] == ["scsi1 (/dev/disk/by-id/ata-X)"]


def test_what_holds_nothing_worth_keeping_is_declared_with_a_reason() -> None:
    guests = {210: {"role": "dns", "not_backed_up": {"scsi1": "swap"}}}
    observed = in_backups(volumes(one("scsi0"), one("scsi1", included=False)), guests=guests).observed
    assert observed["left_out_with_a_reason"] == ["scsi1: swap"]


def test_an_efi_disk_of_a_guest_that_starts_by_bios_holds_no_data() -> None:
    in_backups(volumes(one("scsi0"), one("efidisk0", included=False)))
    with pytest.raises(AssertionError, match="efidisk0"):
        in_backups(volumes(one("scsi0"), one("efidisk0", included=False), config={"bios": "ovmf"}))


def test_one_job_that_holds_everything_is_enough() -> None:
    partial = b.job(210, includes={210: (one("scsi0"), one("scsi1", included=False))})
    whole = b.job(210, id="whole", includes={210: (one("scsi0"), one("scsi1"))})
    in_backups(b.with_jobs([partial, whole]))


def test_without_a_job_no_volume_is_in_a_backup() -> None:
    with pytest.raises(AssertionError, match="no enabled job"):
        in_backups(b.with_jobs([]))


# --- TGT-05 ------------------------------------------------------------------------------------------------------


def ghosts(facts: Facts) -> Evidence:
    evidence = Evidence()
    tgt.test_job_names_only_guests_that_exist(b.site(facts).jobs[0], evidence)
    return evidence


def test_a_job_of_guests_that_exist_passes() -> None:
    assert ghosts(b.facts()).observed["selects"] == "100"
    assert ghosts(b.with_jobs([b.job(210, vmids=(), selection="all")])).observed["selects"] == "all"


@pytest.mark.parametrize("enabled", [True, False])
def test_a_vmid_without_a_guest_fails(*, enabled: bool) -> None:
    facts = b.with_jobs([b.job(210, vmids=(210, 999), ghosts=(999,), enabled=enabled)])
    with pytest.raises(AssertionError, match="job nightly-vm210 names 999, and the site has no such guest"):
        ghosts(facts)
    assert b.site(facts).jobs[0].remedy == "pvesh set /cluster/backup/nightly-vm210 --vmid 210"


def test_a_job_of_ghosts_alone_is_deleted() -> None:
    facts = b.with_jobs([b.job(999, vmids=(999,), ghosts=(999,), includes={})])
    assert b.site(facts).jobs[0].remedy == "pvesh delete /cluster/backup/nightly-vm999"


def test_a_guest_that_is_merely_hidden_is_no_ghost() -> None:
    facts = replace(
        b.with_jobs([b.job(210, vmids=(210, 444), ghosts=(444,))]), guests={444: Gap("guest 444", "hidden")}
    )
    ghosts(facts)
