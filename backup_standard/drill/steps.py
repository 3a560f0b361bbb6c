"""The steps of a drill, each as one function: it returns what was seen, or raises what was found wrong."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from backup_standard import waiting
from backup_standard.drill import boot, guestconfig, isolation, login, network, preflight, production, services
from backup_standard.drill import restore as restoring
from backup_standard.drill.agent import Agent
from backup_standard.drill.claims import Claims
from backup_standard.drill.door import SshDoor
from backup_standard.drill.gateway import Gateway
from backup_standard.drill.guard import Guard
from backup_standard.drill.plan import DrillPlan
from backup_standard.drill.ports import Ran, Session, Shell, Writer
from backup_standard.drill.preflight import Surroundings
from backup_standard.drill.progress import Event, Listener
from backup_standard.drill.record import DrillRecord, Phase
from backup_standard.drill.screen import Open
from backup_standard.errors import OperatorError, Refused
from backup_standard.hosts import SshClient
from backup_standard.hosts.guest import account_of
from backup_standard.quantities import say_duration, say_size

Observed = dict[str, Any]

RESTORE_TIMEOUT, LOGIN_TIMEOUT, NETWORK_TIMEOUT, SERVICES_TIMEOUT = 6 * 3600.0, 300.0, 120.0, 300.0
"""Seconds; generous, because a guest without hardware virtualisation is slow, and a failure is final."""


class Wrong(Exception):
    """A step found something wrong; ``observed`` is what it saw all the same."""

    def __init__(self, text: str, observed: Observed) -> None:
        super().__init__(text)
        self.observed = observed


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
    session: Session | None = None

    @property
    def vmid(self) -> int:
        """The guest that is, or will be, booted."""
        return self.restored.vmid if self.restored else self.plan.temporary_vmid

    @property
    def agent(self) -> Agent:
        """Its agent."""
        return Agent(self.tools.api, self.plan.node, self.vmid)

    def say(self, phase: str, text: str = "", percent: int | None = None) -> None:
        """Tell who watches; that nobody does any more (a closed terminal, a full disk) must not stop a drill."""
        elapsed = time.monotonic() - self.began
        with suppress(OSError):
            self.tools.listener(Event(self.plan.vmid, self.vmid, phase, text, elapsed, percent))

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


def restore(course: Course) -> Observed:
    """Check that the drill may begin, claim the VMID, restore with every override, look at what came out."""
    plan, tools, record = course.plan, course.tools, course.record
    course.say("preflight", str(plan))
    record.production_before = production.snapshot(tools.api, tools.guests)
    record.not_proven += production.unseen(record.production_before)
    seen: Observed = preflight.check(plan, tools.api, tools.surroundings, tools.shell)
    course.archived = restoring.read_archived(tools.api, plan)
    decided = restoring.decide(course.archived, plan, tools.run)
    record.neutralised = [*map(str, decided.changes), *(f"kept: {text}" for text in decided.kept)]
    tools.claims.claim(plan.temporary_vmid, source=plan.vmid, node=plan.node)
    with course.phase("restore") as phase:
        course.restored = done = restoring.restore(
            tools.api, tools.claims, plan, decided, timeout=RESTORE_TIMEOUT,
            percent=lambda percent: course.say("restore", percent=percent),
        )  # fmt: skip
        record.bytes = done.bytes
        record.mb_per_s = round(done.bytes / 1e6 / done.seconds, 1) if done.bytes and done.seconds else None
        phase.update({"bytes": done.bytes, "mb_per_s": record.mb_per_s, "tasks": list(done.upids)})
    restoring.finish(tools.api, plan.node, done, decided)
    wrong = restoring.look(tools.api, plan.node, done, course.archived, decided)
    seen |= {
        "archive": plan.archive.volid if plan.archive else None,
        "temporary_vmid": done.vmid,
        "took": say_duration(round(done.seconds, 1)),
        "restored": say_size(done.bytes) if done.bytes else "unknown",
        "warnings": list(done.warnings),
    }
    if done.cloned_from:
        seen["cloned_from"] = done.cloned_from
    if wrong:
        raise Wrong(f"the restored guest is not what was asked for: {'; '.join(wrong)}", seen)
    return seen


def power_up(course: Course) -> Observed:
    """Prove the isolation, make the gateway, power on, and wait for the guest's own evidence."""
    plan, tools, record = course.plan, course.tools, course.record
    config = {key: str(value) for key, value in tools.api.get(f"/nodes/{plan.node}/qemu/{course.vmid}/config").items()}
    disk = boot.require_own_disk(config)
    record.isolation = isolation.prove(
        tools.api,
        tools.shell,
        node=plan.node,
        bridge=plan.bridge,
        vmid=course.vmid,
        reserved=tools.guard.ground.reserved,
    )
    with course.phase("boot") as phase:
        phase["disk"] = disk
        make_gateway(course)
        boot.power_on(tools.api, plan.node, course.vmid)
        if course.gateway:
            record.isolation["proven"].append(course.gateway.attach(guestconfig.cards(config)))
    with course.phase("agent") as phase:
        course.booted = up = boot.wait_until_up(
            course.agent,
            has_agent=boot.has_agent(config),
            by_ssh=lambda: _evidence_by_ssh(course),
            timeout=plan.settings.boot_timeout.total_seconds(),
            tick=lambda _elapsed: course.say("boot", "waiting for the guest's own evidence"),
        )
        phase.update({"answered": up.rung, "boot_id": up.boot_id, "uptime": up.uptime})
    if boot.has_agent(config) and not up.agent:
        record.not_proven.append("the guest agent, which the configuration announces, does not answer")
    return {"disk": disk, "answered": up.rung, "boot_id": up.boot_id, "after": say_duration(round(up.seconds, 1))}


