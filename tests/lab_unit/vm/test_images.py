"""What images are made from: releases, packages, boot archives, keys of the cache."""

import gzip
import io
import json
import lzma
import shutil
import subprocess
import tarfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Never

import pytest

from lab.settings import GUESTS, Folders, built_guest
from lab.vm import hostpackages, initrd
from lab.vm.bootstrap import command_line
from lab.vm.cache import Cache, digest, digest_of_files
from lab.vm.errors import LabError
from lab.vm.keys import Keys, make_keys
from lab.vm.laying import as_tar
from lab.vm.node import DatedLine, export_format
from lab.vm.probe import accelerator
from lab.vm.progress import Progress
from lab.vm.recipes import guest_spec, node_spec
from lab.vm.suite import Suite, parse_os_release, suite_of
from lab.vm.timeserver import NTP_EPOCH, reply
from lab.vm.treebuild import TreeSpec, partition_table

BOOKWORM = Suite("debian", "bookworm", "linux-image-cloud-amd64")


def test_the_release_is_this_machines_own() -> None:
    debian = parse_os_release('ID=debian\nVERSION_CODENAME=trixie\nPRETTY_NAME="Debian 13"\n')
    assert suite_of(debian) == Suite("debian", "trixie", "linux-image-cloud-amd64")
    ubuntu = parse_os_release("ID=ubuntu\nID_LIKE=debian\nVERSION_CODENAME=noble\nUBUNTU_CODENAME=noble\n")
    assert suite_of(ubuntu) == Suite("ubuntu", "noble", "linux-image-virtual")


def test_another_distribution_is_refused_by_name() -> None:
    with pytest.raises(LabError, match="Fedora Linux 44"):
        suite_of({"ID": "fedora", "PRETTY_NAME": "Fedora Linux 44"})


@pytest.mark.parametrize(
    ("suite", "apart"),
    [
        (Suite("debian", "bookworm", "k"), []),
        (Suite("debian", "trixie", "k"), ["docker-cli"]),
        (Suite("ubuntu", "noble", "k"), []),
    ],
)
def test_dockers_command_is_installed_where_it_is_a_package_of_its_own(suite: Suite, apart: list[str]) -> None:
    assert suite.packages(("docker.io", "busybox-static")) == ("docker.io", "busybox-static", *apart)
    assert suite.packages(("dnsmasq",)) == ("dnsmasq",)


def test_layers_go_on_from_the_base_archive(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lab.vm.bootstrap.program", lambda name: f"/usr/bin/{name}")
    base = command_line(BOOKWORM, "fakechroot", ["systemd"], Path("/c/base.tar"))
    assert "--variant=minbase" in base
    assert any("merged-usr" in word for word in base)
    layer = command_line(BOOKWORM, "root", ["dnsmasq"], Path("/c/dns.tar"), Path("/c/my base.tar"))
    assert "--setup-hook=tar-in '/c/my base.tar' /" in layer
    assert layer[-2:] == ["bookworm", "/c/dns.tar"]


def test_missing_packages_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        hostpackages.shutil, "which", lambda name, **_: None if name == "mmdebstrap" else f"/bin/{name}"
    )
    assert "mmdebstrap" in hostpackages.missing()
    with pytest.raises(LabError, match=r"as root: apt-get install .*mmdebstrap"):
        hostpackages.require()


def test_an_old_qemu_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hostpackages, "missing", list)
    monkeypatch.setattr(hostpackages, "program", lambda name: name)
    old = subprocess.CompletedProcess([], 0, "QEMU emulator version 6.2.0 (Debian)\n")
    monkeypatch.setattr(hostpackages.subprocess, "run", lambda *_, **__: old)
    with pytest.raises(LabError, match=r"QEMU 6\.2 is too old.*7\.2"):
        hostpackages.require()


