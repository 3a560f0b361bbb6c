"""Turns an unpacked root file system into a bootable disk image. Runs as its own process that sees itself as root.

``python -m lab.vm.treebuild SPEC.json``; the parent (:mod:`lab.vm.images`) puts ``unshare`` or ``fakeroot`` before it.
The disk lies in the file behind ``lead`` bytes that are left for an LVM header, so that the file is a physical volume
of the node and its one logical volume is the guest's disk.
"""

from __future__ import annotations

import base64
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

from lab.vm.hostpackages import program
from lab.vm.initrd import ROOT_INIT, archive

MIB = 1 << 20
PARTITION_START = 2048
"""First sector of the only partition, where every installer puts it."""


@dataclass(frozen=True)
class TreeSpec:
    """One image: the archive to unpack, folders to lay over it, files (path to (mode, text)), links, accounts."""

    archive: str
    out: str
    disk_mib: int
    lead: int = 0
    grub: bool = True
    overlays: Sequence[str] = ()
    files: Mapping[str, tuple[int, str]] = field(default_factory=dict)
    links: Mapping[str, str] = field(default_factory=dict)
    removed: Sequence[str] = ()
    account: Mapping[str, str] = field(default_factory=dict)
    kernel_arguments: str = ""
    boot_folder: str = ""

    def dump(self) -> str:
        """Return the specification as the JSON text the process reads."""
        return json.dumps(asdict(self))


def build(spec: TreeSpec) -> None:
    """Make the disk image that ``spec`` describes."""
    out = Path(spec.out)
    with tempfile.TemporaryDirectory(prefix="tree-", dir=out.parent) as folder:
        root = Path(folder) / "root"
        root.mkdir(mode=0o755)
        unpack = ["tar", "-C", str(root), "-xf", spec.archive, "--numeric-owner", "--exclude=./dev/*"]
        subprocess.run(unpack, check=True)
        furnish(root, spec)
        kernel = _boot_files(root, spec)
        make_file_system(root, spec)
        if spec.grub:
            embed_grub(out, spec.lead, Path(folder))
        if spec.boot_folder:
            shutil.copy(kernel, Path(spec.boot_folder) / "vmlinuz")
            shutil.copy(root / "boot/initrd-lab", Path(spec.boot_folder) / "initrd")


def furnish(root: Path, spec: TreeSpec) -> None:
    """Lay overlays, files, links and the account over the tree, all owned by root unless said otherwise."""
    for mountpoint in ("dev", "proc", "run", "sys"):
        (root / mountpoint).mkdir(exist_ok=True)
    for overlay in spec.overlays:
        shutil.copytree(overlay, root, dirs_exist_ok=True, symlinks=True, copy_function=_copy_as_root)
    for name in spec.removed:
        for path in root.glob(name.lstrip("/")):
            shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink()
    for name, (mode, text) in spec.files.items():
        _write(root / name.lstrip("/"), text.encode(), mode)
    for name, target in spec.links.items():
        path = root / name.lstrip("/")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.unlink(missing_ok=True)
        path.symlink_to(target)
    if spec.account:
        add_account(root, spec.account)


def add_account(root: Path, account: Mapping[str, str]) -> None:
    """Add the account ``name`` (uid 1000) with its password hash, its key, and the extra groups that exist."""
    name, home = account["name"], root / "home" / account["name"]
    with (root / "etc/passwd").open("a") as passwd:
        passwd.write(f"{name}:x:1000:1000::/home/{name}:/bin/bash\n")
    with (root / "etc/shadow").open("a") as shadow:
        shadow.write(f"{name}:{account['hash']}:19700:0:99999:7:::\n")
    groups = (root / "etc/group").read_text().splitlines()
    extra = set(account.get("groups", "").split(","))
    joined = [
        line + ("," if line[-1] != ":" else "") + name if line.split(":")[0] in extra else line for line in groups
    ]
    (root / "etc/group").write_text("\n".join([*joined, f"{name}:x:1000:", ""]))
    _write(home / ".ssh/authorized_keys", f"{account['key']}\n".encode(), 0o600)
    for path in (home, home / ".ssh", home / ".ssh/authorized_keys"):
        os.chown(path, 1000, 1000)
    home.chmod(0o755)
    (home / ".ssh").chmod(0o700)


