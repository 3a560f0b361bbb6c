"""A container's archive is whole, or the reader says where it is not."""

from __future__ import annotations

import io
import re
import subprocess
import tarfile
from pathlib import Path

import pytest

from tests import archivemaking as make

WHOLE = make.container()
END = len(WHOLE.rstrip(b"\0")) + 511 >> 9 << 9


def first(data: bytes, name: bytes) -> int:
    """Where the header of a member begins."""
    return data.index(name) >> 9 << 9


@pytest.mark.parametrize("form", [tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
@pytest.mark.parametrize("kind", ["none", "zstd", "gzip"])
def test_an_archive_is_whole(kind: str, form: int) -> None:
    data = make.container(root=make.tree(form))
    found = make.judge(data if kind == "none" else make.packed(data, kind), "tar", kind)
    assert (found["problem"], found["intact"], found["members"]) == ("", True, 5)


@pytest.mark.parametrize("options", [("--format=gnu",), ("--format=posix", "--xattrs", "--acls"), ("--format=ustar",)])
def test_an_archive_by_gnu_tar_with_sparse_files_is_whole(tmp_path: Path, options: tuple[str, ...]) -> None:
    (tmp_path / "etc" / "vzdump").mkdir(parents=True)
    (tmp_path / "etc" / "vzdump" / "pct.conf").write_text(make.PCT)
    with (tmp_path / "sparse").open("wb") as file:
        for place in range(40):
            file.seek(place << 20)
            file.write(b"data")
    sparse = [] if options == ("--format=ustar",) else ["--sparse"]
    line = ["tar", "cf", "-", *sparse, *options, "-C", str(tmp_path), "./etc/vzdump/pct.conf", "."]
    found = make.judge(subprocess.run(line, capture_output=True, check=True).stdout, "tar")
    assert (found["problem"], found["intact"]) == ("", True)


def doubled(name: bytes) -> bytes:
    """An archive with a flipped bit in the header of a member."""
    return make.flipped(WHOLE, first(WHOLE, name) + 110)


BAD = {
    "empty": (b"", "the file is empty"),
    "no tar": (b"<html>" * 3000, "byte 0 of the file: the header of a member does not match its checksum"),
    "flipped in a header": (doubled(b"./etc/hostname"), "byte 1024 of the file: the header of a member"),
    "cut between members": (WHOLE[:1024], "ends at byte 1024 of the file without the zero blocks"),
    "cut in a header": (WHOLE[:1100], "ends at byte 1100 of the file, in a header that begins at byte 1024"),
    "cut in a file": (WHOLE[:1600], "in the content of etc/hostname, whose header is at byte 1024"),
    "cut in the configuration": (WHOLE[:600], "in the member at byte 0"),
    "one zero block": (WHOLE[: END + 512], "a zero block is followed by nothing"),
    "a lone zero block": (WHOLE[:END] + bytes(512) + WHOLE[:512], "a zero block is followed by something else"),
    "trailing garbage": (WHOLE + b"garbage", f"byte {len(WHOLE)} of the file: trailing garbage"),
    "no configuration": (make.tree(), "holds no configuration of its container"),
    "no root file system named": (make.container("arch: amd64\n"), "names no root file system"),
    "no root file system": (make.container(root=bytes(10240)), "holds no file of a root file system"),
}


@pytest.mark.parametrize(("data", "message"), BAD.values(), ids=BAD.keys())
def test_damage_is_found_and_placed(data: bytes, message: str) -> None:
    found = make.judge(data, "tar")
    assert not found["intact"]
    assert re.search(message, found["problem"]), found["problem"]


@pytest.mark.parametrize("share", [0.1, 0.5, 0.9])
def test_every_flipped_bit_of_a_packed_archive_is_found(share: float) -> None:
    data = make.packed(make.container(root=make.tree()))
    assert not make.judge(make.flipped(data, int(len(data) * share)), "tar", "zstd")["intact"]


def header(**changes: object) -> bytes:
    """A container's archive whose last member has a header of the test's own."""
    member = tarfile.TarInfo("./x")
    for name, value in changes.items():
        setattr(member, name, value)
    return WHOLE[:END] + member.tobuf(tarfile.GNU_FORMAT)


def test_sizes_of_any_kind_are_understood_or_refused() -> None:
    assert "in the content of x" in make.judge(header(size=1 << 40), "tar")["problem"]
    assert "is no number" in make.judge(header(size=-1), "tar")["problem"]


def test_an_extended_header_may_be_hostile() -> None:
    for note in (b"9999 path=x\n", b"no length", b"0 path=x\n"):
        member = tarfile.TarInfo("./x")
        member.size, member.type = len(note), tarfile.XHDTYPE
        data = WHOLE[:END] + member.tobuf() + note.ljust(512, b"\0")
        assert "an extended header of a member is not understood" in make.judge(data, "tar")["problem"]
    member.size = 1 << 30
    assert "an extended header of 1073741824 bytes" in make.judge(WHOLE[:END] + member.tobuf(), "tar")["problem"]


def test_names_in_messages_are_escaped() -> None:
    member = tarfile.TarInfo("./\x1b[31m\nroot")
    member.size = 99
    out = io.BytesIO(WHOLE[:END] + member.tobuf(tarfile.GNU_FORMAT))
    problem = make.judge(out.getvalue(), "tar")["problem"]
    assert problem.isprintable()
    assert "\\x1b[31m\\nroot" in problem
