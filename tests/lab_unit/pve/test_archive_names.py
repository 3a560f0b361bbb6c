"""Archive names: what a file name in the dump folder tells."""

import json
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from lab.pve import archive_names

RECORDED = json.loads((Path(__file__).parent / "data" / "prune.json").read_text())["archives"]
UTC, BERLIN = ZoneInfo("UTC"), ZoneInfo("Europe/Berlin")


@pytest.mark.parametrize("recorded", RECORDED, ids=lambda one: one["name"])
def test_recorded_names(recorded: dict[str, Any]) -> None:
    name = archive_names.read(recorded["name"], UTC)
    assert name is not None
    assert (name.type, str(name.vmid or "")) == (recorded["type"], recorded["vmid"])
    assert name.standard is (recorded["special"] != "renamed")
    assert not name.standard or name.ctime == recorded["ctime"]


@pytest.mark.parametrize(
    "file",
    [
        "vzdump-qemu-220-2026_11_23-21_01_16.vma.dat",
        "vzdump-qemu-220-2026_11_23-21_01_16.log",
        "vzdump-qemu-220-2026_11_23-21_01_16.vma.zst.notes",
        "vzdump-qemu-220-2026_11_23-21_01_16.tmp",
        "readme.txt",
    ],
)
def test_logs_notes_and_unfinished_files_are_no_archives(file: str) -> None:
    assert archive_names.read(file, UTC) is None


def test_the_stamp_is_local_time_of_the_node() -> None:
    file = archive_names.compose("qemu", 210, 1_795_482_001, "zstd", BERLIN)
    assert file == "vzdump-qemu-210-2026_11_24-02_00_01.vma.zst"
    name = archive_names.read(file, BERLIN)
    assert name is not None
    assert name.ctime == 1_795_482_001
    assert archive_names.read(file, UTC).ctime == 1_795_482_001 + 3600


def test_a_stamp_in_the_repeated_hour_is_read_as_its_first_pass() -> None:
    name = archive_names.read("vzdump-qemu-210-2026_10_25-02_30_00.vma.zst", BERLIN)
    assert name.ctime == 1_792_888_200


@pytest.mark.parametrize(
    ("compress", "kind", "ending"),
    [
        ("zstd", "qemu", ".vma.zst"),
        ("gzip", "qemu", ".vma.gz"),
        ("lzo", "qemu", ".vma.lzo"),
        ("0", "qemu", ".vma"),
        ("zstd", "lxc", ".tar.zst"),
    ],
)
def test_endings(compress: str, kind: str, ending: str) -> None:
    assert archive_names.compose(kind, 100, 1_795_482_001, compress, BERLIN).endswith("_01" + ending)


def test_names_beside_an_archive() -> None:
    path = "/mnt/backup/dump/vzdump-qemu-220-2026_11_23-21_01_16.vma.zst"
    assert archive_names.unfinished(path).endswith("21_01_16.vma.dat")
    assert archive_names.log_of(path).endswith("21_01_16.log")
