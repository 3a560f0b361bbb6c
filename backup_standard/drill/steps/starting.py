"""Boot: the isolation is proven and the gateway made, then power-on, and the guest's own evidence."""

from __future__ import annotations

from backup_standard.drill import boot, guestconfig, isolation, names
from backup_standard.drill.course import Course, Observed
from backup_standard.drill.gateway import Gateway
from backup_standard.drill.ports import Ran
from backup_standard.drill.steps.access import door_of
from backup_standard.drill.steps.networking import cards_of
from backup_standard.errors import OperatorError
from backup_standard.quantities import say_duration


def power_up(course: Course) -> Observed:
    """Prove the isolation, make the gateway, power on, and wait for the guest's own evidence."""
    course.memory_to_boot()
    plan, tools, record = course.plan, course.tools, course.record
    config = guestconfig.texts(tools.api.get(f"{course.path}/config"))
    has_agent, inside = course.is_container or boot.has_agent(config), course.agent
    disk = boot.require_own_disk(config)
    record.isolation = isolation.prove(
        tools.api,
        tools.shell,
        node=plan.node,
        bridge=plan.bridge,
        vmid=course.vmid,
        reserved=tools.guard.ground.reserved,
        kind=plan.kind,
    )
    with course.phase("boot") as phase:
        phase["disk"] = disk
        make_gateway(course)
        powered = boot.power_on(tools.api, plan.node, course.vmid, plan.kind)
        if course.gateway:
            record.isolation["proven"].append(course.gateway.attach(guestconfig.cards(config)))
    with course.phase("agent") as phase:
        course.booted = up = boot.wait_until_up(
            inside,
            has_agent=has_agent,
            by_ssh=lambda: _evidence_by_ssh(course),
            powered=powered,
            timeout=plan.settings.boot_timeout.total_seconds(),
            tick=lambda _elapsed: course.say("boot", "waiting for the guest's own evidence"),
            dialect=course.dialect,
        )
        phase.update({"answered": up.rung, "boot_id": up.boot_id, "uptime": up.uptime})
    if has_agent and not up.agent:
        record.not_proven.append("the guest agent, which the configuration announces, does not answer")
    return {"disk": disk, "answered": up.rung, "boot_id": up.boot_id, "after": say_duration(round(up.seconds, 1))}


def make_gateway(course: Course) -> None:
    """Make the drill gateway where the inventory gives an address and the node may be logged in to.

    In an application group the gateway, and with it the network, is that of the first guest.
    """
    settings, tools = course.plan.settings, course.tools
    if tools.shell is None or settings.address is None:
        why = f"guests.{course.plan.vmid}.drill.address is not set"
        if tools.shell is None:
            off = "it is switched off: --no-gateway, or drill.gateway: false"
            why = "no SSH to the node" if tools.choices.gateway else off
        course.record.not_proven.append(f"login and network through a gateway: there is none ({why})")
        return
    if course.before and course.before[0].gateway:
        others = [names.guest_port(one.vmid, card, one.plan.kind) for one in course.before for card in cards_of(one)]
        course.gateway = course.before[0].gateway.shared_with(course.vmid, settings.address, course.plan.kind, others)
        return
    course.gateway = Gateway.of(
        course.vmid, settings.address, settings.gateway, tools.shell, tools.guard, kind=course.plan.kind
    )
    course.gateway.up()


def _evidence_by_ssh(course: Course) -> Ran | None:
    try:
        session = door_of(course).enter()
    except OperatorError:
        return None
    try:
        return session.run(course.dialect.evidence)
    finally:
        session.close()
