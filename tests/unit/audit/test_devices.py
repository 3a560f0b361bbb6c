"""From storages to whole disks, over the outputs of a node's own tools: one transcript a layout in devices/."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from backup_standard.audit.devices import Resolver
from backup_standard.audit.separation import Separation, compare, doubt
from backup_standard.collect.machine import read_system
from backup_standard.collect.mounts import read_mount
from backup_standard.errors import Unknown
from backup_standard.hosts import Host
from backup_standard.hosts.backend import RunningBackend, host_on
from backup_standard.hosts.ssh import Output
from backup_standard.model import Gap, Mount, Storage
from backup_standard.model.devices import Block, Devices, LogicalVolume
from backup_standard.model.systems import System

TRANSCRIPTS = Path(__file__).parent / "devices"
BACKUP = Storage("backup-hdd", "dir", frozenset({"backup"}), "/mnt/backup")
LVM = Storage("vmdata", "lvm", frozenset({"images"}), backing={"vgname": "vmdata"})
THIN = Storage("local-lvm", "lvmthin", frozenset({"images"}), backing={"vgname": "pve", "thinpool": "data"})
ZFS = Storage("local-zfs", "zfspool", frozenset({"images"}), backing={"pool": "rpool/data"})
DIR = Storage("local", "dir", frozenset({"images"}), "/var/lib/vz")
NFS = Storage("nas", "nfs", frozenset({"images"}), "/mnt/pve/nas", backing={"server": "nas.example"})


class Transcript(RunningBackend):
    """A node that answers as it answered then; a command that was not run then is not found."""

    NAME = "transcript"

    def __init__(self, name: str) -> None:
        super().__init__("pve1", None)
        parts = re.split(r"^\$ (.+)$", (TRANSCRIPTS / f"{name}.txt").read_text(), flags=re.MULTILINE)
        self.answers = dict(zip(parts[1::2], parts[2::2], strict=True))
        self.asked: list[str] = []

    def execute(self, line: str) -> Output:
        self.asked.append(line)
        if line in self.answers:
            return Output(0, self.answers[line].lstrip("\n").encode(), b"")
        return Output(127, b"", f"bash: line 1: {line.split(maxsplit=1)[0]}: command not found\n".encode())


def read(name: str, *storages: Storage) -> tuple[Host, Resolver]:
    host = host_on(Transcript(name))
    system = read_system(host, storages, [])
    assert isinstance(system.devices, Devices), system.devices
    return host, Resolver("pve1", system.devices)


def separation(name: str, holder: Storage) -> Separation:
    host, resolver = read(name, BACKUP, holder)
    mount = read_mount(host, "/mnt/backup")
    assert isinstance(mount, Mount)
    held = read_mount(host, holder.path) if holder.path else None
    return compare(resolver.mount(mount), {f"storage {holder.id}": lambda: resolver.storage(holder, held)})


def paths(found: Separation) -> tuple[list[str], list[str]]:
    (holder,) = found.holders.values()
    return [disk.path for disk in found.backup.disks], [disk.path for disk in holder.disks]


@pytest.mark.parametrize(
    ("name", "holder", "backup", "guests"),
    [
        ("thin-pool-and-own-disk", THIN, ["/dev/sdb"], ["/dev/sda"]),
        ("mirrors-of-their-own", LVM, ["/dev/sdc", "/dev/sdd"], ["/dev/sda", "/dev/sdb"]),
        ("encrypted-disk", LVM, ["/dev/sdb"], ["/dev/sdc"]),
        ("multipath-and-own-disk", LVM, ["/dev/sdb"], ["/dev/sdc", "/dev/sdd"]),
        ("zfs-pools-of-their-own", ZFS, ["/dev/sdc"], ["/dev/sda", "/dev/sdb"]),
        ("btrfs-of-its-own", LVM, ["/dev/sdb", "/dev/sdd"], ["/dev/sdc"]),
        ("controller-volume-and-usb-disk", LVM, ["/dev/sdb"], ["/dev/sda"]),
    ],
)
def test_disks_that_are_apart(name: str, holder: Storage, backup: list[str], guests: list[str]) -> None:
    found = separation(name, holder)
    assert paths(found) == (backup, guests)
    assert (found.shared, found.undecided) == ((), ())
    found.prove()


@pytest.mark.parametrize(
    ("name", "holder", "disk"),
    [
        ("partitions-of-one-disk", THIN, "/dev/sda"),
        ("volume-of-the-same-group", THIN, "/dev/sda"),
        ("thin-metadata-beside-the-backups", Storage(
            "guests", "lvmthin", frozenset(), backing={"vgname": "guests", "thinpool": "data"}), "/dev/nvme0n1"),
        ("mirrors-with-a-common-disk", LVM, "/dev/sdb"),
        ("another-path-to-the-same-lun", LVM, "the same drive as /dev/sdc by its WWN"),
        ("zfs-dataset-of-the-same-pool", ZFS, "/dev/sda"),
        ("zfs-log-beside-the-backups", ZFS, "/dev/sdc"),
        ("btrfs-second-member-beside-guests", LVM, "/dev/sdc"),
        ("loop-file-on-the-guests-disk", DIR, "/dev/sda"),
        ("bind-mount-of-the-guests-disk", DIR, "/dev/sda"),
        ("namespaces-of-one-drive", LVM, "the same drive as /dev/nvme0n1 by its serial number"),
    ],
)  # fmt: skip
def test_disks_that_are_shared(name: str, holder: Storage, disk: str) -> None:
    found = separation(name, holder)
    assert any(disk in said for said in found.shared), found
    assert all(said.endswith(f"and so does storage {holder.id}") for said in found.shared)


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("virtual-disks", "is a virtual disk"),
        ("controller-volumes", "is a volume of a RAID controller"),
        ("two-luns", "is a LUN of a storage array"),
        ("disks-without-identity", "shows neither serial number nor WWN"),
        ("usb-disks-with-one-serial-number", "show the same serial number, which a bridge may give to several drives"),
    ],
)
def test_disks_that_cannot_be_told_apart_are_unknown_and_say_why(name: str, reason: str) -> None:
    found = separation(name, LVM)
    assert found.shared == ()
    with pytest.raises(Unknown, match=f"{reason}.*written down as an attestation"):
        found.prove()


def test_a_network_mount_has_no_disk_here() -> None:
    apart = separation("network-mount", LVM)
    assert (str(apart.backup), apart.shared, apart.undecided) == ("server nas.example", (), ())
    with pytest.raises(Unknown, match=r"both lie on server nas\.example"):
        separation("network-mount", NFS).prove()


def test_only_what_is_there_is_asked() -> None:
    host, _ = read("virtual-disks", BACKUP)
    asked = " ".join(host.backend.asked)
    assert "pvs " in asked
    assert not re.search(r"zpool|btrfs|losetup", asked)


# --- trails that end ------------------------------------------------------------------------------------------


def resolver(*blocks: Block, **parts: object) -> Resolver:
    return Resolver("pve1", Devices(blocks, **parts))  # type: ignore[arg-type]


def test_a_trail_that_ends_is_unknown_and_says_where() -> None:
    bare = resolver(
        Block("/dev/zd0", "zd0", "disk"), Block("/dev/mapper/x", "dm-0", "lvm"), Block("/dev/loop0", "loop0", "loop")
    )
    for path, reason in (
        ("/dev/sdx", "lsblk does not list it"),
        ("/dev/zd0", "a volume of a ZFS pool"),
        ("/dev/mapper/x", "does not say what this lvm stands on"),
        ("/dev/loop0", "the file behind this loop device was not found"),
    ):
        with pytest.raises(Unknown, match=reason):
            bare.device(path)
    for storage, reason in (
        (LVM, "pvs lists no physical volume of it"),
        (THIN, "lvs does not say"),
        (ZFS, "zpool does not list its members"),
        (DIR, "/var/lib/vz is not there or was not read"),
    ):
        with pytest.raises(Unknown, match=reason):
            bare.storage(storage, None)


def test_what_was_not_read_is_unknown_with_its_need() -> None:
    unread = resolver(groups=Gap("the LVM groups", "pvs ended with 5", "pvs on the node"))
    with pytest.raises(Unknown, match=r"the LVM groups is unknown: pvs ended with 5; needed: pvs on the node"):
        unread.storage(LVM, None)
    with pytest.raises(Unknown, match="no ssh"):
        unread.storage(DIR, Gap("mount", "no ssh"))


def test_one_holder_that_cannot_be_followed_does_not_hide_another_that_shares() -> None:
    disk = Block("/dev/sda", "sda", "disk", serial="S1", transport="sata")
    found = resolver(disk)
    mine = found.device("/dev/sda")
    both = compare(mine, {"storage a": lambda: found.storage(LVM, None), "storage b": lambda: mine})
    assert both.shared == ("the backups lie on /dev/sda (serial S1), and so does storage b",)
    assert len(both.undecided) == 1


def test_devices_handed_through_are_told_by_the_serial_number_in_their_name() -> None:
    disk = Block("/dev/sda", "sda", "disk", serial="WD-1234", wwn="0x5000")
    found = resolver(disk)
    for name in ("/dev/disk/by-id/ata-WDC_WD5003_WD-1234", "/dev/disk/by-id/wwn-0x5000-part1", "/dev/sda"):
        assert found.device(name).disks == (disk,)
    with pytest.raises(Unknown):
        found.device("/dev/disk/by-uuid/1234")


def test_a_mirrored_logical_volume_lies_on_all_its_legs() -> None:
    disks = [Block(f"/dev/sd{letter}", f"sd{letter}", "disk", serial=letter) for letter in "abc"]
    volumes = (
        LogicalVolume("pve", "data", devices=("data_tdata",)),
        LogicalVolume("pve", "data_tdata", devices=("data_tdata_rimage_0", "data_tdata_rimage_1")),
        LogicalVolume("pve", "data_tdata_rimage_0", devices=("/dev/sda",)),
        LogicalVolume("pve", "data_tdata_rimage_1", devices=("/dev/sdb",)),
        LogicalVolume("pve", "data_tmeta", devices=("/dev/sdc",)),
    )
    found = resolver(*disks, volumes=volumes)
    assert [disk.path for disk in found.storage(THIN, None).disks] == ["/dev/sda", "/dev/sdb", "/dev/sdc"]


def test_ceph_lies_on_the_disks_of_its_stores_here() -> None:
    store = Block("/dev/mapper/ceph--a-osd", "dm-0", "lvm", parents=("/dev/sda",), fstype="ceph_bluestore")
    found = resolver(Block("/dev/sda", "sda", "disk", serial="S"), store)
    assert [disk.path for disk in found.storage(Storage("rbd", "rbd", frozenset()), None).disks] == ["/dev/sda"]


@pytest.mark.parametrize(
    ("vendor", "model", "transport", "kind"),
    [
        ("QEMU", "QEMU HARDDISK", "sata", "virtual"),
        ("VMware", "Virtual disk", "spi", "virtual"),
        ("Msft", "Virtual Disk", "", "virtual"),
        ("LSI", "MR9271-8i", "", "RAID controller"),
        ("HP", "LOGICAL VOLUME", "sas", "RAID controller"),
        ("HPE", "P408i-a LOGICAL VOLUME", "", "RAID controller"),
        ("ATA", "DELLBOSS VD", "sata", "RAID controller"),
        ("SYNOLOGY", "Storage", "iscsi", "LUN"),
        ("DGC", "VRAID", "fc", "LUN"),
    ],
)
def test_names_that_give_a_disk_away(vendor: str, model: str, transport: str, kind: str) -> None:
    disk = Block("/dev/sda", "sda", "disk", serial="S", wwn="W", vendor=vendor, model=model, transport=transport)
    assert kind in doubt(disk)


@pytest.mark.parametrize(
    ("vendor", "model", "transport"),
    [
        ("ATA", "ST4000VN008-2DR166", "sata"),
        ("SEAGATE", "ST4000NM0023", "sas"),
        ("", "Samsung SSD 970 EVO Plus 500GB", "nvme"),
        ("WD", "Elements 25A3", "usb"),
        ("HGST", "HUS726T4TALA6L4", "sata"),
        ("ATA", "INTEL SSDSC2KB480G8", "sata"),
    ],
)
def test_names_of_plain_drives(vendor: str, model: str, transport: str) -> None:
    assert doubt(Block("/dev/sda", "sda", "disk", serial="S", vendor=vendor, model=model, transport=transport)) == ""


def test_a_system_without_lsblk_is_a_gap() -> None:
    system = read_system(host_on(Transcript("virtual-disks")), [], [])
    assert isinstance(system, System)
    assert isinstance(system.kernel, Gap)
    assert [gap.fact for gap in system.gaps()] == [
        "the kernel's messages", "the state of pvescheduler", "the state of the clock",
    ]  # fmt: skip