def test_without_a_kvm_device_there_is_emulation(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("lab.vm.probe.os.access", lambda *_: False)
    assert accelerator(Path("/no/kernel"), tmp_path / "kvm.json") == "tcg"


def test_what_was_found_out_about_kvm_holds_for_this_boot_only(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("lab.vm.probe.os.access", lambda *_: True)
    boots = []
    monkeypatch.setattr("lab.vm.probe.boots_linux", lambda _kernel: boots.append(1) or True)
    cache = tmp_path / "kvm.json"
    assert [accelerator(Path("/k"), cache) for _ in range(2)] == ["kvm", "kvm"]
    assert len(boots) == 1
    cache.write_text(json.dumps({"boot_id": "another", "accelerator": "tcg"}))
    assert accelerator(Path("/k"), cache) == "kvm"


def test_modules_are_loaded_after_what_they_need() -> None:
    table = "kernel/ext4.ko.xz: kernel/jbd2.ko.xz kernel/mbcache.ko.xz\nkernel/jbd2.ko.xz:\nkernel/mbcache.ko.xz:\n"
    assert initrd.load_order(["virtio_blk", "ext4"], table) == [
        "kernel/mbcache.ko.xz",
        "kernel/jbd2.ko.xz",
        "kernel/ext4.ko.xz",
    ]


@pytest.mark.parametrize(("suffix", "pack"), [(".ko", bytes), (".ko.xz", lzma.compress), (".ko.gz", gzip.compress)])
def test_compressed_modules_are_unpacked(tmp_path: Path, suffix: str, pack: Callable[[bytes], bytes]) -> None:
    path = tmp_path / f"ext4{suffix}"
    path.write_bytes(pack(b"module"))
    assert initrd.plain_module(path) == b"module"
    assert initrd.module_name(f"a/crc32c-intel{suffix}") == "crc32c_intel"


def test_the_boot_archive_is_one_that_cpio_reads(tmp_path: Path) -> None:
    made = initrd.newc([("bin", 0o040755, b""), ("bin/a", 0o100755, b"12345"), ("init", 0o100755, b"#!/bin/sh\n")])
    assert len(made) % 4 == 0
    assert made.count(b"070701") == 4
    if shutil.which("cpio"):
        listed = subprocess.run(["cpio", "-it"], input=made, capture_output=True, check=True)
        assert listed.stdout.decode().split() == ["bin", "bin/a", "init"]


def test_a_content_key_follows_content_mode_and_name(tmp_path: Path) -> None:
    file = tmp_path / "tree" / "a"
    file.parent.mkdir()
    file.write_text("1")
    seen = {digest_of_files([file.parent])}
    file.write_text("2")
    seen.add(digest_of_files([file.parent]))
    file.chmod(0o755)
    seen.add(digest_of_files([file.parent]))
    file.rename(file.with_name("b"))
    seen.add(digest_of_files([file.parent]))
    assert len(seen) == 4
    assert digest("a", ["b"]) != digest("a", ["c"])


def test_the_cache_builds_once_and_forgets_older_contents(tmp_path: Path) -> None:
    cache = Cache(tmp_path, Progress(io.StringIO()))
    built = []

    def build(part: Path) -> None:
        built.append(part)
        part.write_text("x")

    for key in ("1111", "1111", "2222"):
        assert cache.get("guest", key, ".pv", build).name == f"guest-{key}.pv"
    assert len(built) == 2
    assert [path.name for path in tmp_path.iterdir()] == ["guest-2222.pv"]


def test_a_build_that_fails_leaves_nothing_that_looks_built(tmp_path: Path) -> None:
    cache = Cache(tmp_path, Progress(io.StringIO()))

    def build(part: Path) -> Never:
        part.write_text("half")
        raise LabError("no network")

    with pytest.raises(LabError):
        cache.get("guest", "1111", ".pv", build)
    assert not list(tmp_path.glob("guest*"))


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> Keys:
    return make_keys(tmp_path_factory.mktemp("keys"))


def test_keys_are_made_once_and_are_private(keys: Keys) -> None:
    again = make_keys(keys.folder)
    assert again.fingerprint() == keys.fingerprint()
    for path in keys.folder.iterdir():
        if path.suffix != ".pub":
            assert path.stat().st_mode & 0o077 == 0, path


def test_a_guest_has_one_account_and_no_way_in_for_root(keys: Keys) -> None:
    spec = guest_spec(built_guest(210), Path("a.tar"), Path("a.pv"), keys)
    assert spec.account["name"] == "drill"
    assert not [name for name in spec.files if name.startswith("/root")]
    assert keys.password not in spec.dump()
    assert spec.files["/etc/network-address"][1] == "10.0.0.210/24 10.0.0.1\n"


def test_every_guest_has_its_own_host_key(keys: Keys) -> None:
    specs = [guest_spec(guest, Path("a"), Path("b"), keys) for guest in GUESTS]
    assert len({spec.files["/etc/ssh/ssh_host_ed25519_key"][1] for spec in specs}) == len(GUESTS)


def test_specifications_survive_the_way_to_their_process(keys: Keys) -> None:
    spec = node_spec(Path("a"), Path("b"), keys, Path("boot"))
    read = TreeSpec(**json.loads(spec.dump()))
    assert read.links == spec.links
    assert read.files["/etc/hostname"] == [0o644, "pve1\n"]


def test_the_partition_table_has_one_active_linux_partition() -> None:
    table = partition_table(4096)
    assert len(table) == 72
    assert table[-2:] == b"\x55\xaa"
    assert (table[6], table[10]) == (0x80, 0x83)
    assert int.from_bytes(table[14:18], "little") == 2048
    assert int.from_bytes(table[18:22], "little") == 2048


def test_the_time_server_answers_with_the_clients_stamp() -> None:
    request = bytes([0x23]) + bytes(39) + b"TRANSMIT"
    sent = time.time()
    answer = reply(request, sent - 0.25, sent)
    assert len(answer) == 48
    assert answer[0] & 7 == 4
    assert answer[24:32] == b"TRANSMIT"
    assert int.from_bytes(answer[40:44], "big") == int(sent) + NTP_EPOCH


def test_journal_lines_are_exported_in_order_and_whole() -> None:
    lines = [DatedLine(20.5, "pvedaemon", "second\nline"), DatedLine(10, "pvescheduler", "first")]
    text = export_format(lines, "b" * 32)
    assert text.index(b"first") < text.index(b"second\nline")
    assert b"__REALTIME_TIMESTAMP=20500001\n" in text
    assert b"MESSAGE\n\x0b\0\0\0\0\0\0\0second\nline\n\n" in text


@dataclass(frozen=True)
class Laid:
    path: str
    mtime: float
    data: bytes = b""
    archive: int | None = None


def test_nights_are_names_of_one_archive() -> None:
    made = as_tar([Laid("/mnt/backup/dump/a.vma.zst", 100.0, archive=210), Laid("/etc/pve/jobs.cfg", 50.0, b"text")])
    with tarfile.open(fileobj=io.BytesIO(made)) as tar:
        night, config = tar.getmembers()
    assert (night.islnk(), night.linkname) == (True, "mnt/backup/.lab/210")
    assert (config.name, config.mtime, config.size) == ("etc/pve/jobs.cfg", 50, 4)


def test_folders_follow_the_users_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "c"))
    monkeypatch.setenv("XDG_STATE_HOME", "relative is ignored")
    monkeypatch.setenv("HOME", str(tmp_path))
    folders = Folders.of_user()
    assert folders.cache == tmp_path / "c/backup-standard-lab"
    assert folders.state == tmp_path / ".local/state/backup-standard-lab"
    folders.make()
    assert folders.state.stat().st_mode & 0o777 == 0o700
