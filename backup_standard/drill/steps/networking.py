"""Network: the restored guest's addresses, its gateway, and production out of reach."""

from __future__ import annotations

from typing import Any

from backup_standard.drill import guestconfig, network
from backup_standard.drill.container import ContainerShell
from backup_standard.drill.course import NETWORK_TIMEOUT, Course, Observed
from backup_standard.errors import Refused


def check_network(course: Course) -> Observed:
    """Addresses as at home, traffic with the gateway both ways, production out of reach."""
    plan, tools, gateway = course.plan, course.tools, course.gateway
    if plan.settings.address is None or (gateway is None and tools.choices.gateway):
        raise Refused("without a drill gateway the network cannot be shown")
    macs = tuple(card["macaddr"].lower() for card in cards_of(course).values() if "macaddr" in card)
    own = gateway.own_address if gateway else ""
    expected = network.Expected(plan.settings.address, own, macs, plan.settings.interface)
    neighbours = {one.plan.vmid for one in course.before}
    addresses = {vmid: address for vmid, address in tools.guests.items() if address and vmid not in neighbours}
    cards = tools.api.get(f"/nodes/{plan.node}/network")
    around = network.Production.around(cards, addresses, plan.settings.address)
    run = course.inside()
    with course.phase("network") as phase:
        phase["address"] = network.check_addresses(lambda: _interfaces(course), expected, timeout=NETWORK_TIMEOUT)
        if gateway:
            ping = gateway.ping
            phase.update(network.check_gateway(ping, run, expected, timeout=NETWORK_TIMEOUT, dialect=course.dialect))
        else:
            phase["not_proven"] = "that guest and gateway exchange traffic: there is no drill gateway (--no-gateway)"
        unreached = network.check_unreachable(run, around, course.dialect, by_node=_by_node(course))
        phase["unreachable"] = unreached.tried
        if gateway:
            phase["still_alone"] = gateway.prove_alone(cards_of(course))
        course.record.not_proven += network.not_proven(phase, unreached)
        return dict(phase)


def _by_node(course: Course) -> network.Connects | None:
    """Ports tried by the node in a container's network; None where that does not reach the container's own SSH server.

    The container has let somebody in there, so a way that does not come to it shows nothing of other ports either.
    """
    login, inside = course.plan.settings.login, course.agent if course.is_container else None
    if not isinstance(inside, ContainerShell) or login is None or course.gateway is None or course.session is None:
        return None
    return inside.connects if inside.connects(course.gateway.guest_address, login.port) else None


def cards_of(course: Course) -> dict[int, dict[str, str]]:
    """The network cards of the copy, by number."""
    return guestconfig.cards(guestconfig.texts(course.tools.api.get(f"{course.path}/config")))


def _interfaces(course: Course) -> dict[str, dict[str, Any]]:
    if course.booted and course.booted.agent:
        return course.agent.interfaces()
    return network.parse_ip_addr(course.inside()(("ip", "-j", "addr")).stdout)
