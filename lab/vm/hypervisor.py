"""The machinery with real virtual machines, as the control plane asks for it (:mod:`lab.hypervisor`)."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from lab.archive import Totals
from lab.hypervisor import AgentSilent, ArchiveHeader, CommandResult, HypervisorError, Progress, Written
from lab.vm.archives import Archives
from lab.vm.cards import Cards
from lab.vm.containers import Containers
from lab.vm.courier import Courier
from lab.vm.guests import Guests, Surroundings
from lab.vm.node import VmNode
from lab.vm.processes import Spawner
from lab.vm.volumes import Volumes


class VmHypervisor:
    """Guests, volumes and archives of the lab's node.

    For faults: ``silent_agents`` (VMIDs), ``before_start`` (called with VMID and volumes) and ``before_agent`` (called
    with VMID and command).
    """

    def __init__(self, courier: Courier, files: Sequence[Path], spawner: Spawner, around: Surroundings) -> None:
        self.courier = courier
        self.node = VmNode(courier)
        self.disks = Volumes(courier, files)
        self.cards = Cards(courier, around.sockets)
        self.guests = Guests(spawner, self.disks, self.cards, around)
        self.containers = Containers(courier, self.disks)
        self.archives = Archives(courier, self.disks, self.guests, around.sockets)
        self.silent_agents: set[int] = set()
        self.before_start: Callable[[int, Mapping[str, str]], None] = lambda _vmid, _volids: None
        self.before_agent: Callable[[int, str], None] = lambda _vmid, _command: None

    def meminfo(self) -> str:
        """That of this machine: the guests are siblings of the node's VM and take nothing from it."""
        return Path("/proc/meminfo").read_text(encoding="ascii")

    def allocate(self, volid: str, size: int, like: str | None = None) -> None:
        """Make a volume of zeros, or a copy of another."""
        self.disks.allocate(volid, size, like)

    def free(self, volid: str) -> None:
        """Remove a volume."""
        self.disks.free(volid)

    def rename(self, old: str, new: str) -> None:
        """Give a volume another name."""
        self.disks.rename(old, new)

    def volumes(self) -> Mapping[str, int]:
        """Return all volumes with their sizes in bytes."""
        return self.disks.sizes()

    def path(self, volid: str) -> str:
        """Return a volume's path on the node."""
        return self.disks.device(volid)

    def start(self, vmid: int, config: Mapping[str, str], volids: Mapping[str, str], *, paused: bool = False) -> None:
        """Power a guest on; a configuration with a root file system is a container's."""
        if "rootfs" in volids:
            self.containers.start(vmid, config, volids["rootfs"])
        else:
            self.before_start(vmid, volids)
            self.guests.start(vmid, config, volids, paused=paused)

    def stop(self, vmid: int) -> None:
        """Cut a guest's power."""
        if self.containers.knows(vmid):
            self.containers.stop(vmid)
        else:
            self.guests.stop(vmid)

    def reset(self, vmid: int) -> None:
        """Press a guest's reset button."""
        self.guests.get(vmid).qmp("system_reset")

    def is_running(self, vmid: int) -> bool:
        """Tell whether a guest runs."""
        return self.containers.is_running(vmid) or self.guests.is_running(vmid)

    def uptime(self, vmid: int) -> int:
        """Return the seconds since a guest was started, 0 when it is off."""
        if self.containers.knows(vmid):
            return self.containers.uptime(vmid)
        return int(time.monotonic() - self.guests.get(vmid).since) if self.guests.is_running(vmid) else 0

    def pid(self, vmid: int) -> int | None:
        """Return the number of a guest's process."""
        if self.containers.knows(vmid):
            return self.containers.pid(vmid)
        return self.guests.get(vmid).process.pid if self.guests.is_running(vmid) else None

    def agent(self, vmid: int, command: str, arguments: Mapping[str, object], timeout: float) -> object:
        """Ask a guest's agent; AgentSilent or AgentError."""
        guest = self.guests.get(vmid)
        if vmid in self.silent_agents:
            raise AgentSilent(f"qga command '{command}' failed - got timeout")
        self.before_agent(vmid, command)
        return guest.agent(command, arguments, timeout)

    def monitor(self, vmid: int, command: str) -> str:
        """Give QEMU's human monitor a command and return what it prints."""
        return self.guests.get(vmid).qmp.human(command)

    def screen(self, vmid: int, path: Path) -> None:
        """Write a guest's screen to a PNG file outside."""
        self.guests.get(vmid).qmp("screendump", filename=str(path), format="png")

    def vnc(self, vmid: int, password: str) -> str:
        """Arm a guest's console and return its unix socket."""
        return self.guests.vnc(vmid, password)

    def serial(self, vmid: int, index: int) -> str:
        """Return the unix socket of a guest's serial port."""
        path = self.guests.get(vmid).machine.socket(f"serial{index}")
        if not path.exists():
            raise HypervisorError(f"VM {vmid} has no serial port {index}")
        return str(path)

    def container_exec(self, vmid: int, argv: Sequence[str]) -> CommandResult:
        """Run a command inside a container."""
        return self.containers.execute(vmid, argv)

    def forget_container(self, vmid: int) -> None:
        """Remove what is left of a container on the node."""
        self.containers.forget(vmid)

    def container_interfaces(self, vmid: int) -> CommandResult:
        """List a container's network cards."""
        return self.containers.interfaces(vmid)

    def write_archive(
        self, path: str, header: ArchiveHeader, volids: Mapping[str, str], compress: str, progress: Progress
    ) -> Written:
        """Write a guest's disks into an archive on the node."""
        return self.archives.write(path, header, volids, compress, progress)

    def read_archive_header(self, path: str) -> ArchiveHeader:
        """Read an archive's header."""
        return self.archives.header(path)

    def extract_archive(self, path: str, volids: Mapping[str, str], progress: Progress) -> Totals:
        """Write an archive's disks into volumes."""
        return self.archives.extract(path, volids, progress)

    def write_container_archive(self, path: str, volid: str, config: str, compress: str, progress: Progress) -> int:
        """Write a container's root file system into an archive on the node; returns its size in bytes."""
        return self.archives.write_container(path, volid, config, compress, progress)

    def read_container_config(self, path: str) -> str:
        """Read the configuration in a container archive."""
        return self.archives.container_config(path)

    def extract_container_archive(self, path: str, volid: str, progress: Progress) -> None:
        """Fill a volume with the root file system of a container archive."""
        self.archives.extract_container(path, volid, progress)
