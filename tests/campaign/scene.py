"""One case of the campaign: a site, a drill on it, a fault at one moment, the next run, and what is left then."""

from __future__ import annotations

import copy
import itertools
import shutil
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from backup_standard import waiting
from backup_standard.cli import main
from backup_standard.drill import reap
from backup_standard.drill.engine import Drill
from backup_standard.inventory.loader import load
from backup_standard.model import Facts
from lab.hypervisor import HypervisorError
from lab.pve import onboot
from lab.pve.tasks import Task
from lab.scripted.network import Network
from tests import labsite
from tests.campaign.clock import FlyingClock
from tests.campaign.state import whole
from tests.campaign.wire import Wire
from tests.drillground import NOON, Ground, write_inventory

GUEST, COPY = 210, 211
STORAGE = "vmdata"
DISK = f"{STORAGE}:vm-{COPY}-disk-0"
PATIENCE = "300s"
"""How long a guest may boot: thirty looks once time flies."""
_HOLD = 30.0
"""Seconds after which a restore that is held up goes on by itself, so that no thread is left behind."""


@dataclass
class Restores:
    """Holds restores up half-way: until they are let go, or for ever, or until their process vanishes."""

    scene: Scene
    held: bool = False
    never_end: bool = False
    vanished: bool = False
    breaks: bool = False
    kept: list[dict[Any, Any]] = field(default_factory=list)
    go: threading.Event = field(default_factory=threading.Event)

    def step(self, progress: Callable[[int, int], None], done: int, total: int) -> None:
        """One step of an extraction."""
        if self.held and done:
            self.go.wait(_HOLD)
        while self.never_end:
            progress(done, total)  # where a cancelled task ends
            threading.Event().wait(0.02)
        if self.breaks:
            raise HypervisorError("the archive cannot be read any further")
        if self.vanished:
            site, hypervisor = self.scene.lab.site, self.scene.lab.hypervisor
            self.kept = [copy.deepcopy(site.guests), dict(hypervisor.disks), dict(site.firewall)]
            raise HypervisorError("the process vanished")
        progress(done, total)

    def reset(self) -> None:
        """Hold nothing up."""
        self.go.set()
        self.held = self.never_end = self.vanished = self.breaks = False
        self.go, self.kept = threading.Event(), []


