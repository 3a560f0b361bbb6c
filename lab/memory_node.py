"""The node in memory: files on mounts, bridges and namespaces, units, a journal, and the commands that read them."""

from __future__ import annotations

import io
import time
import uuid
from collections.abc import Sequence

from lab.archive import ArchiveDamaged, compression_of, decompressor
from lab.hypervisor import CommandResult, FileStat, FilesystemUsage
from lab.scripted import launching, listing, reach
from lab.scripted.files import Files, Filesystem
from lab.scripted.host import ScriptedHost
from lab.scripted.journal import Journal
from lab.scripted.shell import Context, fail, not_scripted, ok
from lab.scripted.storage import Block, BlockDevice, Storage
from lab.scripted.units import JournalEntry, Unit
from lab.settings import BACKUP_MOUNT, BACKUP_SERIAL, LAN_GATEWAY, LAN_PREFIX, NODE, VOLUME_GROUP, ZONE

GIB = 1 << 30
UNITS = {
    "pvescheduler": "Proxmox VE scheduler",
    "pvedaemon": "PVE API Daemon",
    "pveproxy": "PVE API Proxy Server",
    "pvestatd": "PVE Status Daemon",
    "pve-cluster": "The Proxmox VE cluster filesystem",
    "chrony": "chrony, an NTP client/server",
    "ssh": "OpenBSD Secure Shell server",
    "cron": "Regular background program processing daemon",
    "systemd-journald": "Journal Service",
    "smartmontools": "Self Monitoring and Reporting Technology (SMART) Daemon",
}
FSTAB = f"""# <file system> <mount point> <type> <options> <dump> <pass>
/dev/vda1 / ext4 errors=remount-ro 0 1
/dev/disk/by-id/virtio-{BACKUP_SERIAL} {BACKUP_MOUNT} ext4 defaults,nofail,x-systemd.device-timeout=90 0 2
"""
INTERFACES = f"""auto lo
iface lo inet loopback

auto vmbr0
iface vmbr0 inet static
\taddress {LAN_GATEWAY}/{LAN_PREFIX}
\tbridge-ports none
\tbridge-stp off
\tbridge-fd 0

auto vmbr9
iface vmbr9 inet manual
\tbridge-ports none
\tbridge-stp off
\tbridge-fd 0
"""
MEMINFO = "MemTotal: 4014080 kB\nMemFree: 2214080 kB\nMemAvailable: 3014080 kB\nSwapTotal: 0 kB\nSwapFree: 0 kB\n"
PRESSURE = "some avg10=0.00 avg60=0.00 avg300=0.00 total=4242\nfull avg10=0.00 avg60=0.00 avg300=0.00 total=4200\n"
CPUINFO = "".join(
    f"processor\t: {number}\nmodel name\t: QEMU Virtual CPU version 2.5+\ncpu MHz\t\t: 2000.000\n"
    "flags\t\t: fpu de pse tsc msr\n\n"
    for number in range(2)
)
FOLDERS = (
    "/etc/network",
    "/etc/pve/qemu-server",
    "/etc/pve/lxc",
    "/etc/systemd/system",
    "/root",
    "/run",
    "/tmp",
    "/var/log/vzdump",
    "/var/lib/pve-manager/jobs",
    "/var/lib/vz/template/iso",
    "/var/lib/vz/template/cache",
    "/var/lib/vz/snippets",
)