def make_file_system(root: Path, spec: TreeSpec) -> None:
    """Write the tree as the ext4 file system "root" of a sparse image."""
    out = Path(spec.out)
    offset = spec.lead + (PARTITION_START * 512 if spec.grub else 0)
    with out.open("wb") as image:
        image.truncate(spec.lead + spec.disk_mib * MIB)
    size = spec.disk_mib - (1 if spec.grub else 0)
    line = [
        program("mke2fs"),
        "-q",
        "-F",
        "-t",
        "ext4",
        "-L",
        "root",
        "-m",
        "0",
        "-O",
        "^metadata_csum_seed,^orphan_file",
        "-E",
        f"offset={offset},lazy_itable_init=1,lazy_journal_init=1,nodiscard",
        "-J",
        "size=8",
        "-d",
        str(root),
        str(out),
        f"{size}M",
    ]
    subprocess.run(line, check=True)


def partition_table(sectors: int) -> bytes:
    """Return the last 72 bytes of a boot sector: one active Linux partition to the end of the disk."""
    start, length = PARTITION_START, sectors - PARTITION_START
    entry = (
        bytes([0x80, 0xFE, 0xFF, 0xFF, 0x83, 0xFE, 0xFF, 0xFF])
        + start.to_bytes(4, "little")
        + length.to_bytes(4, "little")
    )
    return b"LAB0\0\0" + entry + bytes(48) + b"\x55\xaa"


def embed_grub(image: Path, lead: int, work: Path) -> None:
    """Put boot sector, partition table and GRUB's core into the gap before the partition; no loop device is needed."""
    folder = Path("/usr/lib/grub/i386-pc")
    core = work / "core.img"
    modules = [
        "biosdisk",
        "part_msdos",
        "ext2",
        "normal",
        "linux",
        "echo",
        "configfile",
        "search",
        "search_label",
        "serial",
        "terminal",
        "minicmd",
        "ls",
        "test",
    ]
    line = [
        program("grub-mkimage"),
        "-d",
        str(folder),
        "-O",
        "i386-pc",
        "-o",
        str(core),
        "-p",
        "(hd0,msdos1)/boot/grub",
    ]
    subprocess.run([*line, *modules], check=True)
    boot = (folder / "boot.img").read_bytes()[:440]
    sectors = (image.stat().st_size - lead) // 512
    with image.open("r+b") as disk:
        disk.seek(lead)
        disk.write(boot + partition_table(sectors) + core.read_bytes())


def _boot_files(root: Path, spec: TreeSpec) -> Path:
    kernel = max((root / "boot").glob("vmlinuz-*"))
    version = kernel.name.removeprefix("vmlinuz-")
    modules = next(
        path for path in (root / "lib/modules" / version, root / "usr/lib/modules" / version) if path.exists()
    )
    _write(root / "boot/initrd-lab", archive(ROOT_INIT, modules), 0o644)
    for path in (root / "boot").glob("initrd.img-*"):
        path.unlink()
    _write(
        root / "boot/grub/grub.cfg",
        GRUB_CONFIG.format(kernel=kernel.name, arguments=spec.kernel_arguments).encode(),
        0o644,
    )
    return kernel


GRUB_CONFIG = """set timeout=0
set default=0
serial --unit=0 --speed=115200
terminal_output console
menuentry linux {{
  linux /boot/{kernel} {arguments}
  initrd /boot/initrd-lab
}}
"""


def _copy_as_root(source: str, target: str) -> None:
    shutil.copy(source, target)
    os.chown(target, 0, 0)


def _write(path: Path, content: bytes, mode: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.is_symlink():
        path.unlink()
    path.write_bytes(content)
    path.chmod(mode)


def random_id() -> str:
    """Return a machine id that no other image has."""
    return base64.b16encode(os.urandom(16)).decode().lower()


if __name__ == "__main__":
    build(TreeSpec(**json.loads(Path(sys.argv[1]).read_text())))
