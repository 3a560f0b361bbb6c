"""What goes wrong: each fault strikes at one request and may last until the end of the drill."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from lab.pve.dispatch import Answer
from tests.campaign.scene import COPY, DISK, Scene
from tests.campaign.wire import Ask, Cut, Failed

CarryOut = Callable[[], Any]
Strike = Callable[[Scene, CarryOut], Any]
API_TIMEOUT = 3.0
"""Seconds that the drill's client waits for an answer in the campaign of unanswered requests."""
MOMENT = 5
"""Requests that find nobody while a node is going down and coming back."""


@dataclass(frozen=True)
class Fault:
    """A fault by its name; ``where`` it can strike: at requests to the "api", at commands on the "node", or at any."""

    name: str
    strike: Strike
    where: str = "any"

    def fits(self, ask: Ask) -> bool:
        """Whether it can strike at a request."""
        return self.where == "any" or ask.on_node == (self.where == "node")


def _error(_scene: Scene, _carry_out: CarryOut) -> Any:
    return Answer(500, "the lab let this request fail", {"data": None, "message": "the lab let this request fail\n"})


def _proxy_lost(_scene: Scene, carry_out: CarryOut) -> Any:
    carry_out()
    return Answer(596, "Broken pipe", None)


def _cut(_scene: Scene, _carry_out: CarryOut) -> Any:
    raise Cut


def _cut_when_done(_scene: Scene, carry_out: CarryOut) -> Any:
    carry_out()
    raise Cut


def _no_answer(_scene: Scene, carry_out: CarryOut) -> Any:
    carry_out()
    threading.Event().wait(API_TIMEOUT + 0.5)
    raise Cut


def _command_fails(_scene: Scene, _carry_out: CarryOut) -> Any:
    raise Failed


def _api_gone(scene: Scene, _carry_out: CarryOut) -> Any:
    scene.wire.api_down = True
    raise Cut


def _node_gone(scene: Scene, carry_out: CarryOut) -> Any:
    scene.wire.node_down = True
    scene.wire.cut_node()
    return carry_out()


def _reboot(scene: Scene, _carry_out: CarryOut) -> Any:
    scene.reboot()
    scene.restores.vanished = False
    end = len(scene.wire.asked) + MOMENT

    def back() -> None:
        scene.wire.api_down = scene.wire.node_down = len(scene.wire.asked) < end

    scene.wire.before_each = back
    raise Cut


def _tasks_hang(scene: Scene, carry_out: CarryOut) -> Any:
    scene.restores.never_end = True
    scene.endless |= {"qmstart", "qmstop", "qmdestroy", "vzstart", "vzstop", "vzdestroy"}
    scene.restores.go.set()
    scene.clock.step = 600.0
    return carry_out()


def _silent(scene: Scene, carry_out: CarryOut) -> Any:
    """Neither agent nor SSH answers: the guest is not up, and never will be."""
    scene.lab.hypervisor.faults.dead_agents.add(COPY)
    scene.lab.hypervisor.faults.boot_seconds[COPY] = 1e9
    machine = scene.lab.hypervisor.machines.get(COPY)
    if machine and machine.guest:
        machine.guest.switched_off = True
    return carry_out()


def _guest_off(scene: Scene, carry_out: CarryOut) -> Any:
    """The guest shuts itself down, now or as soon as it runs."""

    def off() -> None:
        if scene.lab.hypervisor.is_running(COPY):
            scene.lab.hypervisor.stop(COPY)

    scene.wire.before_each = off
    off()
    return carry_out()


def _full(scene: Scene, carry_out: CarryOut) -> Any:
    scene.lab.hypervisor.capacity = 0
    return carry_out()


def _storage_off(scene: Scene, carry_out: CarryOut) -> Any:
    """The storage that copies are restored to is switched off until the end of the drill."""
    scene.switch_storage(on=False)
    return carry_out()


def _disk_stuck(scene: Scene, carry_out: CarryOut) -> Any:
    """The copy's disk cannot be removed until the end of the drill; the destroy only mentions it in its log."""
    scene.lab.hypervisor.faults.stuck_volumes.add(DISK)
    return carry_out()


def _damaged(scene: Scene, carry_out: CarryOut) -> Any:
    """The restore fails half-way: its archive can be read no further."""
    scene.restores.breaks = True
    scene.restores.go.set()
    return carry_out()


FAULTS = {
    fault.name: fault
    for fault in (
        Fault("API 500", _error, "api"),
        Fault("API 596, but done", _proxy_lost, "api"),
        Fault("connection reset", _cut, "api"),
        Fault("connection reset, but done", _cut_when_done, "api"),
        Fault("no answer, but done", _no_answer, "api"),
        Fault("command on the node fails", _command_fails, "node"),
        Fault("SSH cut", _cut, "node"),
        Fault("SSH cut, but done", _cut_when_done, "node"),
        Fault("API gone until the end", _api_gone),
        Fault("SSH gone until the end", _node_gone),
        Fault("node reboots", _reboot),
        Fault("tasks never end", _tasks_hang),
        Fault("guest never answers", _silent),
        Fault("guest shuts itself down", _guest_off),
        Fault("storage is full", _full),
        Fault("storage is switched off", _storage_off),
        Fault("disk cannot be removed", _disk_stuck),
        Fault("restore fails", _damaged),
    )
}
