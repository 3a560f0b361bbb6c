"""VER-05: an archive is intact because a drill of it passed or because it was read; else nobody knows."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from backup_standard.errors import Unknown, Unread
from backup_standard.evidence.notes import Evidence
from backup_standard.model import Facts, Gap
from backup_standard.model.readings import DrilledArchive
from tests.rules import builders as b
from tests_infra.test_ver_verification import test_newest_archive_is_intact as rule

NEWEST = b.archive(210, b.LAST_NIGHT)
OLDER = b.archive(210, b.nights(2)[1])
FOUND = f"{NEWEST.node}/{NEWEST.volid}"
DRILL = DrilledArchive(
    210,
    NEWEST.volid,
    NEWEST.node,
    NEWEST.ctime,
    NEWEST.size or 0,
    "20261124T030000Z-drill",
    "2026-11-24T03:10:00+00:00",
)


def read(reading: Any = None, **changes: Any) -> Facts:
    """Sound facts but for the reading of the newest archive of guest 210; None: it was not read."""
    readings = dict(b.facts().readings)
    readings.pop(FOUND)
    if reading is not None:
        readings[FOUND] = reading
    return replace(b.facts(), readings=readings, **changes)


def judge(facts: Facts, *drilled: DrilledArchive) -> Evidence:
    evidence = Evidence()
    rule(b.mandatory(facts), drilled, evidence)
    return evidence


def test_an_archive_read_from_end_to_end_is_intact() -> None:
    observed = judge(b.facts()).observed
    assert observed["shown_by"] == "400 MiB read on node pve1 in 12.5 s"
    assert observed["sha256"] == "5" * 64
    assert observed["holds"] == "drive-virtio0 8.0 GiB"


def test_a_damaged_archive_is_told_with_the_place() -> None:
    damaged = b.reading(NEWEST, problem="zstd fails at or before byte 4096 of the file: checksum", sha256="")
    with pytest.raises(AssertionError, match=r"archive vzdump-qemu-210-\S+ of VM 210 \(dns\) is damaged: zstd .* 4096"):
        judge(read(damaged))


def test_what_nobody_read_is_not_proven() -> None:
    with pytest.raises(Unknown, match=r"no drill of it has passed; needed: pytest --deep"):
        judge(read())


def test_a_reading_of_an_older_archive_proves_nothing_of_the_newest() -> None:
    assert f"pve1/{OLDER.volid}" in b.facts().readings
    with pytest.raises(Unknown, match="nobody has read it"):
        judge(read())


def test_an_aborted_reading_is_an_error_and_no_finding() -> None:
    gap = Gap("whether it is intact", "aborted: I/O pressure on the node: 93 %", broken=True)
    with pytest.raises(Unread, match="aborted: I/O pressure"):
        judge(read(gap))


def test_a_reading_that_was_not_begun_is_unknown() -> None:
    with pytest.raises(Unknown, match="not begun: job nightly-vm210 runs at 02:00"):
        judge(read(Gap("whether it is intact", "not begun: job nightly-vm210 runs at 02:00")))


def test_data_without_checksums_is_complete_and_not_proven() -> None:
    with pytest.raises(Unknown, match=r"complete, but its data \(zstd\) carries no checksum"):
        judge(read(b.reading(NEWEST, checksummed=False)))
    assert judge(read(b.reading(NEWEST, checksummed=False)), DRILL)


@pytest.mark.parametrize("earlier", [True, False])
def test_a_passed_drill_of_the_very_file_proves_it(earlier: bool) -> None:  # noqa: FBT001
    evidence = judge(read(drilled=(DRILL,))) if earlier else judge(read(), DRILL)
    assert evidence.observed["shown_by"] == "drill 20261124T030000Z-drill"
    assert evidence.observed["at"] == "2026-11-24T03:10:00+00:00"


@pytest.mark.parametrize(
    "changes",
    [
        {"volid": OLDER.volid},
        {"ctime": NEWEST.ctime - 1},
        {"size": (NEWEST.size or 0) + 1},
        {"vmid": 100},
        {"node": "pve2"},
    ],
    ids=lambda one: next(iter(one)),
)
def test_a_drill_of_another_file_proves_nothing(changes: dict[str, Any]) -> None:
    with pytest.raises(Unknown, match="nobody has read it"):
        judge(read(drilled=(replace(DRILL, **changes),)))


def test_on_a_shared_storage_the_node_that_drilled_does_not_matter() -> None:
    read_ = read(drilled=(replace(DRILL, node="pve2"),))
    assert not isinstance(read_.storages, Gap)
    shared = {**read_.storages, b.STORAGE: replace(read_.storages[b.STORAGE], shared=True)}
    assert judge(replace(read_, storages=shared)).observed["shown_by"].startswith("drill ")


def test_a_file_of_unknown_size_is_not_the_drilled_one() -> None:
    unsized = replace(NEWEST, size=None)
    facts = replace(read(drilled=(replace(DRILL, size=0),)), archives={b.KEY: (unsized,)}, dumps={})
    with pytest.raises(Unknown, match="nobody has read it"):
        judge(facts)


def test_damage_found_since_outweighs_a_drill() -> None:
    with pytest.raises(AssertionError, match="is damaged: byte 7"):
        judge(read(b.reading(NEWEST, problem="byte 7"), drilled=(DRILL,)), DRILL)


def test_a_guest_without_an_archive_fails() -> None:
    with pytest.raises(AssertionError, match="has no archive on storage backup-hdd"):
        judge(b.facts(archives={b.KEY: ()}))


def test_containers_tell_their_members() -> None:
    assert judge(read(b.reading(NEWEST, disks={}, members=77))).observed["holds"] == "77 members"
    assert judge(read(b.reading(NEWEST, disks={}))).observed["holds"] == "no disks"
