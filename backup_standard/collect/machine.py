"""A node's disks and their health, the kernel's complaints, the scheduler and the clock, read over SSH in one pass."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from backup_standard.collect import device_shapes, node_commands
from backup_standard.collect.mounts import read_mount
from backup_standard.hosts import Host
from backup_standard.model import Gap, Mount, Storage
from backup_standard.model.devices import Block, Devices
from backup_standard.model.systems import KernelLine, System

T = TypeVar("T")
_NO_DISKS = ("zd", "zram", "loop", "ram", "nbd", "rbd", "drbd", "fd", "sr")
"""Names of block devices that lsblk calls disks and that have no health of their own."""
_MAY_NOT = ("insufficient permissions", "not seeing messages")
"""What journalctl says, with exit status 0, to an account that may not read the system's journal."""


def read_system(host: Host, storages: Sequence[Storage], backups: Sequence[Mount]) -> System:
    """Read one node; LVM, ZFS and Btrfs are asked only where block devices or storages speak of them.

    ``backups`` are the mounts that hold archives: the disks under them are asked for their health.
    """
    devices = _devices(host, storages)
    disks = [] if isinstance(devices, Gap) else _worth_asking(devices.blocks, backups)
    return System(
        devices=devices,
        smart={disk.path: _health(host, disk.path) for disk in disks},
        kernel=_kernel(host),
        scheduler=_ask(host, "the state of pvescheduler", node_commands.SCHEDULER, _properties),
        clock=_ask(host, "the state of the clock", node_commands.CLOCK, _properties),
        cron=_cron(host),
    )


def _ask(host: Host, fact: str, command: str, shape: Callable[[str], T]) -> T | Gap:
    """What a command says, in shape, or a gap with the reason why it says nothing."""
    program, found = command.split(" ", 1)[0], host.run(command)
    if found.rc:
        return Gap(fact, f"{program} ended with {found.rc}: {_last_line(found.stderr)}", f"{program} on the node")
    try:
        return shape(found.stdout)
    except (ValueError, KeyError, TypeError) as problem:
        return Gap(fact, f"{program} answered in a form that is not understood: {problem}", f"{program} on the node")


def _last_line(text: str) -> str:
    return (text.strip().splitlines() or ["no reason given"])[-1]


def _devices(host: Host, storages: Sequence[Storage]) -> Devices | Gap:
    blocks = _ask(host, "the block devices", node_commands.BLOCKS, device_shapes.blocks)
    if isinstance(blocks, Gap):
        return blocks
    words = {block.fstype for block in blocks} | {block.kind for block in blocks} | {one.type for one in storages}

    def when(signs: set[str], fact: str, command: str, shape: Callable[[str], Any], nothing: Any) -> Any:
        return _ask(host, fact, command, shape) if words & signs else nothing

    lvm = {"LVM2_member", "lvm", "lvmthin"}
    return Devices(
        blocks,
        groups=when(lvm, "the LVM groups", node_commands.PVS, device_shapes.physical_volumes, {}),
        volumes=when(lvm, "the LVM volumes", node_commands.LVS, device_shapes.logical_volumes, ()),
        pools=when({"zfs_member", "zfspool"}, "the ZFS pools", node_commands.POOLS, device_shapes.zfs_pools, ()),
        btrfs=when({"btrfs"}, "the Btrfs file systems", node_commands.BTRFS, device_shapes.btrfs_members, ()),
        loops=_loops(host) if "loop" in words else {},
    )


def _loops(host: Host) -> Any:
    files = _ask(host, "the files behind loop devices", node_commands.LOOPS, device_shapes.loop_files)
    if isinstance(files, Gap):
        return files
    return {device: read_mount(host, path) for device, path in files.items()}


def _worth_asking(blocks: Sequence[Block], mounts: Sequence[Mount]) -> list[Block]:
    """The disks under these mounts; every disk where lsblk alone does not lead from a mount to its disks."""
    named = {f"/dev/{block.kernel}": block for block in blocks} | {block.path: block for block in blocks}
    sources = [named.get(mount.device) for mount in mounts if mount.fstype not in {"zfs", "btrfs"}]
    waiting = [block for block in sources if block]
    under: dict[str, Block] = {}
    while waiting:
        block = waiting.pop()
        under[block.path] = block
        waiting += [named[parent] for parent in block.parents]
    leads = len(sources) == len(mounts) and all(sources) and all(block.kind != "loop" for block in under.values())
    return [block for block in blocks if _has_health(block) and (block.path in under or not leads)]


def _has_health(block: Block) -> bool:
    return block.kind == "disk" and not block.kernel.startswith(_NO_DISKS)


def _health(host: Host, path: str) -> bool | Gap:
    """Whether SMART calls a disk healthy. Its exit status tells of the disk as well, so only the answer decides."""
    found = host.run(node_commands.HEALTH, path)
    fact = f"the SMART health of {path}"
    if found.rc == 127:  # noqa: PLR2004 - the shell's "command not found"
        return Gap(fact, "smartctl is not installed", "apt install smartmontools")
    try:
        told = json.loads(found.stdout)
        passed = told.get("smart_status", {}).get("passed")
    except (ValueError, AttributeError):
        return Gap(fact, f"smartctl ended with {found.rc}: {_last_line(found.stderr)}", "smartctl as root")
    if isinstance(passed, bool):
        return passed
    said = [str(one.get("string", "")) for one in told.get("smartctl", {}).get("messages", ())]
    return Gap(fact, "; ".join(said) or "the disk does not tell it", "an attestation by whoever sees the drive")


def _kernel(host: Host) -> tuple[KernelLine, ...] | Gap:
    fact = "the kernel's messages"
    found = host.run(node_commands.KERNEL)
    if found.rc or any(sign in found.stderr for sign in _MAY_NOT):
        why = f"journalctl ended with {found.rc}: {_last_line(found.stderr)}"
        return Gap(fact, why, "an account that may read the journal (group systemd-journal)")
    lines = (json.loads(line) for line in found.stdout.splitlines() if line.startswith("{"))
    return tuple(KernelLine(int(raw["__REALTIME_TIMESTAMP"]) // 1_000_000, _text(raw.get("MESSAGE"))) for raw in lines)


def _text(message: Any) -> str:
    """A message; the journal gives one that is no UTF-8 as a list of bytes."""
    return bytes(message).decode("utf-8", "replace") if isinstance(message, list) else str(message or "")


def _properties(text: str) -> dict[str, str]:
    return {key: value for key, found, value in (line.partition("=") for line in text.splitlines()) if found}


def _cron(host: Host) -> tuple[str, ...]:
    """The jobs in vzdump.cron, where they stood before release 7.1; comments and variables are none."""
    found = host.run(node_commands.CRON)
    lines = (line.strip() for line in found.stdout.splitlines() if found.rc == 0)
    return tuple(line for line in lines if line and line[0] in "0123456789*@")
