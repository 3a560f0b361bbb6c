"""Unpacking, the pace, and the reader as it is sent along."""

from __future__ import annotations

import os
import subprocess
import time
from pathlib import Path

import pytest

from backup_standard.onnode import pace, unpack
from backup_standard.onnode.pace import Pace
from backup_standard.onnode.stream import Aborted
from tests import archivemaking as make

WHOLE = make.vma()
CALM = "some avg10=1.00 avg60=0.00 avg300=0.00 total=5\nfull avg10=0.00 avg60=0.00 avg300=0.00 total=2\n"
BUSY = "some avg10=91.00 avg60=0.00 avg300=0.00 total={total}\nfull avg10=80.00 avg60=0.00 avg300=0.00 total=2\n"


@pytest.mark.parametrize("kind", ["zstd", "gzip"])
def test_a_packed_archive_that_ends_early_or_goes_on_is_damaged(kind: str) -> None:
    data = make.packed(WHOLE, kind)
    for spoiled in (data[:-1], data[:-4], data[: len(data) // 2], data[:10], data + b"garbage", data + bytes(9)):
        found = make.judge(spoiled, "vma", kind)
        assert not found["intact"]
        assert "byte" in found["problem"]


def test_gzip_of_several_members_is_one() -> None:
    half = len(WHOLE) // 2
    assert make.judge(make.packed(WHOLE[:half], "gzip") + make.packed(WHOLE[half:], "gzip"), "vma", "gzip")["intact"]


@pytest.mark.parametrize("kind", ["zstd", "gzip", "lzo"])
def test_a_name_that_lies_about_the_compression_is_told(kind: str) -> None:
    assert make.judge(WHOLE, "vma", kind)["problem"] == (
        f"byte 0 of the file: this is not {kind} data, although its name says so"
    )


def test_zstd_without_a_checksum_is_not_called_checked() -> None:
    plain = subprocess.run(["zstd", "--no-check", "-c"], input=WHOLE, capture_output=True, check=True).stdout
    found = make.judge(plain, "vma", "zstd")
    assert (found["intact"], found["checksummed"]) == (True, False)


def lzop(folder: Path, script: str) -> None:
    """A stand-in for lzop, which takes its own nine bytes and more off."""
    (folder / "lzop").write_text(f"#!/bin/sh\n{script}\n")
    (folder / "lzop").chmod(0o755)


def test_lzo_goes_through_the_nodes_own_tool(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    head = b"\x89LZO\0\r\n\x1a\n" + bytes(8) + (0x01).to_bytes(4, "big")
    monkeypatch.setenv("PATH", str(tmp_path))
    assert make.judge(head + WHOLE, "vma", "lzo")["unproven"] == "lzop is not installed on the node (apt install lzop)"
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    lzop(tmp_path, "tail -c +22")
    assert make.judge(head + WHOLE, "vma", "lzo")["intact"]
    lzop(tmp_path, "tail -c +22 | head -c 20000; echo 'lzop: <stdin>: Checksum error' >&2; exit 1")
    problem = make.judge(head + WHOLE, "vma", "lzo")["problem"]
    assert problem.startswith("lzop fails at or before byte ")
    assert problem.endswith("lzop: <stdin>: Checksum error")


def test_flags_of_lzop_tell_of_checksums() -> None:
    assert not unpack.has_checksum("lzo", b"\x89LZO\0\r\n\x1a\n" + bytes(12))


def test_the_bandwidth_is_kept() -> None:
    began = time.monotonic()
    data = make.packed(WHOLE)
    make.judge(data, "vma", "zstd", Pace(len(data) / 1.0, 60, "/nowhere", 40, 60))
    assert time.monotonic() - began >= 0.4  # half a second of credit


def test_the_deadline_is_kept() -> None:
    found = make.judge(WHOLE, pace=Pace(1e12, -1, "/nowhere", 40, 60))
    assert (found["intact"], found["aborted"], found["problem"]) == (False, "the next backup run is near", "")


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pace, "SETTLE", 0.0)
    monkeypatch.setattr(pace, "MEASURE", 0.01)


def test_pressure_of_our_own_making_is_gone_when_we_rest(tmp_path: Path, quick: None) -> None:
    (tmp_path / "io").write_text(BUSY.format(total=5))
    assert make.judge(WHOLE, pace=Pace(1e12, 60, str(tmp_path / "io"), 40, 0))["intact"]


def test_pressure_of_others_ends_the_reading(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, quick: None) -> None:
    (tmp_path / "io").write_text(BUSY.format(total=0))
    told = iter(range(0, 10**12, 10**8))

    def rest(_seconds: float) -> None:
        (tmp_path / "io").write_text(BUSY.format(total=next(told)))

    monkeypatch.setattr(pace, "rest", rest)
    for kind, data in (("none", WHOLE), ("zstd", make.packed(WHOLE))):
        found = make.judge(data, "vma", kind, Pace(1e12, 60, str(tmp_path / "io"), 40, 0))
        assert not found["intact"]
        assert found["aborted"].startswith("I/O pressure on the node: ")
        assert found["aborted"].endswith("(limit 40 %)")


def test_a_calm_node_is_not_waited_for(tmp_path: Path) -> None:
    (tmp_path / "io").write_text(CALM)
    watching = Pace(1e12, 60, str(tmp_path / "io"), 40, 0)
    watching.wait_for(1)
    assert watching.watched
    assert not Pace(1, 1, str(tmp_path / "none"), 40, 0).watched


def test_the_deadline_is_kept_also_while_waiting(tmp_path: Path, quick: None, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "io").write_text(BUSY.format(total=0))
    told = iter(range(0, 10**12, 10**8))
    monkeypatch.setattr(pace, "rest", lambda _s: (tmp_path / "io").write_text(BUSY.format(total=next(told))))
    watching = Pace(1e12, 0.2, str(tmp_path / "io"), 40, 3600)
    with pytest.raises(Aborted, match="the next backup run is near"):
        watching.wait_for(1)


def test_a_source_counts_and_tells(tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(b"x" * 600_000)
    told: list[int] = []
    descriptor = os.open(tmp_path / "x", os.O_RDONLY)
    try:
        source = unpack.Source(descriptor, Pace(1e12, 60, "/nowhere", 40, 60), told.append)
        assert sum(map(len, source.chunks())) == source.count == told[-1] == 600_000
    finally:
        os.close(descriptor)
    assert source.ended
