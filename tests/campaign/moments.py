"""When a fault strikes: at every request of a drill that writes, and at the first new request of each of its steps.

The list is heard at a rehearsal, so a drill that comes to write something else is struck there, too.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from backup_standard.drill.engine import STEPS, TEARDOWN
from tests.campaign.scene import Scene
from tests.campaign.wire import Ask

NAMED = (
    ("preflight", r"GET /cluster/nextid"),
    ("claim", r"GET /nodes/pve1/vzdump/extractconfig"),
    ("restore running", r"GET .*/UPID:(qm|vz)restore:\d+/status"),
    ("isolation", r"ip -j link show master vmbr9"),
    ("agent", r"POST .*/agent/ping"),
    ("screen", r"POST .*/vncproxy"),
    ("verify", r"GET .*/firewall/rules"),
)
"""Places inside the steps that have a name of their own."""
_COMMANDS = re.compile(r"POST .*/agent/exec |pct exec ")


@dataclass(frozen=True)
class Moment:
    """A request of a drill, known by its text, which is heard there for the first time; ``step`` says where."""

    step: str
    ask: Ask
    begins: bool

    @property
    def held(self) -> bool:
        """Whether the restore has to be held up, so that it is still running then."""
        return self.step == "restore running"

    def __str__(self) -> str:
        return f"{self.step}: {self.ask.text[:90]}"


def rehearse(scene: Scene) -> list[Moment]:
    """Drill without any fault, and list the moments."""
    scene.reset()
    heard: list[tuple[str, Ask]] = []
    with scene.drill() as drill:
        for step in (*STEPS, TEARDOWN):
            scene.wire.asked = []
            done = drill.step(step)
            assert done.ok, f"the rehearsal itself fails: {done.message}"
            heard += [(step, ask) for ask in scene.wire.asked]
    found = list(_moments(heard))
    unheard = {name for name, _ in NAMED} - {moment.step for moment in found}
    assert not unheard, f"the drill has no such places any more: {unheard}"
    return found


def _moments(heard: list[tuple[str, Ask]]) -> Iterator[Moment]:
    known: set[str] = set()
    begun: set[str] = set()
    for step, ask in heard:
        if ask.text in known:
            continue
        known.add(ask.text)
        named = next((name for name, pattern in NAMED if re.fullmatch(pattern, ask.text)), None)
        name = named or step
        if name not in begun or (ask.writes and not _COMMANDS.match(ask.text)):
            yield Moment(name, ask, begins=name not in begun)
            begun.add(name)
