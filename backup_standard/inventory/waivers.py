"""Known departures from a rule, approved by a named person until a date, and whether such an approval still counts."""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection
from dataclasses import dataclass

from backup_standard.inventory.schema import Inventory, Waiver


@dataclass(frozen=True)
class Standing:
    """What the inventory's waivers say of one rule and subject: the one that counts, else why none does."""

    valid: Waiver | None = None
    why_not: str = ""


def look_up(inventory: Inventory, rule: str, subjects: Collection[str], today: dt.date) -> Standing:
    """The waiver of a rule for a subject, under any of the subject's names; ``expires`` is the last day of it."""
    meant = [one for one in inventory.waivers if one.rule == rule and one.subject in subjects]
    valid = [one for one in meant if today <= one.expires]
    if valid:
        return Standing(max(valid, key=lambda one: one.expires))
    return Standing(why_not="; ".join(f"the waiver of {_of(one)} expired on {one.expires}" for one in meant))


def say(waiver: Waiver) -> str:
    """The approval with its author, its date and its reason: ``by … until …: …``."""
    return f"by {_of(waiver)} until {waiver.expires.isoformat()}: {waiver.reason}"


def _of(waiver: Waiver) -> str:
    return waiver.approved_by.strip() or "nobody"
