"""A boot archive (initrd) of one static busybox, the few modules a root disk needs, and a script.

The distribution's own initrd costs several seconds under software emulation; this one costs a tenth of that.
"""

from __future__ import annotations

import gzip
import lzma
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from lab.vm.errors import LabError

ROOT_MODULES = ("virtio_pci", "virtio_blk", "crc32c_generic", "ext4")
BUSYBOX = Path("/bin/busybox")
ROOT_INIT = """#!/bin/busybox sh
b=/bin/busybox
$b mount -t proc p /proc; $b mount -t devtmpfs d /dev; $b mount -t sysfs s /sys
for m in $($b cat /modules); do $b insmod /lib/$m 2>/dev/null; done
n=0; until d=$($b findfs LABEL=root 2>/dev/null) || [ $n -gt 100 ]; do $b usleep 100000; n=$((n+1)); done
$b mount -t ext4 -o rw,noatime,noinit_itable "$d" /r || { echo "no root file system"; exec $b sh; }
$b umount /proc; $b umount /sys; $b mount -o move /dev /r/dev
exec $b switch_root /r /sbin/init
"""
PROBE_MARK = "LAB-KVM-OK"
PROBE_INIT = f"""#!/bin/busybox sh
/bin/busybox mount -t devtmpfs d /dev
/bin/busybox echo {PROBE_MARK} > /dev/ttyS0
/bin/busybox poweroff -f
"""
_DIRECTORY, _FILE = 0o040755, 0o100755
_FOLDERS = ("bin", "lib", "dev", "proc", "sys", "r")


def newc(entries: Sequence[tuple[str, int, bytes]]) -> bytes:
    """Return a cpio archive in "newc" format of (path, mode, content) entries, all owned by root."""
    out = bytearray()
    for inode, (path, mode, content) in enumerate([*entries, ("TRAILER!!!", 0, b"")], start=1):
        name = path.encode() + b"\0"
        fields = (inode, mode, 0, 0, 1, 0, len(content), 0, 0, 0, 0, len(name), 0)
        out += b"070701" + "".join(f"{value:08X}" for value in fields).encode() + name
        out += bytes(-len(out) % 4) + content
        out += bytes(-len(out) % 4)
    return bytes(out)


def dependencies(text: str) -> Mapping[str, tuple[str, Sequence[str]]]:
    """Read ``modules.dep``: module name to (its path, the paths it needs, nearest first)."""
    table = {}
    for line in text.splitlines():
        path, _, needs = line.partition(":")
        table[module_name(path)] = (path, needs.split())
    return table


def module_name(path: str) -> str:
    """Return the name the kernel knows a module file by."""
    return Path(path).name.split(".ko", 1)[0].replace("-", "_")


def load_order(wanted: Sequence[str], text: str) -> list[str]:
    """Return the module files to insert, what is needed first; names that are built into the kernel are left out."""
    table = dependencies(text)
    order: list[str] = []
    for name in wanted:
        path, needs = table.get(name, ("", ()))
        order += [item for item in [*reversed(needs), path] if item and item not in order]
    return order


def plain_module(path: Path) -> bytes:
    """Return a module's bytes without the compression some distributions give it."""
    data = path.read_bytes()
    if path.suffix == ".xz":
        return lzma.decompress(data)
    if path.suffix == ".gz":
        return gzip.decompress(data)
    if path.suffix == ".zst":
        return subprocess.run(["zstd", "-qdc"], input=data, capture_output=True, check=True).stdout
    return data


def _modules(folder: Path) -> Iterator[tuple[str, bytes]]:
    for path in load_order(ROOT_MODULES, (folder / "modules.dep").read_text()):
        yield f"{module_name(path)}.ko", plain_module(folder / path)


def archive(init: str, modules: Path | None = None) -> bytes:
    """Return a compressed initrd that runs ``init``; ``modules`` is the kernel's module folder, if any are wanted."""
    loaded = list(_modules(modules)) if modules else []
    if modules and not loaded:
        raise LabError(
            f"no modules for a virtio disk were found under {modules}: is the kernel package installed whole?"
        )
    entries = [(folder, _DIRECTORY, b"") for folder in _FOLDERS]
    entries += [("bin/busybox", _FILE, BUSYBOX.read_bytes()), ("init", _FILE, init.encode())]
    entries += [(f"lib/{name}", _FILE, content) for name, content in loaded]
    entries += [("modules", _FILE, "\n".join(name for name, _ in loaded).encode())]
    return gzip.compress(newc(entries), compresslevel=1, mtime=0)
