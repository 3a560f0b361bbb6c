"""What the control plane asks of the machinery below it: guests that run, volumes that hold bytes, a node with files.

Two implementations: :mod:`lab.memory` (in memory, for fast tests) and :mod:`lab.vm` (real virtual machines).
Only storage and process matters live here. What a guest *is* (its configuration, locks, permissions, task logs)
is the control plane's business.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from lab.archive.layout import Totals

Progress = Callable[[int, int], None]
"""Called with (bytes done, bytes in all) while data moves."""


class HypervisorError(Exception):
    """The machinery could not do what was asked; the text ends a task log as its error."""


@dataclass(frozen=True)
class FileStat:
    """One file of a node's directory: size in bytes, times as seconds since the epoch."""

    name: str
    size: int
    mtime: float
    ctime: float


@dataclass(frozen=True)
class FilesystemUsage:
    """Space of the filesystem that holds a path, in bytes; ``mountpoint`` is where that filesystem is mounted."""

    total: int
    used: int
    avail: int
    mountpoint: str


@dataclass(frozen=True)
class CommandResult:
    """What a command on the node left: exit status and both outputs."""

    rc: int
    stdout: str
    stderr: str


@dataclass(frozen=True)
class ArchiveDisk:
    """A disk inside an archive: ``device`` as in ``drive-scsi0``, ``size`` in bytes."""

    device: str
    size: int


@dataclass(frozen=True)
class ArchiveHeader:
    """What the header of a guest archive tells without reading the data."""

    uuid: str
    ctime: int
    config: str
    firewall: str | None = None
    disks: Sequence[ArchiveDisk] = field(default=())


@dataclass(frozen=True)
class Written:
    """What became of an archive: its ``size`` in bytes, and how many bytes of disk were ``zeros`` and not stored."""

    size: int
    zeros: int


class AgentError(Exception):
    """The guest agent answered with an error; ``desc`` is its own text."""

    def __init__(self, desc: str, klass: str = "GenericError") -> None:
        super().__init__(desc)
        self.desc, self.klass = desc, klass


class AgentSilent(Exception):
    """The guest agent does not answer."""


class Node(Protocol):
    """The node's own side: files, commands, clock. Paths are absolute paths on the node."""

    name: str

    def now(self) -> float:
        """Return the node's clock, in seconds since the epoch."""
        ...

    def run(self, argv: Sequence[str], stdin: bytes = b"") -> CommandResult:
        """Run a command, an argument list, as root."""
        ...

    def listdir(self, path: str) -> list[FileStat]:
        """Files of a directory; FileNotFoundError when it is not there."""
        ...

    def read(self, path: str) -> bytes:
        """Return a file's bytes; FileNotFoundError when it is not there."""
        ...

    def write(self, path: str, data: bytes, mtime: float | None = None) -> None:
        """Write a file; OSError when the disk is full or read-only."""
        ...

    def rename(self, old: str, new: str) -> None:
        """Give a file another name, replacing one that has it."""
        ...

    def unlink(self, path: str) -> None:
        """Remove a file; FileNotFoundError when it is not there."""
        ...

    def makedirs(self, path: str) -> None:
        """Make a folder and those above it; one that is there stays."""
        ...

    def usage(self, path: str) -> FilesystemUsage:
        """Return the space of the filesystem that holds a path."""
        ...

    def mountpoints(self) -> set[str]:
        """Return where filesystems are mounted now."""
        ...

    def journal(self, identifier: str, message: str, priority: int = 6, when: float | None = None) -> None:
        """Add a line to the journal; ``when`` (epoch) may lie in the past."""
        ...