def make_gateway(course: Course) -> None:
    """Make the drill gateway where the inventory gives an address and the node may be logged in to."""
    settings, tools = course.plan.settings, course.tools
    if tools.shell is None or settings.address is None:
        why = "no SSH to the node" if tools.shell is None else f"guests.{course.plan.vmid}.drill.address is not set"
        course.record.not_proven.append(f"login and network through a gateway: there is none ({why})")
        return
    course.gateway = Gateway.of(course.vmid, settings.address, settings.gateway, tools.shell, tools.guard)
    course.gateway.up()


def door_of(course: Course) -> SshDoor:
    """The guest's SSH server; Refused with what the inventory lacks."""
    settings, node, gateway = course.plan.settings.login, course.tools.node, course.gateway
    where = f"guests.{course.plan.vmid}.drill"
    if settings is None:
        raise Refused("the inventory declares no login", next_step=f"add {where}.login: {{user: …, key: file}}")
    if node is None or gateway is None:
        raise Refused("without a drill gateway nobody can log in", next_step=f"set nodes.*.ssh and {where}.address")
    key = settings.host_key
    if key is None and course.booted and course.booted.agent:
        key = course.agent.run(("cat", "/etc/ssh/ssh_host_ed25519_key.pub")).stdout.strip()
    if not key:
        raise Refused("the guest's host key is not known", next_step=f"set {where}.login.host_key")
    return SshDoor(node, gateway.namespace, gateway.guest_address, account_of(settings), key, settings.port)


def log_in(course: Course) -> Observed:
    """Log in as the named account, run a command, show that wrong credentials are refused."""
    with course.phase("login") as phase:
        course.session, seen = login.log_in(
            door_of(course), timeout=LOGIN_TIMEOUT, tick=lambda _elapsed: course.say("login", "waiting for SSH")
        )
        phase.update(seen)
    return seen


def check_network(course: Course) -> Observed:
    """Addresses as at home, traffic with the gateway both ways, production out of reach."""
    plan, tools, gateway = course.plan, course.tools, course.gateway
    if gateway is None or plan.settings.address is None:
        raise Refused("without a drill gateway the network cannot be shown")
    macs = tuple(card["macaddr"].lower() for card in _cards(course).values() if "macaddr" in card)
    expected = network.Expected(plan.settings.address, gateway.own_address, macs, plan.settings.interface)
    addresses = {vmid: address for vmid, address in tools.guests.items() if address}
    cards = tools.api.get(f"/nodes/{plan.node}/network")
    around = network.Production.around(cards, addresses, plan.settings.address)
    run = course.inside()
    with course.phase("network") as phase:
        phase["address"] = network.check_addresses(lambda: _interfaces(course), expected, timeout=NETWORK_TIMEOUT)
        phase.update(network.check_gateway(gateway.ping, run, expected, timeout=NETWORK_TIMEOUT))
        unreached = network.check_unreachable(run, around)
        phase["unreachable"] = unreached.tried
        course.record.not_proven += network.not_proven(phase, unreached)
        return dict(phase)


def check_services(course: Course) -> Observed:
    """Every declared service, and the time the recovery took until here."""
    plan, record = course.plan, course.record
    with course.phase("services") as phase:
        if plan.settings.services == "none":
            phase["services"] = f"none, because {plan.settings.services_reason}"
        else:
            phase["services"] = _declared(course, plan.settings.services)
    record.recovery_seconds = sum(step.seconds for step in record.steps.values()) + record.phases[-1].seconds
    seen = {**phase, "recovered_after": say_duration(round(record.recovery_seconds, 1))}
    if plan.rto and record.recovery_seconds > plan.rto.total_seconds():
        raise Wrong(f"recovery took {seen['recovered_after']}; the RTO is {say_duration(plan.rto)}", seen)
    return seen


def _declared(course: Course, checks: Sequence[Any]) -> dict[str, str]:
    if not checks:
        where = f"guests.{course.plan.vmid}.drill"
        raise Refused(
            "the inventory declares no services", next_step=f"list {where}.services, or services: none with a reason"
        )
    agent = course.agent.run if course.booted and course.booted.agent else None
    user = course.session.run if course.session else None
    door = door_of(course) if course.gateway else None
    found = services.check_all(
        checks, services.Probes(agent, user, door), timeout=SERVICES_TIMEOUT,
        tick=lambda what, _elapsed: course.say("services", f"waiting for {what}"),
    )  # fmt: skip
    wrong = [text for text in found.values() if text]
    if wrong:
        raise Wrong("; ".join(wrong), {"services": found})
    return dict.fromkeys(found, "ok")


def _cards(course: Course) -> dict[int, dict[str, str]]:
    config = course.tools.api.get(f"/nodes/{course.plan.node}/qemu/{course.vmid}/config")
    return guestconfig.cards({key: str(value) for key, value in config.items()})


def _interfaces(course: Course) -> dict[str, dict[str, Any]]:
    if course.booted and course.booted.agent:
        return course.agent.interfaces()
    return network.parse_ip_addr(course.inside()(("ip", "-j", "addr")).stdout)


def _evidence_by_ssh(course: Course) -> Ran | None:
    try:
        session = door_of(course).enter()
    except OperatorError:
        return None
    try:
        return session.run(boot.EVIDENCE)
    finally:
        session.close()
