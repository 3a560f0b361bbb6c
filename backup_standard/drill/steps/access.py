"""Login: the door to the restored guest, opened as the inventory says and tried with what nobody has."""

from __future__ import annotations

from backup_standard.drill import login, throwaway
from backup_standard.drill.agent_door import AgentDoor
from backup_standard.drill.course import LOGIN_TIMEOUT, Course, Observed, Unproven
from backup_standard.drill.door import GatewayPorts, SshDoor
from backup_standard.drill.ports import Door, Ports
from backup_standard.drill.windows import WINDOWS
from backup_standard.errors import Refused
from backup_standard.hosts.guest import account_of
from backup_standard.hosts.ssh import Account
from backup_standard.inventory.drills import Login

OWN_CREDENTIAL = "that a credential of the client's own opens the account {}: the drill brought a throw-away key"


def ports_of(course: Course) -> Ports | None:
    """The guest's ports, where a drill gateway leads to them."""
    if course.gateway is None or course.tools.node is None:
        return None
    return GatewayPorts(course.tools.node, course.gateway.namespace, course.gateway.guest_address)


def way_in(course: Course) -> Door:
    """How the inventory says to log in: the SSH server, or for Windows the agent; Refused with what is lacking."""
    settings = course.plan.settings.login
    if settings is None or settings.through == "ssh":
        return door_of(course)
    where = f"guests.{course.plan.vmid}.drill.login"
    password = account_of(settings).password
    if course.dialect is not WINDOWS or password is None:
        raise Refused(
            f"{where}.through: agent is for Windows guests, and the archive says ostype "
            f"{course.archived.get('ostype', '(unset)')}",
            next_step=f"log in over SSH: take {where}.through out",
        )
    if not (course.booted and course.booted.agent):
        raise Refused("the guest agent does not answer, so nobody can log in through it")
    return AgentDoor(course.agent, settings.user, password)


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
        key = course.agent.run(course.dialect.host_key).stdout.strip()
    if not key:
        raise Refused("the guest's host key is not known", next_step=f"set {where}.login.host_key")
    return SshDoor(node, gateway.namespace, gateway.guest_address, _account(course, settings), key, settings.port)


def _account(course: Course, settings: Login) -> Account:
    """The inventory's account; where it asks for a throw-away key, that is put into the copy once somebody can."""
    if not settings.throwaway_key:
        return account_of(settings)
    where = f"guests.{course.plan.vmid}.drill.login"
    if course.dialect is WINDOWS:
        raise Refused("a throw-away key is for Linux guests", next_step=f"give {where} a key or a password")
    if not (course.booted and course.booted.agent):
        raise Refused("the guest agent does not answer, so no throw-away key can be put into the copy")
    if course.throwaway is None:
        course.throwaway = throwaway.give(course.agent.run, settings.user)
    return Account(settings.user, held=course.throwaway)


def log_in(course: Course) -> Observed:
    """Log in as the named account, run a command, show that wrong credentials are refused."""
    settings = course.plan.settings.login
    if not course.tools.choices.gateway and (settings is None or settings.through == "ssh"):
        raise Unproven("a login: without a drill gateway (--no-gateway) nobody reaches the guest's SSH server")
    with course.phase("login") as phase:
        course.session, seen = login.log_in(
            way_in(course), timeout=LOGIN_TIMEOUT, tick=lambda _elapsed: course.say("login", "waiting for SSH"),
            dialect=course.dialect,
        )  # fmt: skip
        phase.update(seen)
    if course.throwaway is not None:
        course.record.not_proven.append(OWN_CREDENTIAL.format(settings.user if settings else ""))
    return seen
