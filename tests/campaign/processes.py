"""Drills as processes of their own that are killed at one moment: the controller, or a worker of pytest-xdist."""

from __future__ import annotations

import multiprocessing
import os
import signal
from dataclasses import dataclass
from multiprocessing.connection import wait
from pathlib import Path
from typing import Any

from backup_standard.drill.claims import standing_under
from backup_standard.evidence.folder import RunFolder
from tests.campaign import child
from tests.campaign.campaign import STEP
from tests.campaign.moments import Moment
from tests.campaign.scene import GUEST, Scene
from tests.campaign.state import differences, whole
from tests.campaign.wire import Ask, Cut, Trap

PROJECT = Path(__file__).parents[2]
LONGEST = 120.0
"""Seconds after which a process that should have ended has hung."""
BEFORE_ANYTHING = Moment("plan", Ask("audit: GET /version"), begins=True)
"""The first request of a run: it has only begun to read the site."""
_CONTEXT = multiprocessing.get_context("forkserver")
_CONTEXT.set_forkserver_preload(
    ["pytest", "paramiko", "requests", "pydantic", "proxmoxer", "ruamel.yaml", "websocket", "asyncio"]
)  # no plugin of pytest among them: pytest wants to load those itself


@dataclass(frozen=True)
class Kill:
    """A signal to the run's controller, or to its worker; ``done``: after the request was carried out."""

    name: str
    signal: signal.Signals
    worker: bool = False
    done: bool = False

    @property
    def is_polite(self) -> bool:
        """Whether the process can still clean up."""
        return self.signal is not signal.SIGKILL


KILLS = {
    kill.name: kill
    for kill in (
        Kill("kill -9", signal.SIGKILL),
        Kill("kill -9, request done", signal.SIGKILL, done=True),
        Kill("SIGTERM", signal.SIGTERM),
        Kill("SIGINT", signal.SIGINT),
        Kill("worker killed", signal.SIGKILL, worker=True),
    )
}


def start(scene: Scene, *more: str) -> Any:
    """Begin ``pytest drills`` for the campaign's guest."""
    arguments = ["drills", "--inventory", str(scene.inventory_file), "--run-dir", str(scene.ground.reports.parent),
                 "-k", str(GUEST), "-p", "no:cacheprovider", "-q", *more]  # fmt: skip
    where = (str(PROJECT), str(scene.folder), str(scene.folder / "output"), arguments)
    process = _CONTEXT.Process(target=child.run, args=where)
    process.start()
    return process


def kill_at(scene: Scene, kill: Kill, moment: Moment) -> list[str]:
    """One case; returns what is wrong afterwards, in words."""
    scene.reset()
    scene.restores.held = moment.held
    process = None

    def now(_ask: object, carry_out: Any) -> Any:
        answer = carry_out() if kill.done else None
        target = _children(process.pid)[0] if kill.worker else process.pid  # type: ignore[attr-defined]
        os.kill(target, kill.signal)
        if not kill.is_polite:
            _until_gone(target)
        scene.restores.go.set()
        if kill.is_polite:
            return carry_out()
        if kill.done:
            return answer
        raise Cut

    scene.wire.trap = Trap(moment.ask.text, now)
    process = start(scene, *(["-n", "1"] if kill.worker else []))
    ended = wait([process.sentinel], LONGEST)
    if not ended:
        process.kill()
    process.join()
    wrong = [] if ended else [f"the run hung for {LONGEST:g} s"]
    if not scene.wire.trap.sprung.is_set():
        wrong.append(f"the drill never came there: {(scene.folder / 'output').read_text()[-1500:]}")
    wrong += _afterwards(scene, kill)
    if wrong:
        scene.repair()
    return wrong


def _afterwards(scene: Scene, kill: Kill) -> list[str]:
    scene.wire.reset()
    scene.end_tasks()
    (folder,) = (path for path in scene.ground.reports.glob("*-drill*") if not _is_read(path))
    wrong: list[str] = []
    if kill.is_polite or kill.worker:
        wrong += [f"not in order: {claim} still stands" for claim in standing_under(scene.ground.reports)]
        wrong += [f"not in order: {text}" for text in differences(scene.before, whole(scene.lab))]
    elif RunFolder(folder).run():
        wrong.append("a killed run has a record as if it had come to its end")
    scene.clock.step = STEP
    status = scene.reap()
    if status:
        wrong.append(f"reap ended with {status}")
    (folder / "read").touch()
    return wrong + differences(scene.before, whole(scene.lab))


def _is_read(folder: Path) -> bool:
    return (folder / "read").exists()


def _children(pid: int) -> list[int]:
    tasks = Path(f"/proc/{pid}/task").iterdir()
    return [int(child) for task in tasks for child in (task / "children").read_text().split()]


def _until_gone(pid: int) -> None:
    """Wait until a process has ended, whosever child it is."""
    try:
        descriptor = os.pidfd_open(pid)
    except ProcessLookupError:
        return
    try:
        wait([descriptor], LONGEST)
    finally:
        os.close(descriptor)
