"""The container of the machines' lab: what is on its root file system, and how its cards are plugged."""

from __future__ import annotations

import io
import tarfile
from pathlib import Path

import pytest

from lab.settings import CONTAINER
from lab.vm import rootfs
from lab.vm.containers import cards_of
from lab.vm.errors import LabError
from lab.vm.keys import make_keys

DROPBEAR_LIST = """\tlinux-vdso.so.1 (0x00007f1e9cbef000)
\tlibcrypt.so.1 => /lib/x86_64-linux-gnu/libcrypt.so.1 (0x00007f1e9ca57000)
\t/lib64/ld-linux-x86-64.so.2 (0x00007f1e9cbf1000)
"""


@pytest.fixture
def tools(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Programs of a machine that has them: an SSH server with one library and its loader."""
    for name in ("busybox", "dropbear", "libc.so.6", "ld.so"):
        (tmp_path / name).write_bytes(name.encode())
    monkeypatch.setattr(rootfs, "BUSYBOX", tmp_path / "busybox")
    monkeypatch.setattr(rootfs, "DROPBEAR", tmp_path / "dropbear")
    monkeypatch.setattr(rootfs, "applets", lambda: ["ip", "ping", "sh", "init"])
    monkeypatch.setattr(rootfs, "libraries", lambda _program: [tmp_path / "libc.so.6", tmp_path / "ld.so"])


@pytest.mark.usefixtures("tools")
def test_container_has_an_ssh_server_that_knows_the_drill_account(tmp_path: Path) -> None:
    keys = make_keys(tmp_path / "keys")
    with tarfile.open(fileobj=io.BytesIO(rootfs.container_tar(keys))) as tar:
        members = {member.name.removeprefix("./"): member for member in tar}
        texts = {
            name: opened.read().decode("latin-1") for name, one in members.items() if (opened := tar.extractfile(one))
        }

    assert texts["home/drill/.ssh/authorized_keys"] == f"{keys.client_public}\n"
    assert keys.password_hash in texts["etc/shadow"]
    assert texts["etc/hostname"] == f"{CONTAINER.name}\n"
    assert {members[name].mode for name in ("etc/shadow", "etc/dropbear/host_key")} == {0o600}
    assert {members[name].uid for name in ("home/drill", "home/drill/.ssh", "home/drill/.ssh/authorized_keys")} == {
        1000
    }
    assert members["bin/ip"].issym()
    library = str(tmp_path / "libc.so.6").lstrip("/")
    assert texts[library] == "libc.so.6"
    assert members[str(Path(library).parent)].isdir()


def test_host_key_is_what_dropbear_keeps(tmp_path: Path) -> None:
    keys = make_keys(tmp_path / "keys")
    blob = rootfs.dropbear_key(keys.host_key(CONTAINER.name).read_text())

    assert blob[:15] == b"\0\0\0\x0bssh-ed25519"
    assert blob[15:19] == b"\0\0\0\x40"
    assert len(blob) == 15 + 4 + 64


def test_libraries_are_those_that_the_loader_finds(monkeypatch: pytest.MonkeyPatch) -> None:
    said = rootfs.subprocess.CompletedProcess([], 0, DROPBEAR_LIST, "")
    monkeypatch.setattr(rootfs.subprocess, "run", lambda *_, **__: said)

    assert rootfs.libraries(Path("/usr/sbin/dropbear")) == [
        Path("/lib/x86_64-linux-gnu/libcrypt.so.1"),
        Path("/lib64/ld-linux-x86-64.so.2"),
    ]

    said.stdout = "\tlibtommath.so.1 => not found\n\t/lib64/ld-linux-x86-64.so.2 (0x00007f1e9cbf1000)\n"
    with pytest.raises(LabError, match=r"libtommath\.so\.1 => not found"):
        rootfs.libraries(Path("/usr/sbin/dropbear"))


def test_cards_are_plugged_by_index_and_a_card_with_its_link_down_is_not() -> None:
    config = {
        "net0": "name=eth0,bridge=vmbr9,gw=10.0.0.1,hwaddr=BC:24:11:00:02:30,ip=10.0.0.230/24,type=veth",
        "net2": "name=lan,bridge=vmbr9,ip=dhcp",
        "net10": "name=off,bridge=vmbr9,link_down=1",
        "nameserver": "10.0.0.1",
    }

    assert cards_of(config) == [
        (0, ["eth0", "vmbr9", "BC:24:11:00:02:30", "10.0.0.230/24", "10.0.0.1"]),
        (2, ["lan", "vmbr9", "-", "-", "-"]),
    ]
