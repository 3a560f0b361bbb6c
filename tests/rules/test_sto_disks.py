"""STO: the backup storage can take backups, holds nothing else, lies on disks of its own, is healthy and has room."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from backup_standard.errors import Unknown
from backup_standard.evidence.notes import Evidence
from backup_standard.model import Archive, DumpFile, DumpFolder, Facts, Gap, Mount, Storage, StorageStatus
from backup_standard.model.devices import Block
from backup_standard.model.systems import KernelLine
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


# --- STO-07 ---------------------------------------------------------------------------------------------------


def with_kernel(*texts: str, ago: int = 3600) -> Facts:
    return b.with_system(kernel=tuple(KernelLine(NOW - ago, text) for text in texts))


def test_a_healthy_disk_passes() -> None:
    assert healthy(b.facts()).observed["smart"] == {"/dev/sdb": "passed"}


@pytest.mark.parametrize(
    "changes", [{"options": "ro,relatime"}, {"flags": "rw,relatime,ro"}, {"flags": "rw,emergency_ro"}]
)
def test_a_read_only_file_system_fails_also_where_its_mount_says_rw(changes: dict[str, str]) -> None:
    mount = Mount("/mnt/backup", "/dev/sdb1", "ext4", "rw,relatime,errors=remount-ro", persistent_by="fstab")
    healthy(b.with_mount(mount))
    with pytest.raises(AssertionError, match="the file system at /mnt/backup is read-only"):
        healthy(b.with_mount(replace(mount, **changes)))


@pytest.mark.parametrize(
    "text",
    [
        "I/O error, dev sdb, sector 2048 op 0x1:(WRITE) flags 0x800 phys_seg 1 prio class 2",
        "blk_update_request: I/O error, dev sdb, sector 88 op 0x0:(READ) flags 0x0 phys_seg 1 prio class 0",
        "critical medium error, dev sdb, sector 1234 op 0x0:(READ) flags 0x80700 phys_seg 32 prio class 3",
        "Buffer I/O error on dev sdb1, logical block 0, lost sync page write",
        "EXT4-fs error (device sdb1): ext4_find_entry:1463: inode #2: comm vzdump: reading directory lblock 0",
        "EXT4-fs (sdb1): Remounting filesystem read-only",
        'XFS (sdb1): metadata I/O error in "xfs_buf_ioend" at daddr 0x2 len 1 error 5',
        "BTRFS error (device sdb1): bdev /dev/sdb1 errs: wr 1, rd 0, flush 0, corrupt 0, gen 0",
    ],
)
def test_errors_of_the_disk_since_the_last_good_backup_fail(text: str) -> None:
    with pytest.raises(AssertionError, match=r"the kernel reports errors of the disk: .* ago"):
        healthy(with_kernel(text))


def test_older_errors_and_those_of_other_disks_and_other_words_do_not_count() -> None:
    healthy(with_kernel("I/O error, dev sdb, sector 2048", ago=2 * 86400))
    healthy(
        with_kernel("I/O error, dev sda, sector 2048", "I/O error, dev sdba, sector 1", "sd 1:0:0:0: [sdb] Attached")
    )


def test_without_any_archive_all_errors_count() -> None:
    facts = with_kernel("I/O error, dev sdb, sector 2048", ago=2 * 86400)
    with pytest.raises(AssertionError, match="reports errors"):
        healthy(replace(facts, archives={b.KEY: ()}))


def test_a_disk_that_calls_itself_failing_fails() -> None:
    with pytest.raises(AssertionError, match=r"/dev/sdb .* fails its SMART check"):
        healthy(b.with_system(smart={"/dev/sdb": False}))
    healthy(b.with_system(smart={"/dev/sdb": True, "/dev/sda": False}))


def test_health_that_cannot_be_read_is_unknown() -> None:
    for smart in ({}, {"/dev/sdb": Gap("the SMART health of /dev/sdb", "Unknown USB bridge", "an attestation")}):
        with pytest.raises(Unknown, match="the SMART health of /dev/sdb is unknown"):
            healthy(b.with_system(smart=smart))
    with pytest.raises(Unknown, match="the kernel's messages"):
        healthy(b.with_system(kernel=Gap("the kernel's messages", "journalctl ended with 1")))


def test_a_finding_comes_before_what_is_unknown() -> None:
    facts = b.with_system(smart={}, kernel=(KernelLine(NOW, "I/O error, dev sdb, sector 2048"),))
    with pytest.raises(AssertionError):
        healthy(facts)


def test_a_storage_that_is_not_active_is_not_healthy() -> None:
    away = StorageStatus(b.STORAGE, b.NODE, False, True, 0, 0, 0)
    with pytest.raises(AssertionError, match="is not active"):
        healthy(b.spoiled("statuses", b.KEY, away))


# --- STO-08 ---------------------------------------------------------------------------------------------------


def with_space(avail: float, total: float = 500) -> Facts:
    status = StorageStatus(
        b.STORAGE, b.NODE, True, True, int(total * GiB), int((total - avail) * GiB), int(avail * GiB)
    )
    return b.spoiled("statuses", b.KEY, status)


def archives_of(*sizes: int, vmid: int = 210) -> tuple[Archive, ...]:
    nights = b.nights(len(sizes))
    return tuple(b.archive(vmid, night, size=size) for night, size in zip(nights, sizes, strict=True))


def test_enough_room_passes_and_says_how_much() -> None:
    evidence = roomy(b.facts())
    assert evidence.observed["next_run"] == "880 MiB"
    assert evidence.observed["retention_window"] == "11.3 GiB"
    assert evidence.observed["full_on"] is None
    assert evidence.advice == ""


def test_the_next_run_must_fit_before_anything_is_pruned() -> None:
    roomy(with_space(0.5))
    with pytest.raises(AssertionError, match=r"the next nightly run writes 880 MiB, and \d+ MiB lack"):
        roomy(with_space(0.3))


def test_what_pruning_gives_back_serves_the_next_guest() -> None:
    facts = b.facts(archives={b.KEY: (*archives_of(*[GiB] * 14), *archives_of(*[GiB] * 14, vmid=100))})
    one_at_a_time = replace(facts, statuses=with_space(1.3).statuses)
    roomy(one_at_a_time)
    kept = replace(one_at_a_time, jobs={key: replace(job, remove=False) for key, job in facts.jobs.items()})  # type: ignore[union-attr]
    with pytest.raises(AssertionError, match="the next nightly run"):
        roomy(kept)


def test_the_window_must_fit_also_where_it_is_not_yet_filled() -> None:
    young = b.facts(archives={b.KEY: (*archives_of(GiB, GiB), *archives_of(GiB, GiB, vmid=100))})
    with pytest.raises(
        AssertionError, match=r"the retention window takes 29.0 GiB, .* has 24.0 GiB .* full on 2026-12-04"
    ):
        roomy(replace(young, statuses=with_space(20).statuses))


def test_protected_and_renamed_archives_do_not_make_room() -> None:
    protected = tuple(replace(one, protected=True) for one in b.facts().archives[b.KEY])  # type: ignore[union-attr]
    with pytest.raises(AssertionError, match="the retention window"):
        roomy(replace(with_space(9), archives={b.KEY: protected}))


def test_growing_archives_fill_the_disk_on_a_day() -> None:
    growing = [int((2 - night * 0.1) * GiB) for night in range(14)]
    facts = b.facts(archives={b.KEY: (*archives_of(*growing), *archives_of(*[GiB] * 14, vmid=100))})
    evidence = roomy(replace(facts, statuses=with_space(60).statuses))
    assert evidence.observed["growth"] == "102 MiB a day"
    assert evidence.advice.endswith("the disk is full on 2026-12-29")
    assert roomy(replace(facts, statuses=with_space(480).statuses)).advice == ""


def test_sizes_come_from_the_files_where_the_api_shows_none() -> None:
    bare = tuple(replace(one, size=None) for one in b.facts().archives[b.KEY])  # type: ignore[union-attr]
    facts = b.facts(archives={b.KEY: bare})
    with pytest.raises(Unknown, match=r"the size of archive .*SSH to node pve1"):
        roomy(facts)
    files = tuple(DumpFile(one.filename, 100 * 2**20, one.ctime, 8) for one in bare)
    read = {b.KEY: DumpFolder("/mnt/backup/dump", 8, files)}
    assert roomy(facts, read).observed["next_run"] == "220 MiB"


def test_a_guest_without_an_archive_may_need_all_of_its_disks() -> None:
    facts = b.facts(archives={b.KEY: archives_of(GiB, vmid=100)})
    assert roomy(facts).observed["next_run"] == "9.9 GiB"
    nameless = b.guest(210, "dns", config={"virtio0": "vmdata:vm-210-disk-0"})
    with pytest.raises(Unknown, match="it has no archive yet"):
        roomy(replace(facts, guests={**facts.guests, 210: nameless}))


def test_the_space_of_an_inactive_storage_is_unknown() -> None:
    with pytest.raises(Unknown, match="not active"):
        roomy(b.spoiled("statuses", b.KEY, StorageStatus(b.STORAGE, b.NODE, False, True, 0, 0, 0)))
