"""Container archives: the configuration comes first, the file tree survives."""

import io
import subprocess
import tarfile
from pathlib import Path

import pytest

from lab.archive import ArchiveDamaged, ContainerReader, compressor, decompressor, write_container

CONFIG = "arch: amd64\nhostname: files\n"


def tree() -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as tar:
        for name, data in (("./srv/data/a.txt", b"client data\n"), ("./etc/hostname", b"files\n")):
            member = tarfile.TarInfo(name)
            member.size, member.uid, member.mode = len(data), 100000, 0o640
            tar.addfile(member, io.BytesIO(data))
        link = tarfile.TarInfo("./srv/link")
        link.type, link.linkname = tarfile.SYMTYPE, "data/a.txt"
        tar.addfile(link)
    return out.getvalue()


def archive(firewall: str | None = None) -> bytes:
    out = io.BytesIO()
    with compressor(out, "zstd") as stream:
        write_container(stream, CONFIG, io.BytesIO(tree()), firewall=firewall)
    return out.getvalue()


def reader(data: bytes) -> ContainerReader:
    return ContainerReader(decompressor(io.BytesIO(data), "zstd"))


@pytest.mark.parametrize("firewall", [None, "[OPTIONS]\nenable: 1\n"])
def test_a_container_goes_both_ways(firewall: str | None) -> None:
    opened, out = reader(archive(firewall)), io.BytesIO()

    done = opened.extract(out)

    assert (opened.config, opened.firewall, done) == (CONFIG, firewall, 18)
    with tarfile.open(fileobj=io.BytesIO(out.getvalue())) as before, tarfile.open(fileobj=io.BytesIO(tree())) as after:
        facts = [[(m.name, m.uid, m.mode, m.linkname) for m in tar] for tar in (before, after)]
        assert facts[0] == facts[1]
        content = before.extractfile("./srv/data/a.txt")
        assert content
        assert content.read() == b"client data\n"


def test_the_tar_command_finds_the_configuration_first(tmp_path: Path) -> None:
    (tmp_path / "a.tar.zst").write_bytes(archive())

    names = subprocess.run(["tar", "--zstd", "-tf", tmp_path / "a.tar.zst"], capture_output=True, text=True, check=True)

    assert names.stdout.splitlines() == ["./etc/vzdump/pct.conf", "./srv/data/a.txt", "./etc/hostname", "./srv/link"]


def test_a_tar_cut_short_is_damaged() -> None:
    plain = decompressor(io.BytesIO(archive()), "zstd").read(1 << 20)

    with pytest.raises(ArchiveDamaged, match="Unexpected EOF"):
        ContainerReader(io.BytesIO(plain[:1500])).extract(io.BytesIO())


def test_an_archive_cut_short_is_damaged() -> None:
    with pytest.raises(ArchiveDamaged, match="premature end"):
        reader(archive()[:-20]).extract(io.BytesIO())


@pytest.mark.parametrize("data", [tree(), b"no tar at all" * 500, b""])
def test_what_has_no_configuration_is_no_container_archive(data: bytes) -> None:
    with pytest.raises(ArchiveDamaged):
        ContainerReader(io.BytesIO(data))
