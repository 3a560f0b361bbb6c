"""Guests that are one application together: drilled on one isolated network, in order, and then as a whole."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Annotated

from pydantic import AfterValidator, Field, model_validator

from backup_standard.inventory.checks import CommandCheck
from backup_standard.inventory.fields import Strict, Vmid

if TYPE_CHECKING:
    from backup_standard.inventory.schema import GuestSection, Inventory

Problem = tuple[tuple[str | int, ...], str]


def _endpoint(value: str) -> str:
    host, colon, port = value.rpartition(":")
    try:
        address = ipaddress.ip_address(host.strip("[]"))
        whole = bool(colon) and 1 <= int(port) <= 65535  # noqa: PLR2004 - the highest port
    except ValueError:
        whole = False
    if not whole:
        raise ValueError(f"{value!r} is not ADDRESS:PORT, for example 10.0.0.20:5432")
    return f"{address}:{port}" if address.version == 4 else f"[{address}]:{port}"  # noqa: PLR2004 - the version's number


class EndToEndCheck(Strict):
    """Something that one guest of a group does with another; exactly one of ``command``, ``connect`` and ``url``."""

    guest: Vmid = Field(description="the guest, by its VMID in production, that does it")
    command: str | CommandCheck | None = Field(default=None, description="a line for its shell, as under services")
    connect: Annotated[str, AfterValidator(_endpoint)] | None = Field(
        default=None, description="ADDRESS:PORT that accepts a TCP connection of it"
    )
    url: str | None = Field(default=None, description="address that its curl reads without an error")
    body: str | None = Field(default=None, description="text in what the url yields")

    @model_validator(mode="after")
    def _exactly_one(self) -> EndToEndCheck:
        if sum(one is not None for one in (self.command, self.connect, self.url)) != 1:
            raise ValueError("an end-to-end check has exactly one of command, connect, url")
        if self.body is not None and self.url is None:
            raise ValueError("body is what a url yields; it stands beside url")
        return self


class GroupSection(Strict):
    """An application group: its guests in the order in which they are brought up, and what proves the whole."""

    guests: list[Vmid] = Field(
        min_length=2, description="by VMID in production; each waits for the services of those before"
    )
    checks: list[EndToEndCheck] = Field(min_length=1, description="end-to-end checks, once all are up")


def contradictions(inventory: Inventory) -> Iterator[Problem]:
    """Every place where a group contradicts the guests it names or another group."""
    owner: dict[int, str] = {}
    for name, group in inventory.groups.items():
        place = ("groups", name, "guests")
        for number, vmid in enumerate(group.guests):
            if vmid in owner:
                yield (*place, number), f"{vmid} is already in group {owner[vmid]}; a guest is in one group, once"
            owner.setdefault(vmid, name)
            if problem := _not_drilled(inventory.guests, vmid):
                yield (*place, number), problem
        if text := _networks_differ(inventory.guests, group):
            yield place, text
        for number, check in enumerate(group.checks):
            if check.guest not in group.guests:
                yield ("groups", name, "checks", number, "guest"), f"{check.guest} is not a guest of this group"


def _not_drilled(guests: Mapping[int, GuestSection], vmid: int) -> str:
    section = guests.get(vmid)
    if section is None:
        return f"there is no guest {vmid} in this inventory"
    if section.drill is None or section.drill.address is None:
        return f"guest {vmid} needs drill: with its address to be drilled in a group"
    return ""


def _networks_differ(guests: Mapping[int, GuestSection], group: GroupSection) -> str:
    found = set()
    for vmid in group.guests:
        drill = guests[vmid].drill if vmid in guests else None
        if drill and drill.address:
            found.add((str(ipaddress.ip_interface(drill.address).network), drill.gateway))
    if len(found) > 1:
        return "the guests of a group share one network and one gateway, and these do not"
    return ""
