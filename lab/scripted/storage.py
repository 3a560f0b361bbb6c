"""Disks and mounts of the node as ``lsblk``, ``findmnt``, ``df``, LVM's reports and ``smartctl`` tell them."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from lab.hypervisor import CommandResult
from lab.scripted import mounts
from lab.scripted.files import Filesystem
from lab.scripted.options import columns_of, options_of, take
from lab.scripted.shell import Context, Program, fail, not_scripted, ok

EXTENT = 4 << 20
LSBLK = {"-J", "--json", "-b", "--bytes", "-p", "--paths", "-s", "--inverse", "-n", "--noheadings", "-d", "--nodeps"}
Row = dict[str, object]


@dataclass
class BlockDevice:
    """A disk, partition or logical volume: ``kind`` as lsblk's TYPE, ``holds`` the filesystem on it."""

    name: str
    size: int
    kind: str = "disk"
    serial: str = ""
    fstype: str = ""
    number: str = "254:0"
    holds: Filesystem | None = None
    group: str = ""
    children: list[BlockDevice] = field(default_factory=list)

    @property
    def path(self) -> str:
        """Its device file."""
        return f"/dev/mapper/{self.name}" if self.kind == "lvm" else f"/dev/{self.name}"


@dataclass
class Block:
    """The block devices of the node; ``volumes`` gives name and size of each logical volume of a group."""

    disks: list[BlockDevice] = field(default_factory=list)
    volumes: Callable[[str], Mapping[str, int]] = lambda _group: {}

    def tree(self) -> list[BlockDevice]:
        """Return the disks with what is on them now."""
        for disk in self.disks:
            if disk.group:
                disk.children = [
                    BlockDevice(f"{disk.group}-{name.replace('-', '--')}", size, "lvm", number=f"253:{index}")
                    for index, (name, size) in enumerate(sorted(self.volumes(disk.group).items()))
                ]
        return self.disks

    def chains(self) -> Iterator[list[BlockDevice]]:
        """Give each device with all those it stands on, itself first."""

        def below(device: BlockDevice, under: list[BlockDevice]) -> Iterator[list[BlockDevice]]:
            chain = [device, *under]
            yield chain
            for child in device.children:
                yield from below(child, chain)

        for disk in self.tree():
            yield from below(disk, [])


