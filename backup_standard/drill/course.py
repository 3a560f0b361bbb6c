"""One drill under way: what its steps work with, what each leaves to the next, and how a step says what is wrong."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from backup_standard import waiting
from backup_standard.drill import boot, login, memory, names, network
from backup_standard.drill import restore as restoring
from backup_standard.drill.agent import Agent
from backup_standard.drill.choices import USUAL, Choices
from backup_standard.drill.claims import Claims
from backup_standard.drill.container import IN_CONTAINER, ContainerShell
from backup_standard.drill.dialect import Dialect, is_windows
from backup_standard.drill.gateway import Gateway
from backup_standard.drill.guard import Guard
from backup_standard.drill.limits import Limits
from backup_standard.drill.plan import DrillPlan
from backup_standard.drill.ports import Insider, Ran, Session, Shell, Writer
from backup_standard.drill.posix import POSIX
from backup_standard.drill.preflight import Surroundings
from backup_standard.drill.progress import Event, Listener
from backup_standard.drill.record import DrillRecord, Phase
from backup_standard.drill.screen import Open
from backup_standard.drill.windows import WINDOWS
from backup_standard.errors import OperatorError, Refused
from backup_standard.hosts import SshClient
from backup_standard.inventory.secrets import Secret

Observed = dict[str, Any]

RESTORE_TIMEOUT, LOGIN_TIMEOUT, NETWORK_TIMEOUT, SERVICES_TIMEOUT = 6 * 3600.0, 300.0, 120.0, 600.0
DATA_TIMEOUT = 60.0
"""Seconds; generous, because a guest without hardware virtualisation is slow, and a failure is final."""


class Wrong(Exception):
    """A step found something wrong; ``observed`` is what it saw all the same."""

    def __init__(self, text: str, observed: Observed) -> None:
        super().__init__(text)
        self.observed = observed


class Unproven(Exception):
    """What a step is about could not be shown this way, by an operator's choice; the drill goes on without it."""


FINDINGS = (Wrong, OperatorError, boot.NotBooted, login.LoginFailed, network.NetworkFailed, waiting.NotReady)
"""What makes a step fail, as opposed to a fault of the suite."""


@dataclass(frozen=True)
class Tools:
    """What a drill works with. ``shell`` and ``node`` are None where nobody may log in to the node."""

    api: Writer
    guard: Guard
    claims: Claims
    surroundings: Surroundings
    guests: dict[int, str | None]
    folder: Path
    run: str
    class_: str
    open_websocket: Open
    listener: Listener
    node: SshClient | None = None
    shell: Shell | None = None
    close: Callable[[], None] = lambda: None
    choices: Choices = USUAL
    limits: Limits | None = None


@dataclass
class Course:
    """One drill under way: what each step leaves to the next."""

    plan: DrillPlan
    tools: Tools
    record: DrillRecord
    began: float = field(default_factory=time.monotonic)
    archived: dict[str, str] = field(default_factory=dict)
    restored: restoring.Restored | None = None
    booted: boot.Booted | None = None
    gateway: Gateway | None = None
    before: Sequence[Course] = ()
    session: Session | None = None
    throwaway: Secret | None = field(default=None, repr=False)
    waited: float = 0.0

    @property
    def vmid(self) -> int:
        """The guest that is, or will be, booted."""
        return self.restored.vmid if self.restored else self.plan.temporary_vmid

    @property
    def agent(self) -> Insider:
        """The way in that needs no network: its agent, or for a container its node; Refused where that is closed."""
        if not self.is_container:
            return Agent(self.tools.api, self.plan.node, self.vmid)
        if self.tools.shell is None:
            raise Refused(
                "a container has no agent: without SSH to its node nobody gets inside",
                next_step=f"set nodes.{self.plan.node}.ssh, and leave drill.gateway on",
            )
        return ContainerShell(self.tools.api, self.plan.node, self.vmid, self.tools.shell, self.tools.guard)

    @property
    def is_container(self) -> bool:
        """Whether it is a container."""
        return self.plan.kind == "lxc"

    @property
    def path(self) -> str:
        """The guest in the API."""
        return names.guest_path(self.plan.kind, self.plan.node, self.vmid)

    @property
    def dialect(self) -> Dialect:
        """How its operating system is asked."""
        if self.is_container:
            return IN_CONTAINER
        return WINDOWS if is_windows(self.archived) else POSIX

    def say(self, phase: str, text: str = "", percent: int | None = None) -> None:
        """Tell who watches; that nobody does any more (a closed terminal, a full disk) must not stop a drill."""
        elapsed = time.monotonic() - self.began
        with suppress(OSError):
            self.tools.listener(Event(self.plan.vmid, self.vmid, phase, text, elapsed, percent))

    @contextmanager
    def turn_to_restore(self) -> Iterator[None]:
        """Wait until no more restores go onto the storage than may; the time waited is nobody's recovery time."""
        limits, asked = self.tools.limits, time.monotonic()
        if limits is None:
            yield
            return
        with limits.restoring(self.plan.storage, lambda _elapsed: self.say("waiting", "for a turn to restore")):
            self.waited += time.monotonic() - asked
            yield

    def memory_to_boot(self) -> None:
        """Wait until the node has room for this copy beside the others; a group's guests do not wait for each other."""
        plan, limits, asked = self.plan, self.tools.limits, time.monotonic()
        if limits is None:
            return
        if self.before:
            limits.take_memory(plan.node, self.vmid, plan.memory_bytes)
            return
        limits.hold_memory(
            plan.node, self.vmid, plan.memory_bytes, lambda: memory.look(self.tools.api, plan.node),
            lambda _elapsed: self.say("waiting", "for memory on the node"),
        )  # fmt: skip
        self.waited += time.monotonic() - asked

    @contextmanager
    def phase(self, name: str) -> Iterator[Observed]:
        """Measure a phase; what the block puts into the mapping is its evidence."""
        self.say(name)
        started, observed = time.monotonic(), dict[str, Any]()
        try:
            yield observed
        except BaseException as problem:
            first = (str(problem) or type(problem).__name__).splitlines()[0]
            self.record.phases.append(
                Phase(name, time.monotonic() - started, ok=False, observed=observed, message=first)
            )
            raise
        self.record.phases.append(Phase(name, time.monotonic() - started, ok=True, observed=observed))

    def inside(self) -> Callable[[Sequence[str]], Ran]:
        """The strongest way to run a command in the guest: its agent, else the login."""
        if self.booted and self.booted.agent:
            return self.agent.run
        if self.session is None:
            raise Refused("nothing runs commands in the guest: neither agent nor login")
        return self.session.run
