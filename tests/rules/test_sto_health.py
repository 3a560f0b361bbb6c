"""STO-07 and STO-08: a storage that is healthy and has room for what is to come."""

from __future__ import annotations

from dataclasses import replace

import pytest

from backup_standard.errors import Unknown
from backup_standard.model import Archive, DumpFile, DumpFolder, Facts, Gap, Mount, StorageStatus
from backup_standard.model.systems import KernelLine
from tests.rules import builders as b
from tests.rules.test_sto_disks import NOW, GiB, healthy, roomy

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
