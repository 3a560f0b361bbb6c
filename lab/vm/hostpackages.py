"""Which programs the lab needs on this machine, and which Debian or Ubuntu package brings each.

``python -m lab.vm.hostpackages`` prints the packages that are missing, one a line, for a script to install.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

from lab.vm.errors import LabError

PROGRAMS: Mapping[str, str] = {
    "qemu-system-x86_64": "qemu-system-x86",
    "qemu-img": "qemu-utils",
    "mmdebstrap": "mmdebstrap",
    "newuidmap": "uidmap",
    "fakeroot": "fakeroot",
    "fakechroot": "fakechroot",
    "mke2fs": "e2fsprogs",
    "debugfs": "e2fsprogs",
    "e2fsck": "e2fsprogs",
    "fallocate": "util-linux",
    "grub-mkimage": "grub-common",
    "zstd": "zstd",
    "setpriv": "util-linux",
    "ssh": "openssh-client",
    "ssh-keygen": "openssh-client",
}
FILES: Mapping[str, str] = {
    "/usr/lib/grub/i386-pc/boot.img": "grub-pc-bin",
    "/bin/busybox": "busybox-static",
    "/usr/sbin/dropbear": "dropbear-bin",
}
SYSTEM_PATH = "/usr/sbin:/sbin"
OLDEST_QEMU = (7, 2)


def program(name: str) -> str:
    """Return the path of a program, looking in the system folders too; LabError names the package that brings it."""
    found = shutil.which(name) or shutil.which(name, path=SYSTEM_PATH)
    if found is None:
        package = PROGRAMS.get(name, name)
        raise LabError(f"the program {name} is not on this machine; install the package {package} (apt-get install)")
    return found


def is_static(path: Path) -> bool:
    """Tell whether an ELF program needs no interpreter (busybox comes in both kinds)."""
    return b"/ld-linux" not in path.read_bytes()[:4096]


def missing() -> list[str]:
    """Return the packages this machine lacks, in alphabetical order."""
    lacking = {
        package
        for name, package in PROGRAMS.items()
        if not (shutil.which(name) or shutil.which(name, path=SYSTEM_PATH))
    }
    lacking |= {package for name, package in FILES.items() if not Path(name).exists()}
    busybox = Path("/bin/busybox")
    if busybox.exists() and not is_static(busybox):
        lacking.add("busybox-static")
    return sorted(lacking)


def qemu_version(text: str) -> tuple[int, int]:
    """Read the version out of what ``qemu-system-x86_64 --version`` prints."""
    found = re.search(r"version (\d+)\.(\d+)", text)
    if found is None:
        raise LabError(f"qemu-system-x86_64 --version answered {text[:80]!r}; a version number was expected")
    return int(found[1]), int(found[2])


def require() -> None:
    """Raise LabError when a package is missing or QEMU is too old for stream sockets between guests."""
    lacking = missing()
    if lacking:
        raise LabError(f"this machine lacks {', '.join(lacking)}; as root: apt-get install {' '.join(lacking)}")
    command = [program("qemu-system-x86_64"), "--version"]
    told = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    version = qemu_version(told)
    if version < OLDEST_QEMU:
        raise LabError(
            f"QEMU {version[0]}.{version[1]} is too old: the lab joins guests by stream sockets, which QEMU has had "
            f"since 7.2. Debian 12, Ubuntu 24.04 and anything newer bring it"
        )


if __name__ == "__main__":
    sys.stdout.write("".join(f"{package}\n" for package in missing()))
