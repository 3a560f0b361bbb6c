"""The root file system of the lab's container: one static busybox and the client's data, as a tar."""

from __future__ import annotations

import io
import subprocess
import tarfile

from lab.settings import CONTAINER
from lab.vm.initrd import BUSYBOX
from lab.vm.recipes import TREE

FOLDERS = ("bin", "sbin", "etc", "dev", "proc", "sys", "run", "tmp", "root", "srv", "srv/data", "usr", "usr/bin", "var")
FILES = {
    "etc/passwd": "root:x:0:0:root:/root:/bin/sh\n",
    "etc/group": "root:x:0:\n",
    "etc/hostname": f"{CONTAINER.name}\n",
    "etc/os-release": 'ID=busybox\nNAME="BusyBox"\nPRETTY_NAME="BusyBox container"\n',
}


def applets() -> list[str]:
    """Return the commands this machine's busybox has."""
    return subprocess.run([str(BUSYBOX), "--list"], capture_output=True, text=True, check=True).stdout.split()


def container_tar() -> bytes:
    """Return the container's files as a tar, all owned by root."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for folder in FOLDERS:
            member = tarfile.TarInfo(f"./{folder}")
            member.type, member.mode = tarfile.DIRTYPE, 0o1777 if folder == "tmp" else 0o755
            tar.addfile(member)
        _add(tar, "bin/busybox", BUSYBOX.read_bytes(), 0o755)
        for name in sorted({*applets(), "sh"} - {"busybox", "init"}):
            _link(tar, f"bin/{name}", "busybox")
        _link(tar, "sbin/init", "../bin/busybox")
        for name, text in FILES.items():
            _add(tar, name, text.encode(), 0o644)
        top = TREE / "container"
        for path in sorted(path for path in top.rglob("*") if path.is_file()):
            _add(tar, str(path.relative_to(top)), path.read_bytes(), path.stat().st_mode & 0o755)
    return out.getvalue()


def _add(tar: tarfile.TarFile, name: str, content: bytes, mode: int) -> None:
    member = tarfile.TarInfo(f"./{name}")
    member.size, member.mode = len(content), mode
    tar.addfile(member, io.BytesIO(content))


def _link(tar: tarfile.TarFile, name: str, target: str) -> None:
    member = tarfile.TarInfo(f"./{name}")
    member.type, member.linkname = tarfile.SYMTYPE, target
    tar.addfile(member)
