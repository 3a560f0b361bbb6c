"""The root file system of the lab's container: busybox, a small SSH server and the client's data, as a tar.

Both programs are this machine's own (see :mod:`lab.vm.hostpackages`), the SSH server with the libraries it names.
"""

from __future__ import annotations

import io
import re
import struct
import subprocess
import tarfile
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_ssh_private_key,
)

from lab.settings import CONTAINER, DRILL_ACCOUNT
from lab.vm.errors import LabError
from lab.vm.initrd import BUSYBOX
from lab.vm.keys import Keys
from lab.vm.recipes import TREE

DROPBEAR = Path("/usr/sbin/dropbear")
HOME, UID = f"home/{DRILL_ACCOUNT}", 1000
FOLDERS = (
    "bin", "sbin", "etc", "etc/dropbear", "dev", "proc", "sys", "run", "tmp", "root", "srv", "srv/data", "usr",
    "usr/bin", "usr/sbin", "var", "home",
)  # fmt: skip
FILES = {
    "etc/passwd": f"root:x:0:0:root:/root:/bin/sh\n{DRILL_ACCOUNT}:x:{UID}:{UID}::/{HOME}:/bin/sh\n",
    "etc/group": f"root:x:0:\n{DRILL_ACCOUNT}:x:{UID}:\n",
    "etc/hostname": f"{CONTAINER.name}\n",
    "etc/os-release": 'ID=busybox\nNAME="BusyBox"\nPRETTY_NAME="BusyBox container"\n',
}


def container_tar(keys: Keys) -> bytes:
    """Return the container's files as a tar; all but the account's own belong to root."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for folder in FOLDERS:
            _folder(tar, folder, 0o1777 if folder == "tmp" else 0o755)
        _add(tar, "bin/busybox", BUSYBOX.read_bytes(), 0o755)
        for name in sorted({*applets(), "sh"} - {"busybox", "init"}):
            _link(tar, f"bin/{name}", "busybox")
        _link(tar, "sbin/init", "../bin/busybox")
        for name, text in FILES.items():
            _add(tar, name, text.encode(), 0o644)
        _add_ssh(tar, keys)
        top = TREE / "container"
        for path in sorted(path for path in top.rglob("*") if path.is_file()):
            _add(tar, str(path.relative_to(top)), path.read_bytes(), path.stat().st_mode & 0o755)
    return out.getvalue()


def applets() -> list[str]:
    """Return the commands this machine's busybox has."""
    return subprocess.run([str(BUSYBOX), "--list"], capture_output=True, text=True, check=True).stdout.split()


def libraries(program: Path) -> list[Path]:
    """Return the shared libraries a program of this machine needs, its loader included; LabError when one is missing.

    Upstream: ldd(1) prints ``NAME => PATH (ADDRESS)``, the loader as its bare path.
    """
    told = subprocess.run(["ldd", str(program)], capture_output=True, text=True, check=False)
    found = re.findall(r"^\s*(?:\S+ => )?(/\S+) \(0x", told.stdout, re.MULTILINE)
    if told.returncode or "not found" in told.stdout or not found:
        raise LabError(f"the libraries of {program} cannot be told: {(told.stderr or told.stdout).strip()}")
    return [Path(path) for path in found]


def dropbear_key(private: str) -> bytes:
    """Return an Ed25519 key, given as OpenSSH writes it, as dropbear keeps it: type, then seed and public half."""
    key = load_ssh_private_key(private.encode(), None)
    if not isinstance(key, Ed25519PrivateKey):
        raise LabError("the container's host key is no Ed25519 key")
    both = key.private_bytes(Encoding.Raw, PrivateFormat.Raw, NoEncryption())
    both += key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
    return _string(b"ssh-ed25519") + _string(both)


def _string(data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + data


def _add_ssh(tar: tarfile.TarFile, keys: Keys) -> None:
    _add(tar, "usr/sbin/dropbear", DROPBEAR.read_bytes(), 0o755)
    made: set[str] = set(FOLDERS)
    for library in libraries(DROPBEAR):
        name = str(library).lstrip("/")
        parents = [str(parent) for parent in reversed(Path(name).parents) if str(parent) != "."]
        for folder in (parent for parent in parents if parent not in made):
            _folder(tar, folder, 0o755)
            made.add(folder)
        _add(tar, name, library.read_bytes(), 0o755)
    _add(tar, "etc/dropbear/host_key", dropbear_key(keys.host_key(CONTAINER.name).read_text()), 0o600)
    shadow = f"root:*:20000:0:99999:7:::\n{DRILL_ACCOUNT}:{keys.password_hash}:20000:0:99999:7:::\n"
    _add(tar, "etc/shadow", shadow.encode(), 0o600)
    for folder in (HOME, f"{HOME}/.ssh"):
        _folder(tar, folder, 0o700, UID)
    _add(tar, f"{HOME}/.ssh/authorized_keys", f"{keys.client_public}\n".encode(), 0o600, UID)


def _folder(tar: tarfile.TarFile, name: str, mode: int, owner: int = 0) -> None:
    member = tarfile.TarInfo(f"./{name}")
    member.type, member.mode, member.uid, member.gid = tarfile.DIRTYPE, mode, owner, owner
    tar.addfile(member)


def _add(tar: tarfile.TarFile, name: str, content: bytes, mode: int, owner: int = 0) -> None:
    member = tarfile.TarInfo(f"./{name}")
    member.size, member.mode, member.uid, member.gid = len(content), mode, owner, owner
    tar.addfile(member, io.BytesIO(content))


def _link(tar: tarfile.TarFile, name: str, target: str) -> None:
    member = tarfile.TarInfo(f"./{name}")
    member.type, member.linkname = tarfile.SYMTYPE, target
    tar.addfile(member)
