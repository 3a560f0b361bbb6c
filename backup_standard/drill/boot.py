"""Power-on, and the guest's own evidence that it came up from its disk: never "status: running"."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

from backup_standard import waiting
from backup_standard.drill import guestconfig, names
from backup_standard.drill.dialect import Dialect
from backup_standard.drill.ports import Insider, Ran, Writer
from backup_standard.drill.posix import POSIX
from backup_standard.errors import Refused

CLOCK_TOLERANCE = 5.0
"""Seconds by which the guest's uptime may exceed the time since power-on (its clock is its own)."""

SSH_FROM, SSH_EVERY = 30.0, 10.0
"""Where a guest has an agent: seconds after power-on from which SSH is tried beside it, and between two tries."""

PAUSE = 0.1
"""Seconds between two looks for the first answer (upstream itself takes about 3 s to tell of a silent agent)."""

AGENT_GRACE = 30.0
"""Seconds that a guest which already answers over SSH is given for its agent."""


@dataclass(frozen=True)
class Booted:
    """What the guest said of its boot. ``rung`` is who answered: "agent", "pct exec" or "ssh"; seconds since power-on.

    ``agent`` tells whether there is a way in that needs no network.
    """

    rung: str
    boot_id: str
    uptime: float
    seconds: float
    agent: bool


class NotBooted(Exception):
    """The guest did not come up; the text says what was seen last."""


def power_on(api: Writer, node: str, vmid: int, kind: str = "qemu") -> float:
    """Start the guest; TaskFailed when Proxmox could not. Returns the moment (monotonic) before which it was off.

    The guest runs before its start task has ended, by seconds on a busy node.
    """
    powered = time.monotonic()
    api.wait_task(str(api.write("POST", f"{names.guest_path(kind, node, vmid)}/status/start")), timeout=120)
    return powered


def wait_until_up(
    agent: Insider,
    *,
    has_agent: bool,
    by_ssh: Callable[[], Ran | None],
    powered: float,
    timeout: float,
    tick: Callable[[float], None],
    dialect: Dialect = POSIX,
) -> Booted:
    """Wait for the agent, or for a login where no agent answers; then ask the guest for its boot id and uptime.

    ``powered`` is the moment of power-on (monotonic). ``by_ssh`` runs what the dialect takes for evidence over SSH and
    returns None while nobody can log in. NotBooted when the guest stops, when nothing answers in time, or when what
    answers was up before power-on.
    """
    seen = _Seen(agent, has_agent=has_agent, by_ssh=by_ssh)
    try:
        rung = waiting.until(
            seen.look,
            error=lambda _rung: seen.stopped(),
            timeout=timeout,
            longest_pause=PAUSE,
            what=f"guest {agent.vmid} answers ({f'{agent.rung} or SSH' if has_agent else 'SSH'})",
            tick=lambda _rung, elapsed: tick(elapsed),
        )
    except waiting.NotReady as problem:
        raise NotBooted(str(problem)) from None
    said = agent.run(dialect.evidence) if rung == agent.rung else seen.said
    since = time.monotonic() - powered
    boot_id, uptime = parse_evidence(said, dialect)
    if uptime > since + CLOCK_TOLERANCE:
        raise NotBooted(f"guest {agent.vmid} says it has been up for {uptime:.0f} s, {since:.0f} s after power-on")
    return Booted(rung, boot_id, uptime, since, agent=rung == agent.rung)


def parse_evidence(said: Ran, dialect: Dialect = POSIX) -> tuple[str, float]:
    """Boot id and uptime in seconds from what the evidence printed; NotBooted when it is something else."""
    try:
        return dialect.boot_of(said.stdout)
    except (IndexError, ValueError):
        raise NotBooted(f"the guest did not tell its boot id: {said.stderr or said.stdout!r}") from None


class _Seen:
    def __init__(self, agent: Insider, *, has_agent: bool, by_ssh: Callable[[], Ran | None]) -> None:
        self._agent, self._has_agent, self._by_ssh = agent, has_agent, by_ssh
        self._next_try, self._ssh_since = time.monotonic() + SSH_FROM, 0.0
        self.said = Ran(1, "")

    def look(self) -> str:
        if self._has_agent and self._agent.answers():
            return self._agent.rung
        now = time.monotonic()
        if self._has_agent and now < self._next_try:
            return ""
        self._next_try = now + SSH_EVERY
        said = self._by_ssh()
        if said is None or said.rc != 0:
            return ""
        self.said = said
        self._ssh_since = self._ssh_since or now
        return "ssh" if not self._has_agent or now - self._ssh_since > AGENT_GRACE else ""

    def stopped(self) -> str | None:
        status = self._agent.api.get(f"{self._agent.path}/status/current")
        return None if status.get("status") == "running" else f"the guest is {status.get('status')}"


def has_agent(config: dict[str, str]) -> bool:
    """Whether a configuration gives the guest an agent (``agent: 1`` or ``enabled=1``)."""
    value = config.get("agent", "0")
    return any(part in {"1", "enabled=1"} for part in value.split(","))


def require_own_disk(config: dict[str, str]) -> str:
    """The drive the guest boots from by its own configuration; Refused when that is no disk of its own."""
    disks = guestconfig.disks(config)
    order = guestconfig.properties(config.get("boot", "")).get("order", "")
    first = next((drive for drive in ("rootfs", *order.split(";")) if drive in disks), "") or next(iter(disks), "")
    if not first:
        raise Refused("the restored guest has no disk to boot from")
    return f"{first}: {disks[first]}"
