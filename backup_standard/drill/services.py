"""The guest's declared services, each checked where it is used: units and containers inside, ports from the gateway."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from backup_standard.drill import looks
from backup_standard.drill.dialect import Dialect, Run, said
from backup_standard.drill.dns import dns_failure
from backup_standard.drill.http import http_failure
from backup_standard.drill.ports import Ports
from backup_standard.drill.posix import POSIX
from backup_standard.errors import ConnectionFailed
from backup_standard.inventory.checks import CommandCheck, ServiceCheck, SqlCheck

UNREACHED = "the guest's ports are out of reach without a drill gateway"


@dataclass(frozen=True)
class Probes:
    """Ways to look at a guest: ``as_root`` through its agent, ``as_user`` over SSH, and its ports; None without one."""

    as_root: Run | None
    as_user: Run | None
    door: Ports | None
    dialect: Dialect = POSIX

    @property
    def inside(self) -> Run:
        """The strongest way to run a command in the guest."""
        run = self.as_root or self.as_user
        if run is None:
            raise ConnectionFailed("nothing runs commands in this guest: neither agent nor login")
        return run

    @property
    def ports(self) -> Ports:
        """The way to the guest's ports."""
        if self.door is None:
            raise ConnectionFailed(UNREACHED)
        return self.door


@dataclass(frozen=True)
class Finding:
    """What came of one declared service: ``wrong`` is empty when it is as declared, ``expected`` why it need not be."""

    wrong: str = ""
    expected: str = ""

    @property
    def fails(self) -> bool:
        """Whether this makes the row fail."""
        return bool(self.wrong) and not self.expected

    def __str__(self) -> str:
        if not self.wrong:
            return "ok"
        return f"{self.wrong} (expected under isolation: {self.expected})" if self.expected else self.wrong


def say(check: ServiceCheck) -> str:
    """A declared check in words."""
    if check.http:
        return f"http {check.http.url}"
    if check.dns:
        return f"dns {check.dns.name}"
    if check.sql:
        return f"{check.sql.client} {check.sql.query}"
    if command := check.as_command():
        return f"command {command.run}"
    key, value = next((key, value) for key, value in check if value is not None)
    return f"{key} {value}"


def failure(check: ServiceCheck, probes: Probes) -> str:
    """One look at one declared service: "" when it is as declared, else what is wrong."""
    try:
        return _look(check, probes)
    except looks.UNSEEN as problem:
        return looks.why(problem)


def _look(check: ServiceCheck, probes: Probes) -> str:
    if check.http or check.dns or check.port:
        return _from_outside(check, probes.ports)
    if check.unit:
        return _unit(check.unit, probes)
    if check.container:
        return _container(check.container, probes.inside)
    return _sql(check.sql, probes) if check.sql else _command(check.as_command(), probes)


def _from_outside(check: ServiceCheck, door: Ports) -> str:
    if check.http:
        return http_failure(check.http, door)
    if check.dns:
        return dns_failure(check.dns, door)
    return "" if door.is_open(check.port or 0) else f"port {check.port} does not answer"


def check_all(
    checks: Sequence[ServiceCheck], probes: Probes, *, timeout: float, tick: Callable[[str, float], None],
) -> dict[str, Finding]:  # fmt: skip
    """Wait for every declared service, then look once at those that may fail here; results in the declared order.

    ``timeout`` in seconds for all of them together; each is looked at once at least.
    """
    found, deadline = [Finding()] * len(checks), time.monotonic() + timeout
    for place, check in sorted(enumerate(checks), key=lambda one: bool(one[1].expected_under_isolation)):
        expected = check.expected_under_isolation or ""
        wrong = failure(check, probes) if expected else _wait(check, probes, deadline, tick)
        found[place] = Finding(wrong, expected)
    return dict(zip(looks.named(map(say, checks)), found, strict=True))


def _wait(check: ServiceCheck, probes: Probes, deadline: float, tick: Callable[[str, float], None]) -> str:
    left = deadline - time.monotonic()
    if left <= 0:
        return failure(check, probes)
    return looks.settle(
        lambda: failure(check, probes),
        ready=lambda wrong: wrong == "",
        timeout=left,
        what=say(check),
        tick=lambda _wrong, elapsed: tick(say(check), elapsed),
    )


def _unit(unit: str, probes: Probes) -> str:
    state = probes.dialect.unit_state(probes.inside, unit)
    return "" if state == "active" else f"unit {unit} is {state or 'not there'}"


def _container(name: str, run: Run) -> str:
    ran = run(("docker", "inspect", "--format", "{{.State.Status}}", name))
    state = ran.stdout.strip()
    return "" if ran.rc == 0 and state == "running" else f"container {name} is {state or 'not there'}"


def _command(command: CommandCheck | None, probes: Probes) -> str:
    if command is None:
        return "no check was declared"
    ran = probes.inside(probes.dialect.line(command.run))
    if ran.rc != command.status:
        return f"{command.run!r} ended with {ran.rc}: {(ran.stderr or ran.stdout).strip()[:200]}"
    if command.output is not None and command.output not in ran.stdout:
        return f"{command.run!r} printed {ran.stdout.strip()[:200]!r}, which does not contain {command.output!r}"
    return ""


def _sql(check: SqlCheck, probes: Probes) -> str:
    ran = probes.inside(probes.dialect.sql(check, as_root=probes.as_root is not None))
    if ran.rc != 0:
        return f"{check.client} failed: {said(ran)}"
    answer = ran.stdout.strip()
    return "" if answer == check.answer.strip() else f"{check.client} answers {answer[:200]!r}, not {check.answer!r}"
