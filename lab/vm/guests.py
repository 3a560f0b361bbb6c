"""Running guests: one QEMU process each, with its QMP session, agent and cards."""

from __future__ import annotations

import subprocess
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from lab.hypervisor import HypervisorError
from lab.vm.agent import Agent
from lab.vm.cards import Cards
from lab.vm.guest_qemu import DiskFile, GuestMachine, command_line, nics
from lab.vm.processes import Spawner
from lab.vm.qmp import Qmp
from lab.vm.volumes import Volumes
from lab.waiting import TimedOut

VNC_SECONDS = 30
"""How long a console password may be used."""


@dataclass
class Running:
    """A guest that was started: its machine, process and sessions."""

    machine: GuestMachine
    process: subprocess.Popen[bytes]
    qmp: Qmp
    agent: Agent
    since: float


@dataclass(frozen=True)
class Surroundings:
    """What guests run in: the folder of sockets, logs, the accelerator."""

    sockets: Path
    logs: Path
    accelerator: str


class Guests:
    """All running guests. Safe for several threads."""

    def __init__(self, spawner: Spawner, volumes: Volumes, cards: Cards, around: Surroundings) -> None:
        self._spawner, self._volumes, self._cards, self._around = spawner, volumes, cards, around
        self._running: dict[int, Running] = {}
        self._lock = threading.RLock()

    def start(self, vmid: int, config: Mapping[str, str], volids: Mapping[str, str], *, paused: bool = False) -> None:
        """Power a guest on."""
        if self.is_running(vmid):
            raise HypervisorError(f"VM {vmid} already running")
        disks = self._disks(volids)
        cards = self._cards.take(vmid, nics(config))
        try:
            self._launch(
                GuestMachine(vmid, config, disks, cards, self._around.sockets, self._around.accelerator, paused=paused)
            )
        except BaseException:
            self._cards.give_back(vmid)
            raise

    def resume(self, vmid: int, config: Mapping[str, str], volids: Mapping[str, str], state: Path) -> None:
        """Bring a guest up from a saved state; its cards are joined already in the node's saved state."""
        machine = GuestMachine(
            vmid,
            config,
            self._disks(volids),
            self._cards.sockets_of(vmid),
            self._around.sockets,
            self._around.accelerator,
            state=state,
        )
        self._launch(machine)

    def _disks(self, volids: Mapping[str, str]) -> dict[str, DiskFile]:
        return {key: DiskFile(self._volumes.file(volid), self._volumes.size(volid)) for key, volid in volids.items()}

    def _launch(self, machine: GuestMachine) -> None:
        vmid = machine.vmid
        for old in self._around.sockets.glob(f"{vmid}.*"):
            old.unlink()
        log = self._around.logs / f"guest-{vmid}.log"
        process = self._spawner.start(f"guest-{vmid}", command_line(machine), log)
        try:
            qmp = Qmp(machine.socket("qmp"), timeout=30, error=lambda: self._early_end(process, log))
        except (TimedOut, OSError) as error:
            self._spawner.stop(f"guest-{vmid}")
            raise HypervisorError(f"QEMU did not start: {error}") from error
        for nic in nics(machine.config):
            if nic.link_down:
                qmp("set_link", name=nic.key, up=False)
        with self._lock:
            self._running[vmid] = Running(machine, process, qmp, Agent(machine.socket("qga")), time.monotonic())

    @staticmethod
    def _early_end(process: subprocess.Popen[bytes], log: Path) -> str | None:
        if process.poll() is None:
            return None
        lines = log.read_text(errors="replace").strip().splitlines() or ["(nothing)"]
        return f"it ended with status {process.returncode} and said: {lines[-1]}"

    def get(self, vmid: int) -> Running:
        """Return a running guest; HypervisorError when it does not run."""
        if not self.is_running(vmid):
            raise HypervisorError(f"VM {vmid} not running")
        return self._running[vmid]

    def is_running(self, vmid: int) -> bool:
        """Tell whether a guest runs; one that has switched itself off is cleared away."""
        with self._lock:
            guest = self._running.get(vmid)
            if guest is None:
                return False
            if guest.process.poll() is None:
                return True
            del self._running[vmid]
        self._clear(vmid, guest)
        return False

    def stop(self, vmid: int) -> None:
        """Cut a guest's power; nothing happens when it is off."""
        with self._lock:
            guest = self._running.pop(vmid, None)
        if guest is not None:
            self._clear(vmid, guest)

    def _clear(self, vmid: int, guest: Running) -> None:
        self._spawner.stop(f"guest-{vmid}")
        guest.qmp.close()
        self._cards.give_back(vmid)

    def vmids(self) -> list[int]:
        """Return the guests that were started."""
        return sorted(self._running)

    def vnc(self, vmid: int, password: str) -> str:
        """Arm the console with a password for 30 seconds."""
        guest = self.get(vmid)
        guest.qmp("set_password", protocol="vnc", password=password)
        guest.qmp("expire_password", protocol="vnc", time=f"+{VNC_SECONDS}")
        return str(guest.machine.socket("vnc"))
