"""The machinery of the lab in memory: for tests that restore, boot and delete a guest within milliseconds.

Archives are real ones (VMA and tar, compressed), volumes are sparse, and a guest is what its disk says it is
(:class:`lab.scripted.image.GuestImage`): a restored copy of a guest is that guest, a damaged disk does not boot.
"""

from __future__ import annotations

import itertools
import shutil
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

from lab.hypervisor import AgentSilent, CommandResult, HypervisorError, drive_keys
from lab.memory_node import MemoryNode
from lab.scripted import container as containers
from lab.scripted import ip
from lab.scripted.guest import ScriptedGuest
from lab.scripted.image import GuestImage
from lab.scripted.machine import Machine, card_options
from lab.scripted.storehouse import Storehouse, tar_of

LXC = "/var/lib/lxc"
"""Where containers have their root file systems mounted, each in a folder of its own."""
LONGEST = 70
"""Characters of a folder's path that still leave room for a socket's name (108 in all)."""


@dataclass
class Faults:
    """What goes wrong with guests on request, by VMID (also for copies that do not run yet).

    ``boot_seconds``: until a guest answers. ``stopped_services``: units that do not come up. ``stuck_volumes`` cannot
    be removed, as if something held them open. Faults of the backup disk are switches of ``node.backup_disk``
    (``full``, ``readonly``, ``broken``) and ``node.unplug_backup()``; ``pace`` of the hypervisor slows archives down; a
    damaged archive is a damaged file.
    """

    dead_agents: set[int] = field(default_factory=set)
    refused_passwords: set[int] = field(default_factory=set)
    stopped_services: dict[int, set[str]] = field(default_factory=dict)
    boot_seconds: dict[int, float] = field(default_factory=dict)
    stuck_volumes: set[str] = field(default_factory=set)


