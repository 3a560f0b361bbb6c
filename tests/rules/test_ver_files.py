"""CMP-02, VER-03, VER-06: the newest archive as a file."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from backup_standard.errors import Unknown
from backup_standard.evidence.notes import Evidence
from backup_standard.model import DumpFile, DumpFolder, Facts, Gap, GuestKind, IncludedVolume
from backup_standard.model.dumps import log_name
from tests.rules import builders as b
from tests_infra import test_cmp_compression as cmp
from tests_infra import test_ver_verification as ver

NEWEST = b.archive(210, b.LAST_NIGHT)
NAME = NEWEST.filename


def judged(rule: Callable[..., None], facts: Facts) -> Evidence:
    evidence = Evidence()
    rule(b.mandatory(facts), evidence)
    return evidence


def folder(facts: Facts | None = None) -> DumpFolder:
    found = (facts or b.facts()).dumps[b.KEY]
    assert isinstance(found, DumpFolder)
    return found


def with_file(name: str = NAME, **changes: Any) -> Facts:
    """Sound facts with a changed file; ``gone=True`` takes it away."""
    gone = changes.pop("gone", False)
    files = [file for file in folder().files if file.name != name]
    files += [] if gone else [replace(folder().by_name.get(name, DumpFile(name, 5, 0, b.DISK)), **changes)]
    return b.facts(dumps={b.KEY: replace(folder(), files=tuple(files))})


# --- CMP-02 ------------------------------------------------------------------------------------------------------

packed = cmp.test_newest_archive_is_packed_with_zstd


def test_a_file_that_begins_as_zstd_passes() -> None:
    assert judged(packed, b.facts()).observed["first_bytes_say"] == "zstd"


@pytest.mark.parametrize(
    ("head", "said"), [("1f8b0800", "gzip"), ("894c5a4f", "lzo"), ("564d4100", "none"), ("00000000", "none known")]
)
def test_a_name_is_not_enough(head: str, said: str) -> None:
    with pytest.raises(AssertionError, match=f"is named as zstd, and its first bytes say {said}"):
        judged(packed, with_file(head=head))


@pytest.mark.parametrize(("ending", "said"), [("vma.gz", "gzip"), ("vma.lzo", "lzo"), ("vma", "none")])
def test_another_name_fails_without_a_look_at_the_file(ending: str, said: str) -> None:
    volid = NEWEST.volid.replace("vma.zst", ending)
    with pytest.raises(AssertionError, match=f"is packed with {said}, by its name"):
        judged(packed, b.facts(archives={b.KEY: (replace(NEWEST, volid=volid),)}, dumps={}))


def test_without_ssh_the_first_bytes_are_unknown() -> None:
    with pytest.raises(Unknown, match="SSH to node pve1"):
        judged(packed, b.facts(dumps={}))
    with pytest.raises(Unknown, match="first bytes"):
        judged(packed, with_file(head=""))


# --- VER-03 ------------------------------------------------------------------------------------------------------

whole = ver.test_newest_archive_is_a_whole_file_on_the_backup_disk


def test_a_whole_file_passes() -> None:
    observed = judged(whole, b.facts()).observed
    assert observed["folder"] == "/mnt/backup/dump"
    assert observed["size"] == "400 MiB"
    assert observed["log_beside_it"] == log_name(NAME)


def test_a_listed_archive_without_a_file() -> None:
    with pytest.raises(AssertionError, match=f"{NAME} is listed, and there is no such file in /mnt/backup/dump"):
        judged(whole, with_file(gone=True))


def test_a_folder_that_is_gone() -> None:
    with pytest.raises(AssertionError, match="there is no such file in its folder"):
        judged(whole, b.facts(dumps={b.KEY: None}))


@pytest.mark.parametrize("size", [0, 319])
def test_an_empty_file_is_no_archive(size: int) -> None:
    with pytest.raises(AssertionError, match=f"has {size} bytes: that is no archive"):
        judged(whole, with_file(size=size))


def test_a_size_that_differs_from_what_proxmox_shows() -> None:
    with pytest.raises(AssertionError, match="has 1000 bytes on disk, and Proxmox shows 419430400"):
        judged(whole, with_file(size=1000))
    unseen = b.facts(archives={b.KEY: (replace(NEWEST, size=None),)})
    judged(whole, replace(unseen, dumps=with_file(size=1000).dumps))


def test_a_file_on_another_file_system() -> None:
    with pytest.raises(AssertionError, match="lies on another file system than the storage"):
        judged(whole, with_file(device=2049))


def test_a_subvolume_of_btrfs_has_a_device_number_of_its_own() -> None:
    facts = with_file(device=2049)
    btrfs = b.Mount("/mnt/backup", "/dev/sdb1", "btrfs", "rw", persistent_by="fstab")
    judged(whole, replace(facts, mounts={**facts.mounts, b.KEY: btrfs}))


def test_a_log_that_does_not_say_finished() -> None:
    with pytest.raises(AssertionError, match="does not say that the backup finished; it ends with: ERROR: x"):
        judged(whole, with_file(log_name(NAME), tail=("INFO: y", "ERROR: x")))
    with pytest.raises(AssertionError, match="it ends with: nothing"):
        judged(whole, with_file(log_name(NAME), tail=()))


def test_a_missing_log_is_advice() -> None:
    assert judged(whole, with_file(log_name(NAME), gone=True)).advice.startswith(f"there is no log beside {NAME}")


STALE = "vzdump-qemu-210-2026_11_20-02_00_00.vma.dat"
LONG_AGO = int((b.NOW - dt.timedelta(days=4)).timestamp())


@pytest.mark.parametrize("name", [STALE, "vzdump-lxc-210-2026_11_20-02_00_00.tmp"])
def test_what_a_broken_backup_left_behind(name: str) -> None:
    with pytest.raises(AssertionError, match=f"a broken backup of VM 210 .dns. left behind: {name}"):
        judged(whole, with_file(name, mtime=LONG_AGO))


def test_what_a_backup_writes_right_now_is_no_leftover() -> None:
    running = b.task(210, dt.datetime.fromtimestamp(LONG_AGO, tz=b.BERLIN), endtime=None, status="")
    facts = with_file(STALE, mtime=LONG_AGO)
    judged(whole, replace(facts, tasks={b.NODE: (running,)}))
    judged(whole, with_file(STALE, mtime=int(b.NOW.timestamp()) - 30))


def test_leftovers_of_another_guest_are_not_this_one_s() -> None:
    judged(whole, with_file(STALE.replace("210", "100"), mtime=LONG_AGO))


def test_a_folder_that_was_not_read_is_unknown() -> None:
    with pytest.raises(Unknown, match="no SSH"):
        judged(whole, b.facts(dumps={b.KEY: Gap("the files", "no SSH", "SSH to it")}))


# --- VER-06 ------------------------------------------------------------------------------------------------------

plausible = ver.test_archive_sizes_are_plausible


def test_the_usual_size_passes() -> None:
    observed = judged(plausible, b.facts()).observed
    assert (observed["newest"], observed["usual"], observed["compared_with"]) == ("400 MiB", "400 MiB", 13)


def test_half_the_usual_size_is_odd() -> None:
    with pytest.raises(AssertionError, match="has 100 MiB, less than half of the usual 400 MiB"):
        judged(plausible, with_file(size=100 * 2**20))


def test_twice_the_usual_size_is_odd() -> None:
    with pytest.raises(AssertionError, match="more than twice the usual 400 MiB"):
        judged(plausible, with_file(size=900 * 2**20))


def test_two_archives_are_too_few_to_compare_with() -> None:
    few = (NEWEST, *(b.archive(210, moment, size=2**30) for moment in b.nights(3)[1:]))
    assert judged(plausible, b.facts(archives={b.KEY: few})).observed["compared_with"] == 2


def test_more_than_all_disks_together_is_odd() -> None:
    seen = b.guest(210, "dns", config={"virtio0": "vmdata:vm-210-disk-0,size=100M"})
    with pytest.raises(AssertionError, match=r"400 MiB, more than all its disks together \(100 MiB\)"):
        judged(plausible, b.spoiled("guests", 210, seen))


def test_disks_of_unknown_size_are_not_compared() -> None:
    volume = IncludedVolume(210, "rootfs", "vmdata:x", included=True)
    facts = b.with_jobs([b.job(210, includes={210: (volume,)})])
    judged(plausible, facts)


def test_sizes_that_nobody_shows_are_unknown() -> None:
    facts = b.facts(archives={b.KEY: (replace(NEWEST, size=None),)}, dumps={})
    with pytest.raises(Unknown, match="the size of archive"):
        judged(plausible, facts)


@pytest.mark.parametrize("rule", [packed, whole, plausible])
def test_without_an_archive_every_rule_says_so(rule: Callable[..., None]) -> None:
    with pytest.raises(AssertionError, match=r"VM 210 \(dns\) has no archive on storage backup-hdd"):
        judged(rule, b.facts(archives={b.KEY: ()}))


def test_archives_of_a_container_are_its_own() -> None:
    facts = b.spoiled("guests", 210, b.guest(210, "dns", kind=GuestKind.LXC))
    with pytest.raises(AssertionError, match=r"CT 210 \(dns\) has no archive"):
        judged(whole, facts)