class Storage:
    """The programs that tell of disks and mounts, over the node's block devices."""

    def __init__(self, block: Block) -> None:
        self._block = block

    def programs(self) -> dict[str, Program]:
        """Return them by name."""
        return {
            "lsblk": self._lsblk,
            "findmnt": mounts.findmnt,
            "df": mounts.df,
            "smartctl": self._smartctl,
            "blkid": self._blkid,
            "mountpoint": mounts.mountpoint,
            "vgs": self._vgs,
            "pvs": self._pvs,
            "lvs": self._lvs,
        }

    def _row(self, context: Context, device: BlockDevice, parent: BlockDevice | None) -> Row:
        points = [point for point, mounted in context.host.files.mounts.items() if mounted is device.holds]
        disk = device.kind == "disk"
        return {
            "name": device.name,
            "kname": device.name,
            "path": device.path,
            "type": device.kind,
            "size": device.size,
            "maj:min": device.number,
            "pkname": parent.name if parent else None,
            "serial": device.serial or None,
            "wwn": None,
            "model": None,
            "vendor": "0x1af4" if disk else None,
            "tran": "virtio" if disk else None,
            "rm": False,
            "ro": device.holds.readonly if device.holds else False,
            "rota": True,
            "hotplug": False,
            "fstype": device.fstype or (device.holds.fstype if device.holds else None),
            "label": None,
            "uuid": None,
            "pttype": "dos" if any(child.kind == "part" for child in device.children) else None,
            "partuuid": None,
            "state": None,
            "mountpoint": points[0] if points else None,
            "mountpoints": points or [None],
        }

    def _lsblk(self, context: Context, arguments: list[str]) -> CommandResult:
        options = options_of(arguments, {"-o", "--output"}, LSBLK)
        if options is None or not {"-J", "--json"} & options.flags:
            raise not_scripted(["lsblk", *arguments])
        columns = columns_of(options.values, "NAME,MAJ:MIN,RM,SIZE,RO,TYPE,MOUNTPOINTS")
        chains = list(self._block.chains())
        for name in options.words:
            if not any(name in {chain[0].path, f"/dev/{chain[0].name}"} for chain in chains):
                return fail(32, f"lsblk: {name}: not a block device")
        shape = _Shape(columns, options.flags)
        wanted = [
            chain for chain in chains if chain[0].path in options.words or (not options.words and len(chain) == 1)
        ]
        if shape.inverse:
            devices = [self._inverse(context, chain, shape) for chain in wanted]
        else:
            devices = [self._node(context, chain[0], chain[1:], shape) for chain in wanted]
        return ok(json.dumps({"blockdevices": devices}, indent=3) + "\n")

    def _node(self, context: Context, device: BlockDevice, under: Sequence[BlockDevice], shape: _Shape) -> Row:
        row = shape.cut(self._row(context, device, under[0] if under else None), device.path)
        if device.children and not shape.alone:
            row["children"] = [self._node(context, child, [device], shape) for child in device.children]
        return row

    def _inverse(self, context: Context, chain: Sequence[BlockDevice], shape: _Shape) -> Row:
        row = shape.cut(self._row(context, chain[0], chain[1] if len(chain) > 1 else None), chain[0].path)
        if len(chain) > 1 and not shape.alone:
            row["children"] = [self._inverse(context, chain[1:], shape)]
        return row

    def _known(self, path: str) -> bool:
        return any(chain[0].path == path for chain in self._block.chains())

    def _smartctl(self, _context: Context, arguments: list[str]) -> CommandResult:
        """A virtual disk: no SMART data, which smartctl tells with status 4 (2 when the device is not there)."""
        device = arguments[-1] if arguments else ""
        if not device.startswith("/dev/"):
            raise not_scripted(["smartctl", *arguments])
        head = "smartctl 7.3 2022-02-28 r5338 [x86_64-linux] (local build)\n"
        if not self._known(device):
            return CommandResult(2, f"{head}\nSmartctl open device: {device} failed: No such device\n", "")
        if {"-j", "--json"} & {*arguments}:
            told = {"smartctl": {"exit_status": 4}, "device": {"name": device, "type": "scsi", "protocol": "SCSI"}}
            return CommandResult(4, json.dumps(told) + "\n", "")
        return CommandResult(0, f"{head}\nSMART support is:     Unavailable - device lacks SMART capability.\n", "")

    def _blkid(self, _context: Context, arguments: list[str]) -> CommandResult:
        raise not_scripted(["blkid", *arguments])

    def _groups(self) -> Iterator[tuple[BlockDevice, int, int]]:
        """Give each physical volume with the size and the free bytes of its group."""
        for disk in self._block.tree():
            if disk.group:
                size = disk.size // EXTENT * EXTENT - EXTENT
                used = sum(-(-child.size // EXTENT) * EXTENT for child in disk.children)
                yield disk, size, max(0, size - used)

    def _vgs(self, _context: Context, arguments: list[str]) -> CommandResult:
        rows = [
            {
                "vg_name": disk.group,
                "vg_size": size,
                "vg_free": free,
                "pv_count": 1,
                "lv_count": len(disk.children),
                "vg_attr": "wz--n-",
                "vg_extent_size": EXTENT,
            }
            for disk, size, free in self._groups()
        ]
        return _lvm_report("vgs", "vg", "vg_name", rows, arguments)

    def _pvs(self, _context: Context, arguments: list[str]) -> CommandResult:
        rows = [
            {
                "pv_name": disk.path,
                "vg_name": disk.group,
                "pv_size": size,
                "pv_free": free,
                "pv_attr": "a--",
                "pv_fmt": "lvm2",
            }
            for disk, size, free in self._groups()
        ]
        return _lvm_report("pvs", "pv", "vg_name", rows, arguments)

    def _lvs(self, _context: Context, arguments: list[str]) -> CommandResult:
        rows = [
            {
                "lv_name": name,
                "vg_name": disk.group,
                "lv_size": size,
                "lv_attr": "-wi-a-----",
                "pool_lv": "",
                "data_percent": "",
                "metadata_percent": "",
                "lv_metadata_size": "",
                "lv_path": f"/dev/{disk.group}/{name}",
                "devices": f"{disk.path}(0)",
            }
            for disk, _size, _free in self._groups()
            for name, size in self._block.volumes(disk.group).items()
        ]
        return _lvm_report("lvs", "lv", "vg_name", rows, arguments)


class _Shape:
    """How lsblk shows a device: which columns, paths or names, sizes as numbers, upside down, alone."""

    def __init__(self, columns: Sequence[str], flags: set[str]) -> None:
        self._columns = columns
        self._paths = bool(flags & {"-p", "--paths"})
        self.inverse = bool(flags & {"-s", "--inverse"})
        self.alone = bool(flags & {"-d", "--nodeps"})

    def cut(self, row: Row, path: str) -> Row:
        """Keep the columns asked for."""
        if self._paths:
            pkname = row["pkname"]
            row = {**row, "name": path, "kname": path, "pkname": f"/dev/{pkname}" if pkname else None}
        unknown = [column for column in self._columns if column not in row]
        if unknown:
            raise not_scripted(["lsblk", "-o", *unknown])
        return {column: row[column] for column in self._columns}


def _lvm_report(command: str, kind: str, key: str, rows: Sequence[Row], arguments: list[str]) -> CommandResult:
    words = list(arguments)
    columns = take(words, {"-o", "--options"})
    form, units = take(words, {"--reportformat"}), take(words, {"--units"})
    groups = [word for word in words if not word.startswith("-")]
    extra = {*words} - {*groups} - {"--nosuffix", "--noheadings", "-a"}
    if form != "json" or units not in {"b", "B"} or "--nosuffix" not in words or extra or not columns:
        raise not_scripted([command, *arguments])
    known = {str(row[key]) for row in rows}
    for group in groups:
        if group not in known:
            return fail(5, f'  Volume group "{group}" not found\n  Cannot process volume group {group}')
    wanted = columns.split(",")
    if rows and (missing := [column for column in wanted if column not in rows[0]]):
        raise not_scripted([command, "-o", *missing])
    shown = [{column: str(row[column]) for column in wanted} for row in rows if not groups or row[key] in groups]
    return ok(json.dumps({"report": [{kind: shown}]}) + "\n")