class Scene:
    """A site with a wire that is listened on. The cases follow each other on it as long as each leaves it as it was."""

    def __init__(self, ground: Ground, folder: Path, clock: FlyingClock) -> None:
        self.ground, self.lab, self.folder, self.clock = ground, ground.lab, folder, clock
        self.wire = Wire(self.lab)
        self.restores = Restores(self)
        self.before = whole(self.lab)
        self._runs = itertools.count(1)
        self._start = self.lab.site.tasks.start
        self.endless: set[str] = set()
        self._hung: set[str] = set()
        self.lab.site.tasks.start = self._start_task  # type: ignore[method-assign, assignment]
        paced = self.lab.hypervisor._paced
        self.lab.hypervisor._paced = lambda progress: paced(  # type: ignore[method-assign]
            lambda done, total: self.restores.step(progress, done, total)
        )

    @property
    def inventory_file(self) -> Path:
        """The inventory of this site."""
        return self.folder / "lab.yaml"

    def reset(self) -> None:
        """Before a case: nothing is wrong."""
        self.wire.reset()
        self.restores.reset()
        self.endless.clear()
        self.clock.step = 0.0
        faults = self.lab.hypervisor.faults
        faults.dead_agents.clear()
        faults.boot_seconds.clear()
        self.mend()

    def switch_storage(self, *, on: bool) -> None:
        """Switch the storage of guest disks on or off."""
        section = {key: value for key, value in self.lab.site.storages[STORAGE].items() if key != "disable"}
        self.lab.site.storages[STORAGE] = section if on else section | {"disable": 1}

    def mend(self) -> None:
        """What an administrator does about storage faults before the next run."""
        self.switch_storage(on=True)
        self.lab.hypervisor.faults.stuck_volumes.clear()

    def drill(self) -> Drill:
        """A drill in this process."""
        return self.ground.drill(GUEST, f"run-{next(self._runs)}")

    def _start_task(self, call: Any, kind: str, ident: str | int, worker: Callable[[Any], None]) -> str:
        if kind in self.endless:
            upid = self._start(call, kind, ident, self._never_ending)
            self._hung.add(upid)
            return upid
        return self._start(call, kind, ident, worker)

    def _never_ending(self, log: Any) -> None:
        log.task.cancelled.wait()
        log.check()

    def end_tasks(self) -> None:
        """What an administrator does with tasks that hang: stop them. Those that end by themselves are waited for."""
        self.restores.never_end = False
        self.restores.go.set()
        self.endless.clear()
        for task in self._running():
            if task.upid in self._hung:
                self.lab.site.tasks.stop(task.upid)
            self.lab.site.tasks.wait(task.upid)
        self._hung.clear()

    def _running(self) -> list[Task]:
        return [task for task in self.lab.site.tasks.all() if not task.finished.is_set()]

    def reboot(self) -> None:
        """The node goes down hard and comes back: connections die, tasks vanish, guests are off or start anew."""
        lab = self.lab
        self.wire.cut_node()
        self.restores.vanished = True
        self.restores.go.set()
        for task in self._running():
            lab.site.tasks.wait(task.upid)
            if self.restores.kept and task.type in {"qmrestore", "vzrestore"}:
                task.status, task.log = "unexpected status", task.log[:-1]
        if self.restores.kept:
            lab.site.guests, lab.hypervisor.disks, lab.site.firewall = self.restores.kept  # type: ignore[assignment]
            lab.site.guest(COPY).config["lock"] = "create"
        for vmid in list(lab.hypervisor.machines):
            lab.hypervisor.stop(vmid)
        self._without_gateways(lab.hypervisor.node.host.network)
        lab.site.tasks.wait(onboot.start_all(lab.site))

    def repair(self) -> None:
        """After a case that left something: by force as it was, so that the next case counts for itself."""
        lab, network = self.lab, self.lab.hypervisor.node.host.network
        if lab.hypervisor.is_running(COPY):
            lab.hypervisor.stop(COPY)
        lab.site.guests.pop(COPY, None)
        lab.site.firewall.pop(COPY, None)
        for volid in [volid for volid in lab.hypervisor.disks if f"-{COPY}-" in volid]:
            lab.hypervisor.free(volid)
        self._without_gateways(network)
        shutil.rmtree(self.ground.reports, ignore_errors=True)
        self.before = whole(lab)

    @staticmethod
    def _without_gateways(network: Network) -> None:
        with network.lock:
            for space in [space for space in network.namespaces if space]:
                network.delete_namespace(space)
            for name in [name for name in network.links("") if name.startswith(("db", "dg"))]:
                network.delete("", name)

    def sweep(self, run: str) -> list[str]:
        """The end of a run, once nothing is wrong any more: what remains, in words."""
        found = reap.sweep(self.ground.inventory, self.ground.reports, do_it=True, say=lambda _text: None, own_run=run)
        return list(found.left)

    def reap(self) -> int:
        """``backup-standard reap --yes``: its exit status."""
        reports = str(self.ground.reports.parent)
        return main(["reap", "--inventory", str(self.inventory_file), "--run-dir", reports, "--yes"])


@contextmanager
def on_a_site(folder: Path, facts: Facts, *, api_timeout: str = "30s") -> Iterator[Scene]:
    """A scene of its own."""
    with pytest.MonkeyPatch.context() as patch:
        clock = FlyingClock()
        patch.setenv("XDG_STATE_HOME", str(folder))
        patch.setattr(waiting, "time", clock)
        with labsite.running(folder / "backup-standard-lab", now=NOON) as lab:
            file = write_inventory(folder / "lab.yaml", lab)
            text = file.read_text(encoding="utf-8").replace("boot_timeout: 10s", f"boot_timeout: {PATIENCE}")
            text = text.replace("\ndrill: {", "\ndrill: {protect_archive: true, ")
            assert "protect_archive" in text
            file.write_text(text.replace("api:\n", f"api:\n  timeout: {api_timeout}\n"), encoding="utf-8")
            ground = Ground(lab, load(file).inventory, facts, folder / "reports/lab")
            lab.site.patience.header = 0.05
            scene = Scene(ground, folder, clock)
            yield scene
            scene.end_tasks()
            for drill in ground.drills:
                drill.tools.close()