class MemoryHypervisor(Storehouse):
    """See :class:`lab.hypervisor.Hypervisor`. ``capacity`` in bytes, for each storage; use it as a context manager."""

    def __init__(self, node: MemoryNode | None = None, *, capacity: int = 64 << 30) -> None:
        super().__init__(node or MemoryNode(), capacity)
        self.faults = Faults()
        self.machines: dict[int, Machine] = {}
        self._pids = itertools.count(5000)
        self._folder: Path | None = None
        self.node.host.programs["pct"] = containers.pct(self.container_exec, self._has_container)
        self.node.host.programs["lxc-attach"] = containers.attach(self.container_interfaces, self._dial_from)

    def _has_container(self, vmid: int) -> bool:
        known = (volid.rpartition(":")[2].split("-")[1:2] == [str(vmid)] for volid in self.disks)
        return self.node.files.exists(f"/etc/pve/lxc/{vmid}.conf") or any(known)

    def _dial_from(self, vmid: int, address: str, port: int) -> None:
        host = self.guest(vmid).host
        host.dial(host.context(), address, port)

    def meminfo(self) -> str:
        """Nothing of its own: the node shows it."""
        return ""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_exception: object) -> None:
        self.close()

    def close(self) -> None:
        """Switch every guest off and remove the sockets of their consoles."""
        for vmid in list(self.machines):
            self.stop(vmid)
        if self._folder:
            shutil.rmtree(self._folder, ignore_errors=True)
            self._folder = None

    def _in_use(self) -> set[str]:
        running = {volid for machine in self.machines.values() for volid in machine.volids.values()}
        return running | self.faults.stuck_volumes

    def start(self, vmid: int, config: Mapping[str, str], volids: Mapping[str, str], *, paused: bool = False) -> None:
        """Power a guest on; its system is what the disk it boots from describes."""
        with self._lock:
            if vmid in self.machines:
                raise HypervisorError(f"VM {vmid} already running")
            for volid in volids.values():
                if volid not in self.disks:
                    raise HypervisorError(f"Could not open '{self.path(volid)}': No such file or directory")
            self._check_bridges(config)
            container = "rootfs" in volids
            if container:
                self.node.makedirs(f"{LXC}/{vmid}/rootfs")

            def boot() -> ScriptedGuest | None:
                image = self._container(config, volids["rootfs"]) if container else self._image(config, volids)
                guest = self._guest(vmid, image) if image else None
                if guest and container:
                    containers.settle(guest, self.node.host)
                return guest

            self.machines[vmid] = Machine(
                vmid, dict(config), dict(volids), self.node.host.network, boot, paused=paused, pid=next(self._pids)
            )

    def _check_bridges(self, config: Mapping[str, str]) -> None:
        links = self.node.host.network.links("")
        for key, value in config.items():
            bridge = card_options(value).get("bridge", "") if key.startswith("net") and key[3:].isdigit() else ""
            if bridge and (bridge not in links or links[bridge].kind != "bridge"):
                raise HypervisorError(f"bridge '{bridge}' does not exist")

    def _image(self, config: Mapping[str, str], volids: Mapping[str, str]) -> GuestImage | None:
        order = config.get("boot", "").removeprefix("order=").split(";")
        keys = [key for key in order if key in volids] or [key for key in drive_keys(config) if key in volids]
        return GuestImage.read(self.disks[volids[keys[0]]]) if keys else None

    def _container(self, config: Mapping[str, str], volid: str) -> GuestImage:
        cards = [card_options(value) for key, value in sorted(config.items()) if key.startswith("net")]
        addresses = [[card["ip"]] if "/" in card.get("ip", "") else [] for card in cards]
        return containers.image_of(tar_of(self.disks[volid]).read(), addresses)

    def _guest(self, vmid: int, image: GuestImage) -> ScriptedGuest:
        guest = ScriptedGuest(image, boot_seconds=self.faults.boot_seconds.get(vmid, 0.0), clock=self.node.now)
        for name in self.faults.stopped_services.get(vmid, ()):
            guest.host.services[name].active = "inactive"
        guest.password_refused = vmid in self.faults.refused_passwords
        return guest

    def _machine(self, vmid: int) -> Machine:
        machine = self.machines.get(vmid)
        if machine is None:
            raise HypervisorError(f"VM {vmid} not running")
        return machine

    def guest(self, vmid: int) -> ScriptedGuest:
        """Return the system that runs in a guest; HypervisorError when none does."""
        guest = self._machine(vmid).guest
        if guest is None:
            raise HypervisorError(f"VM {vmid} runs no system")
        return guest

    def stop(self, vmid: int) -> None:
        """Cut the power."""
        with self._lock:
            self._machine(vmid).power_off()
            del self.machines[vmid]

    def reset(self, vmid: int) -> None:
        """Boot again without leaving the machine."""
        with self._lock:
            self._machine(vmid).boot()

    def is_running(self, vmid: int) -> bool:
        """Tell whether the guest is powered on."""
        return vmid in self.machines

    def uptime(self, vmid: int) -> int:
        """Return whole seconds since power-on."""
        return int(time.monotonic() - self._machine(vmid).started)

    def pid(self, vmid: int) -> int | None:
        """Return the number of the guest's process on the node."""
        return self.machines[vmid].pid if vmid in self.machines else None

    def agent(self, vmid: int, command: str, arguments: Mapping[str, object], timeout: float) -> object:
        """Make one guest-agent call; a dead agent is silent at once, it does not let ``timeout`` pass."""
        machine = self._machine(vmid)
        if machine.agent is None or vmid in self.faults.dead_agents or machine.state != "running":
            raise AgentSilent(f"{command}: no answer within {timeout:g} s")
        if command == "guest-shutdown":
            machine.agent.call("guest-ping", {})
            self.stop(vmid)
            return {}
        return machine.agent.call(command, arguments)

    def monitor(self, vmid: int, command: str) -> str:
        """Run one command of the human monitor; an unknown one is told as QEMU tells it."""
        machine = self._machine(vmid)
        name, _space, argument = command.strip().partition(" ")
        if name == "screendump" and argument:
            self.node.write(argument.split()[0], machine.picture())
        elif name == "stop":
            machine.state = "paused"
        elif name == "cont":
            self._continue(machine)
        elif name == "system_powerdown":
            self._power_down(machine)
        elif name == "system_reset":
            machine.boot()
        elif name == "sendkey" and argument:
            return ""
        else:
            return machine.information(command.strip())
        return ""

    def _continue(self, machine: Machine) -> None:
        if machine.state == "paused (prelaunch)":
            machine.boot()
        machine.state = "running"

    def _power_down(self, machine: Machine) -> None:
        if machine.guest is not None and machine.guest.is_up and machine.state == "running":
            self.stop(machine.vmid)

    def _sockets(self) -> Path:
        if self._folder is None:
            short = len(tempfile.gettempdir()) < LONGEST
            self._folder = Path(tempfile.mkdtemp(prefix="lab-", dir=None if short else "/tmp"))
        return self._folder

    def vnc(self, vmid: int, password: str) -> str:
        """Arm the screen with a one-time password and return its socket."""
        with self._lock:
            screen = self._machine(vmid).screen(self._sockets())
        screen.arm(password)
        return str(screen.path)

    def serial(self, vmid: int, index: int) -> str:
        """Return the socket of a serial port."""
        with self._lock:
            return str(self._machine(vmid).serial(self._sockets(), index).path)

    def forget_container(self, vmid: int) -> None:
        """Remove the folders of a container on the node."""
        for folder in (f"{LXC}/{vmid}/rootfs", f"{LXC}/{vmid}"):
            if self.node.files.exists(folder):
                self.node.files.rmdir(folder)

    def container_interfaces(self, vmid: int) -> CommandResult:
        """List a container's network cards."""
        return ip.PROGRAMS["ip"](self.guest(vmid).host.context(), ["-j", "addr"])

    def container_exec(self, vmid: int, argv: Sequence[str]) -> CommandResult:
        """Run a command inside a container."""
        host = self.guest(vmid).host
        return host.call(host.context(), list(argv))
