"""STO: the backup storage can take backups, holds nothing else, lies on disks of its own, is healthy and has room."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from backup_standard.errors import Unknown
from backup_standard.evidence.notes import Evidence
from backup_standard.model import DumpFolder, Facts, Gap, Mount, Storage, StorageStatus
from backup_standard.model.devices import Block
from tests.rules import builders as b
from tests_infra import test_sto_storage as sto

GiB = b.GiB
NOW = int(b.NOW.timestamp())
SHARED = Mount("/mnt/backup", "/dev/sda2", "ext4", "rw", persistent_by="fstab")


def judged(rule: Callable[[Any, Evidence], None], subject: Any) -> Evidence:
    evidence = Evidence()
    rule(subject, evidence)
    return evidence


def usable(facts: Facts) -> Evidence:
    return judged(sto.test_backup_storage_can_take_backups, b.backup_storage(facts))


def dedicated(facts: Facts) -> Evidence:
    return judged(sto.test_backup_storage_holds_backups_only, b.backup_storage(facts))


def apart(facts: Facts) -> Evidence:
    return judged(sto.test_backups_lie_on_disks_of_their_own, b.backup_storage(facts))


def written_to(facts: Facts, vmid: int = 210) -> Evidence:
    return judged(sto.test_guest_is_backed_up_to_the_backup_storage, b.mandatory(facts, vmid))


def healthy(facts: Facts) -> Evidence:
    return judged(sto.test_backup_storage_is_healthy, b.backup_storage(facts))


def roomy(facts: Facts, dumps: dict[str, DumpFolder] | None = None) -> Evidence:
    facts = replace(facts, dumps=dumps or {})
    return judged(sto.test_backup_storage_has_room, b.backup_storage(facts))


@pytest.mark.parametrize("rule", [usable, dedicated, apart, healthy])
def test_an_undefined_storage_fails(rule: Callable[[Facts], Evidence]) -> None:
    with pytest.raises(AssertionError, match="the site has no storage backup-hdd"):
        rule(b.facts(storages={}))


# --- STO-01 ---------------------------------------------------------------------------------------------------


def test_a_directory_that_is_active_passes() -> None:
    assert usable(b.facts()).observed["active_now"] is True


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"type": "nfs"}, "of type nfs; the policy demands dir"),
        ({"disabled": True}, "disabled, or restricted to other nodes"),
        ({"nodes": frozenset({"pve2"})}, "disabled, or restricted to other nodes"),
        ({"content": frozenset({"iso"})}, "is not for backups"),
    ],
)
def test_a_definition_that_keeps_backups_out_fails(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(AssertionError, match=message):
        usable(b.with_definition(**changes))


def test_an_inactive_storage_fails_and_an_unread_one_is_unknown() -> None:
    away = StorageStatus(b.STORAGE, b.NODE, False, True, 0, 0, 0)
    with pytest.raises(AssertionError, match="is not active: Proxmox cannot use it now"):
        usable(b.spoiled("statuses", b.KEY, away))
    with pytest.raises(Unknown, match=r"Datastore\.Audit on /storage/backup-hdd"):
        usable(b.facts(statuses={}))
    with pytest.raises(Unknown, match="node pve1 is offline"):
        usable(b.spoiled("statuses", b.KEY, Gap("the storages", "node pve1 is offline")))


# --- STO-04 ---------------------------------------------------------------------------------------------------


def test_a_storage_for_backups_alone_passes() -> None:
    assert dedicated(b.facts()).observed["content"] == ["backup"]


@pytest.mark.parametrize("other", ["images", "rootdir", "iso", "vztmpl", "snippets"])
def test_other_content_fails(other: str) -> None:
    with pytest.raises(AssertionError, match=other):
        dedicated(b.with_definition(content=frozenset({"backup", other})))


@pytest.mark.parametrize(
    "config",
    [
        {"scsi1": "backup-hdd:210/vm-210-disk-1.raw,size=8G"},
        {"unused0": "backup-hdd:210/vm-210-disk-1.raw"},
        {"mp0": "volume=backup-hdd:subvol-210-disk-1,mp=/srv"},
    ],
)
def test_a_guest_disk_on_it_fails_though_its_content_says_otherwise(config: dict[str, str]) -> None:
    with pytest.raises(AssertionError, match=r"holds guest disks: VM 210 \(dns\) \w+ on storage backup-hdd"):
        dedicated(b.spoiled("guests", 210, b.guest(210, "dns", config=config)))


def test_a_guest_disk_on_another_storage_of_the_same_disk_fails() -> None:
    facts = b.spoiled("guests", 210, b.guest(210, "dns", config={"scsi0": "vms:210/vm-210-disk-0.qcow2"}))
    storages = {**b.facts().storages, "vms": Storage("vms", "dir", frozenset({"images"}), "/mnt/backup/vms")}  # type: ignore[dict-item]
    mounts = {**facts.mounts, f"{b.NODE}/vms": facts.mounts[b.KEY]}
    with pytest.raises(AssertionError, match="scsi0 on storage vms"):
        dedicated(replace(facts, storages=storages, mounts=mounts))


def test_a_forgotten_disk_image_fails() -> None:
    with pytest.raises(AssertionError, match=r"/mnt/backup/images/999/vm-999-disk-0\.qcow2"):
        dedicated(b.facts(images={b.KEY: ("/mnt/backup/images/999/vm-999-disk-0.qcow2",)}))


def test_cd_drives_and_guests_of_other_nodes_do_not_count() -> None:
    cd = b.guest(210, "dns", config={"ide2": "backup-hdd:iso/x.iso,media=cdrom", "scsi0": "vmdata:vm-210-disk-0"})
    dedicated(b.spoiled("guests", 210, cd))
    elsewhere = b.guest(305, "scratch", node="pve2", config={"scsi0": "backup-hdd:305/x.raw"})
    dedicated(b.spoiled("guests", 305, elsewhere))


@pytest.mark.parametrize("rule", [dedicated, apart])
def test_a_guest_that_was_not_read_may_hide_a_disk(rule: Callable[[Facts], Evidence]) -> None:
    with pytest.raises(Unknown, match=r"VM.Audit on /vms/305"):
        rule(b.spoiled("guests", 305, b.guest(305, "scratch", config={})))
    with pytest.raises(Unknown, match="may not see it"):
        rule(b.spoiled("guests", 305, Gap("guest 305", "it exists, but the token may not see it", "VM.Audit")))


def test_without_ssh_the_files_are_unknown() -> None:
    with pytest.raises(Unknown, match="SSH to node pve1"):
        dedicated(b.facts(images={}))


# --- STO-05 ---------------------------------------------------------------------------------------------------


def test_disks_of_their_own_pass() -> None:
    observed = apart(b.facts()).observed
    assert "/dev/sdb" in observed["backups_on"]
    assert "/dev/sdc" in observed["guest_disks_on"]["storage vmdata"]


def test_a_partition_of_the_guests_disk_fails() -> None:
    blocks = (*b.devices().blocks, Block("/dev/sdc1", "sdc1", "part", parents=("/dev/sdc",)))
    facts = replace(
        b.with_system(devices=b.devices(blocks=blocks)), mounts={b.KEY: replace(SHARED, source="/dev/sdc1")}
    )
    with pytest.raises(AssertionError, match=r"the backups lie on /dev/sdc .*, and so does storage vmdata"):
        apart(facts)


def test_a_disk_handed_through_to_a_guest_counts() -> None:
    raw = b.guest(210, "dns", config={"scsi1": "/dev/disk/by-id/ata-WDC_WD5003_WD-b,size=500G"})
    with pytest.raises(AssertionError, match=r"and so does VM 210 \(dns\) scsi1"):
        apart(b.spoiled("guests", 210, raw))


def test_virtual_disks_cannot_be_told_apart() -> None:
    blocks = (Block("/dev/vdb", "vdb", "disk"), Block("/dev/vdc", "vdc", "disk", serial="BACKUP0"))
    facts = b.with_system(devices=b.devices(blocks=blocks, groups={"/dev/vdb": "vmdata"}))
    with pytest.raises(Unknown, match=r"is a virtual disk.*an attestation"):
        apart(replace(facts, mounts={b.KEY: replace(SHARED, source="/dev/vdc")}))


@pytest.mark.parametrize("rule", [apart, healthy])
def test_without_ssh_the_disks_are_unknown(rule: Callable[[Facts], Evidence]) -> None:
    with pytest.raises(Unknown, match="SSH to node pve1"):
        rule(b.facts(systems={}))
    with pytest.raises(Unknown, match="no ssh"):
        rule(b.facts(systems={b.NODE: Gap("disks", "no ssh")}))
    with pytest.raises(Unknown, match="lsblk ended with 127"):
        rule(b.with_system(devices=Gap("the block devices", "lsblk ended with 127")))


@pytest.mark.parametrize("rule", [apart, healthy])
def test_a_missing_folder_has_no_disks(rule: Callable[[Facts], Evidence]) -> None:
    with pytest.raises(Unknown, match="/mnt/backup does not exist"):
        rule(b.with_mount(None))


# --- STO-06 ---------------------------------------------------------------------------------------------------


def test_a_job_that_writes_there_passes_and_further_copies_do_not_matter() -> None:
    copies = [b.job(210), b.job(210, id="copy", storage="pbs")]
    assert written_to(b.with_jobs(copies)).observed["jobs_write_to"]["copy"] == "storage pbs (by the job)"


def test_a_job_to_another_storage_fails() -> None:
    with pytest.raises(AssertionError, match="job nightly-vm210 writes to storage local"):
        written_to(b.with_jobs([b.job(210, storage="local")]))


def test_without_a_storage_the_defaults_of_the_node_decide() -> None:
    facts = b.with_jobs([b.job(210, storage=None)])
    written_to(replace(facts, defaults={b.NODE: {"storage": b.STORAGE}}))
    with pytest.raises(AssertionError, match=r"writes to storage nas .by the defaults of node pve1"):
        written_to(replace(facts, defaults={b.NODE: {"storage": "nas"}}))
    with pytest.raises(AssertionError, match="local, which may not hold backups"):
        written_to(replace(facts, defaults={b.NODE: {"storage": ""}}))
    with pytest.raises(AssertionError, match="folder /srv/dumps"):
        written_to(b.with_jobs([b.job(210, storage=None, raw={"dumpdir": "/srv/dumps"})]))
    with pytest.raises(Unknown, match="not allowed"):
        written_to(replace(facts, defaults={b.NODE: Gap("the vzdump defaults", "not allowed")}))


@pytest.mark.parametrize("changes", [{"enabled": False}, {"node": "pve2"}])
def test_a_job_that_does_not_run_writes_nothing(changes: dict[str, Any]) -> None:
    with pytest.raises(AssertionError, match="no job of VM 210"):
        written_to(b.with_jobs([b.job(210, **changes)]))
