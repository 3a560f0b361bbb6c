"""The model speaks as an operator does, and unknown facts say what would show them."""

from __future__ import annotations

import datetime as dt

import pytest

from backup_standard.errors import OperatorError, TaskFailed, Unknown
from backup_standard.model import Archive, BackupJob, Gap, Guest, GuestKind, Node, Storage, Task
from backup_standard.model.facts import known

ARCHIVE = Archive("b:backup/vzdump-qemu-200-2026_11_23-20_46_15.vma.zst", "b", "pve1", 200, "qemu", 0)


@pytest.mark.parametrize(
    ("thing", "said"),
    [
        (Guest(200, GuestKind.QEMU, "web", "pve1", "running"), "VM 200 (web)"),
        (Guest(230, GuestKind.LXC, "files", "pve1", "running"), "CT 230 (files)"),
        (BackupJob("nightly", True, "02:00", None, "snapshot", None, None), "job nightly"),
        (Node("pve1", online=True), "node pve1"),
        (Storage("b", "dir", frozenset()), "storage b"),
        (Task("UPID:x", "pve1", "vzdump", "", "root@pam", 0), "task UPID:x"),
        (ARCHIVE, f"archive {ARCHIVE.volid}"),
        (OperatorError("it broke", where="here", next_step="mend it"), "here: it broke\n  Next: mend it"),
        (TaskFailed("it failed", upid="UPID:x"), "it failed"),
    ],
)
def test_things_print_as_operators_speak(thing: object, said: str) -> None:
    assert str(thing) == said


@pytest.mark.parametrize(
    ("ending", "compression"),
    [
        (".vma.zst", "zstd"),
        (".vma.gz", "gzip"),
        (".tgz", "gzip"),
        (".vma.lzo", "lzo"),
        (".vma", "none"),
        (".tar", "none"),
    ],
)
def test_compression_is_read_off_the_name(ending: str, compression: str) -> None:
    assert Archive(f"b:backup/x{ending}", "b", "pve1", 200, "qemu", 0).compression == compression


def test_an_archives_age_is_measured_against_a_given_moment() -> None:
    assert ARCHIVE.age(dt.datetime(1970, 1, 2, tzinfo=dt.UTC)) == dt.timedelta(days=1)


def test_a_gap_where_a_value_is_wanted_is_unknown() -> None:
    assert known(5) == 5
    with pytest.raises(Unknown) as caught:
        known(Gap("the jobs", "no right", "Sys.Audit on /"))
    assert str(caught.value) == "the jobs is unknown: no right; needed: Sys.Audit on /"
    assert (caught.value.fact, caught.value.reason, caught.value.need) == ("the jobs", "no right", "Sys.Audit on /")
