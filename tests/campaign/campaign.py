"""The campaign: each fault at each moment of a drill; the next run must leave nothing, and production untouched."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from backup_standard.drill.engine import STEPS, TEARDOWN
from backup_standard.errors import NotRun, OperatorError
from tests.campaign.faults import Fault
from tests.campaign.moments import Moment
from tests.campaign.scene import Scene
from tests.campaign.state import differences, whole
from tests.campaign.wire import Trap

STEP = 10.0
"""Seconds that a pause counts for once something went wrong."""


@dataclass
class Tally:
    """What became of the cases of one fault."""

    fault: str
    cases: int = 0
    wrong: list[str] = field(default_factory=list)

    def add(self, moment: Moment, wrong: list[str]) -> None:
        """Count a case."""
        self.cases += 1
        if wrong:
            self.wrong.append(f"{self.fault} at {moment}: " + "; ".join(wrong))


def tallied(fault: str, moments: Iterable[Moment], case: Callable[[Moment], list[str]]) -> Tally:
    """A case at each moment; it returns what is wrong afterwards."""
    tally = Tally(fault)
    for moment in moments:
        tally.add(moment, case(moment))
    return tally


def strike(scene: Scene, fault: Fault, moment: Moment) -> list[str]:
    """One case in this process; returns what is wrong afterwards, in words."""
    scene.reset()
    scene.restores.held = moment.held

    def now(_ask: object, carry_out: object) -> object:
        scene.clock.step = STEP
        try:
            return fault.strike(scene, carry_out)  # type: ignore[arg-type]
        finally:
            scene.restores.go.set()

    scene.wire.trap = Trap(moment.ask.text, now)
    capacity = scene.lab.hypervisor.capacity
    wrong: list[str] = []
    drill = scene.drill()
    try:
        with drill:
            for step in (*STEPS, TEARDOWN):
                _ask_for(drill, step)
    except OperatorError as problem:
        wrong.append(f"the drill raised {problem!r}")
    if not scene.wire.trap.sprung.is_set():
        wrong.append(f"the drill never came there: {[(one.name, one.message) for one in drill.record.steps.values()]}")
    scene.wire.reset()
    scene.end_tasks()
    scene.mend()
    wrong += [f"left: {left}" for left in scene.sweep(drill.tools.run)]
    scene.lab.hypervisor.capacity = capacity
    drill.tools.close()
    scene.ground.drills.remove(drill)
    if drill.record.finished is None:
        wrong.append("the drill wrote no record")
    wrong += differences(scene.before, whole(scene.lab))
    if wrong:
        scene.repair()
    return wrong


def _ask_for(drill: object, step: str) -> None:
    try:
        drill.step(step)  # type: ignore[attr-defined]
    except (OperatorError, NotRun):  # as its row would end; the later ones are asked for all the same
        return