class MemoryNode:
    """The node of :class:`~lab.memory.MemoryHypervisor` (see :class:`lab.hypervisor.Node`).

    ``skew`` seconds are added to the clock; ``pressure`` is what the kernel tells of waiting for disks. ``host`` holds
    its units, network and programs, ``backup_disk`` the filesystem of the backup storage; :meth:`unplug_backup` and
    :meth:`plug_backup` take the disk out and in.
    """

    def __init__(self, name: str = NODE) -> None:
        self.name, self.skew, self.pressure = name, 0.0, PRESSURE
        self.backup_disk = Filesystem("/dev/vdc", size=16 * GIB, serial=BACKUP_SERIAL, device=254 << 8 | 32)
        root = Filesystem("/dev/vda1", size=12 * GIB, device=254 << 8 | 1)
        root.options = "rw,relatime,errors=remount-ro"
        self.files = Files(root, self.now)
        self.host = ScriptedHost(
            name,
            files=self.files,
            zone=ZONE,
            clock=self.now,
            boot_id=str(uuid.uuid4()),
            booted=self.now() - 3600,
            services={f"{unit}.service": Unit(description=text) for unit, text in UNITS.items()},
        )
        self.host.dial = reach.dial
        self.log = Journal()
        system = BlockDevice(
            "vda", 12 * GIB + (1 << 20), children=[BlockDevice("vda1", 12 * GIB, "part", number="254:1", holds=root)]
        )
        self._backup = BlockDevice("vdc", 16 * GIB, serial=BACKUP_SERIAL, number="254:32", holds=self.backup_disk)
        guests = BlockDevice("vdb", 64 * GIB, fstype="LVM2_member", number="254:16", group=VOLUME_GROUP)
        self.block = Block([system, guests, self._backup])
        self.host.programs |= {
            **reach.PROGRAMS,
            **Storage(self.block).programs(),
            **listing.PROGRAMS,
            **launching.PROGRAMS,
            "journalctl": self.log.program(),
            "zstd": self._test_archive,
            "gzip": self._test_archive,
        }
        self._lay_files()
        self._lay_network()
        self.plug_backup()

    def _lay_files(self) -> None:
        for folder in FOLDERS:
            self.files.makedirs(folder)
        texts = {
            "/etc/fstab": FSTAB,
            "/etc/timezone": f"{ZONE}\n",
            "/etc/network/interfaces": INTERFACES,
            "/etc/resolv.conf": f"search lab.example\nnameserver {LAN_GATEWAY}\n",
            "/etc/hosts": f"127.0.0.1 localhost\n{LAN_GATEWAY} {self.name}.lab.example {self.name}\n",
        }
        for path, text in texts.items():
            self.files.write(path, text.encode())
        self.files.dynamic |= {
            "/proc/loadavg": lambda: b"0.10 0.12 0.09 1/120 4242\n",
            "/proc/meminfo": MEMINFO.encode,
            "/proc/cpuinfo": CPUINFO.encode,
            "/proc/pressure/io": self._pressure,
            "/proc/sys/net/ipv4/ip_forward": self._forwarding,
        }

    def _pressure(self) -> bytes:
        return self.pressure.encode()

    def _forwarding(self) -> bytes:
        return f"{int(self.host.network.forwarding)}\n".encode()

    def _lay_network(self) -> None:
        for name, addresses in (("vmbr0", [f"{LAN_GATEWAY}/{LAN_PREFIX}"]), ("vmbr9", [])):
            bridge = self.host.network.add("", name, "bridge")
            bridge.up, bridge.addresses = True, addresses

    def unplug_backup(self) -> None:
        """Take the backup disk out while it is mounted: its mount point stays behind as a folder of the root disk."""
        self.files.unmount(BACKUP_MOUNT)
        self.block.disks.remove(self._backup)
        self.host.services["mnt-backup.mount"] = Unit("inactive", "generated", BACKUP_MOUNT, "mount")
        self.journal("kernel", "EXT4-fs (vdc): shut down requested (2)", 1)

    def plug_backup(self) -> None:
        """Put the backup disk in and mount it."""
        self.files.mount(BACKUP_MOUNT, self.backup_disk)
        self.files.makedirs(f"{BACKUP_MOUNT}/dump")
        if self._backup not in self.block.disks:
            self.block.disks.append(self._backup)
        self.host.services["mnt-backup.mount"] = Unit("active", "generated", BACKUP_MOUNT, "mount")

    def now(self) -> float:
        """Return the node's clock in seconds since the epoch."""
        return time.time() + self.skew

    def run(self, argv: Sequence[str], stdin: bytes = b"") -> CommandResult:
        """Run a command; one that nobody scripted gives status 127 and is named."""
        return self.host.call(self.host.context(stdin), list(argv))

    def shell(self, line: str, stdin: bytes = b"") -> CommandResult:
        """Run a shell line as root, as SSH brings it."""
        return self.host.line(self.host.context(stdin), line)

    def listdir(self, path: str) -> list[FileStat]:
        """Return the files of a folder; folders in it are left out."""
        return [
            FileStat(name, len(entry.data), entry.mtime, entry.ctime)
            for name, entry in self.files.children(path)
            if not entry.folder
        ]

    def read(self, path: str) -> bytes:
        """Return the content of a file."""
        return self.files.read(path)

    def write(self, path: str, data: bytes, mtime: float | None = None) -> None:
        """Write a file."""
        self.files.write(path, data, mtime)

    def rename(self, old: str, new: str) -> None:
        """Rename a file."""
        self.files.rename(old, new)

    def unlink(self, path: str) -> None:
        """Remove a file."""
        self.files.unlink(path)

    def makedirs(self, path: str) -> None:
        """Make a folder and those above it."""
        self.files.makedirs(path)

    def usage(self, path: str) -> FilesystemUsage:
        """Return the space of the filesystem that holds a path."""
        return self.files.usage(path)

    def mountpoints(self) -> set[str]:
        """Return where something is mounted."""
        return set(self.files.mounts)

    def journal(self, identifier: str, message: str, priority: int = 6, when: float | None = None) -> None:
        """Write a line into the journal, if wanted at another time than now."""
        self.log.add(JournalEntry(identifier, message, priority, self.now() if when is None else when))

    def _test_archive(self, context: Context, arguments: list[str]) -> CommandResult:
        """``zstd -t FILE`` and ``gzip -t FILE``."""
        words = [word for word in arguments if word not in {"-t", "--test", "-q", "-qt", "-tq", "--"}]
        if len(words) != 1 or not {*arguments} & {"-t", "--test", "-qt", "-tq"}:
            raise not_scripted(["zstd", *arguments])
        path = words[0]
        try:
            stream = decompressor(io.BytesIO(context.host.files.read(path)), compression_of(path), path)
            size = 0
            while data := stream.read(1 << 20):
                size += len(data)
        except OSError as error:
            return fail(1, f"zstd: can't stat {path} : {error.strerror} -- ignored")
        except ArchiveDamaged as damage:
            return fail(1, damage.decoder.rstrip())
        quiet = {*arguments} & {"-q", "-qt", "-tq"}
        return ok() if quiet else CommandResult(0, "", f"{path}: {size} bytes \n")
