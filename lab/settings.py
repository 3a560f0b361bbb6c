"""Where the lab keeps things and how it is reached: folders, ports, names, and the guests it builds."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

NAME = "backup-standard-lab"
NODE = "pve1"
ZONE = "Europe/Berlin"
LOOPBACK = "127.0.0.1"
API_PORT = 18006
SSH_PORT = 12222
LAN_GATEWAY = "10.0.0.1"
LAN_PREFIX = 24
DRILL_ACCOUNT = "drill"
VOLUME_GROUP = "vmdata"
BACKUP_MOUNT = "/mnt/backup"
BACKUP_SERIAL = "BACKUP0"
VERSIONS = {"9.2": "9.2.11", "8.4": "8.4.21"}
"""What ``--pve`` accepts, and the full version each answers as."""

MIB = 1 << 20


@dataclass(frozen=True)
class BuiltGuest:
    """A guest whose disk the lab builds: its role's packages, address, size of the disk in MiB."""

    vmid: int
    name: str
    role: str
    address: str
    packages: tuple[str, ...] = ()
    disk_mib: int = 1024
    memory: int = 256
    template: bool = False

    @property
    def mac(self) -> str:
        """The address of its only network card; its last bytes spell the VMID."""
        return f"BC:24:11:00:{self.vmid // 100:02d}:{self.vmid % 100:02d}"

    @property
    def volume(self) -> str:
        """The volume of its disk, named as Proxmox names it."""
        return f"{VOLUME_GROUP}:{'base' if self.template else 'vm'}-{self.vmid}-disk-0"


GUESTS = (
    BuiltGuest(100, "golden-template", "golden", "10.0.0.100", template=True),
    BuiltGuest(200, "docker-host", "docker", "10.0.0.200", ("docker.io", "busybox-static"), disk_mib=1536, memory=512),
    BuiltGuest(210, "dns", "dns", "10.0.0.210", ("dnsmasq",)),
    BuiltGuest(220, "monitoring", "monitoring", "10.0.0.220", ("prometheus-node-exporter",)),
)
CONTAINER = BuiltGuest(230, "files", "container", "10.0.0.230", disk_mib=256, memory=128)


def built_guest(vmid: int) -> BuiltGuest:
    """Return the built guest of a VMID; KeyError for another."""
    return {guest.vmid: guest for guest in (*GUESTS, CONTAINER)}[vmid]


@dataclass(frozen=True)
class Ports:
    """Ports on the loopback address: the API and the node's SSH."""

    api: int = API_PORT
    ssh: int = SSH_PORT


@dataclass(frozen=True)
class Folders:
    """The lab's folders: ``cache`` (images, saved state; may be deleted at any time) and ``state`` (secrets, logs)."""

    cache: Path
    state: Path

    @classmethod
    def of_user(cls) -> Folders:
        """Return the folders of the current user, by XDG_CACHE_HOME and XDG_STATE_HOME where those are set."""
        return cls(_xdg("XDG_CACHE_HOME", ".cache") / NAME, _xdg("XDG_STATE_HOME", ".local/state") / NAME)

    @property
    def keys(self) -> Path:
        """Keys that are part of built images: the client key, host keys, the guests' password."""
        return self.cache / "keys"

    @property
    def logs(self) -> Path:
        """Logs of the running lab."""
        return self.state / "logs"

    @property
    def processes(self) -> Path:
        """One file for each process of the lab (see :mod:`lab.vm.processes`)."""
        return self.state / "processes"

    @property
    def record(self) -> Path:
        """What runs: ports, version, when it was started."""
        return self.state / "lab.json"

    def make(self) -> None:
        """Make the folders, closed to other users."""
        for folder in (self.cache, self.state, self.keys, self.logs, self.processes):
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)


def _xdg(variable: str, default: str) -> Path:
    value = os.environ.get(variable, "")
    return Path(value) if value.startswith("/") else Path.home() / default