class Hypervisor(Protocol):
    """Guests, volumes and archives. Blocking; called from task threads; safe for concurrent use."""

    @property
    def node(self) -> Node:
        """The node this machinery belongs to."""
        ...

    def meminfo(self) -> str:
        """/proc/meminfo of the machine that the guests run on; "" where the node itself shows it."""
        ...

    # volumes: named as Proxmox names them, "storage:volname"; sizes in bytes
    def allocate(self, volid: str, size: int, like: str | None = None) -> None:
        """Make a new volume of zeros (or a copy of ``like``). HypervisorError when there is no room."""
        ...

    def free(self, volid: str) -> None:
        """Remove a volume; HypervisorError when there is none of that name."""
        ...

    def rename(self, old: str, new: str) -> None:
        """Give a volume another name, as a disk that becomes the base of a template gets one."""
        ...

    def volumes(self) -> Mapping[str, int]:
        """Return every volume with its size."""
        ...

    def path(self, volid: str) -> str:
        """The volume's path on the node, as task logs print it."""
        ...

    # guests
    def start(self, vmid: int, config: Mapping[str, str], volids: Mapping[str, str], *, paused: bool = False) -> None:
        """Power a guest on.

        ``volids`` maps drive keys (``scsi0``) to volumes; ``config`` is its configuration, from which NICs
        (``net0: virtio=MAC,bridge=vmbr9``), memory and cores are taken.
        """
        ...

    def stop(self, vmid: int) -> None:
        """Cut a guest's power; one that is off stays off."""
        ...

    def reset(self, vmid: int) -> None:
        """Press a guest's reset button."""
        ...

    def is_running(self, vmid: int) -> bool:
        """Tell whether a guest has power."""
        ...

    def uptime(self, vmid: int) -> int:
        """Return the seconds since a guest's power-on; 0 when it is off."""
        ...

    def pid(self, vmid: int) -> int | None:
        """Return the process of a running guest."""
        ...

    def agent(self, vmid: int, command: str, arguments: Mapping[str, object], timeout: float) -> object:
        """One guest-agent call (``guest-ping`` …). Raises AgentSilent or AgentError."""
        ...

    def monitor(self, vmid: int, command: str) -> str:
        """Run one command of the human monitor and return its text."""
        ...

    def vnc(self, vmid: int, password: str) -> str:
        """Arm the console with a one-time password and return the path of its unix socket on this machine."""
        ...

    def serial(self, vmid: int, index: int) -> str:
        """The unix socket on this machine of serial port ``index``."""
        ...

    def container_exec(self, vmid: int, argv: Sequence[str]) -> CommandResult:
        """Run a command inside a running container."""
        ...

    def forget_container(self, vmid: int) -> None:
        """Remove the folder that a container's root file system is mounted in; it has none before its first start."""
        ...

    def container_interfaces(self, vmid: int) -> CommandResult:
        """List a running container's network cards as JSON, by the node's own ``ip`` in the container's network."""
        ...

    # archives: paths of files on the node
    def write_archive(
        self, path: str, header: ArchiveHeader, volids: Mapping[str, str], compress: str, progress: Progress
    ) -> Written:
        """Write the guest's disks (``drive-scsi0`` → volid) into an archive at ``path``.

        ``compress`` is "zstd", "gzip", "lzo" or "0". A failed write leaves the partial file for the caller to unlink.
        From the first progress on a running guest may go on: what is written then is a copy of that moment.
        """
        ...

    def read_archive_header(self, path: str) -> ArchiveHeader:
        """Header and configuration only; cheap, and blind to damage behind the header.

        ArchiveDamaged (of :mod:`lab.archive`) when not even that can be read.
        """
        ...

    def extract_archive(self, path: str, volids: Mapping[str, str], progress: Progress) -> Totals:
        """Write the archive's disks into volumes (``drive-scsi0`` → volid).

        ArchiveDamaged (of :mod:`lab.archive`) when it is damaged, HypervisorError when it cannot be written.
        """
        ...

    def write_container_archive(self, path: str, volid: str, config: str, compress: str, progress: Progress) -> int:
        """Write a container's files into a tar at ``path``; returns its size in bytes."""
        ...

    def read_container_config(self, path: str) -> str:
        """Return the configuration inside a container's archive."""
        ...

    def extract_container_archive(self, path: str, volid: str, progress: Progress) -> None:
        """Unpack a container's archive into a volume; HypervisorError when it is damaged."""
        ...


def drive_keys(config: Mapping[str, str]) -> Iterator[str]:
    """The keys of a QEMU configuration that name drives with data (``scsi0``, ``virtio1`` …), media=cdrom left out."""
    for key, value in config.items():
        stem = key.rstrip("0123456789")
        if (
            stem in {"ide", "sata", "scsi", "virtio", "efidisk", "tpmstate"}
            and stem != key
            and "media=cdrom" not in value
        ):
            yield key
