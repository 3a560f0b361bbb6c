"""What a named person stated about something that cannot be observed, and whether the statement still counts."""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection
from dataclasses import dataclass

from backup_standard.inventory.schema import Attestation, Inventory


@dataclass(frozen=True)
class Standing:
    """What the inventory's attestations say of one rule and subject: the one that counts, else why none does."""

    valid: Attestation | None = None
    why_not: str = ""


def look_up(inventory: Inventory, rule: str, subjects: Collection[str], today: dt.date) -> Standing:
    """The attestation of a rule for a subject, under any of the subject's names ("pve1/backup-hdd", "VM 210 (dns)").

    Of several in date the one that lasts longest counts.
    """
    meant = [one for one in inventory.attestations if one.rule == rule and one.subject in subjects]
    valid = [one for one in meant if one.date <= today <= one.until]
    if valid:
        return Standing(max(valid, key=lambda one: one.until))
    return Standing(why_not="; ".join(_why_not(one, today) for one in meant))


def _why_not(attestation: Attestation, today: dt.date) -> str:
    if attestation.until < today:
        return f"the attestation of {attestation.by} ended on {attestation.until.isoformat()}"
    return f"the attestation of {attestation.by} begins only on {attestation.date.isoformat()}"


def say(attestation: Attestation) -> str:
    """The statement with its author and its dates."""
    dates = f"on {attestation.date.isoformat()}, valid until {attestation.until.isoformat()}"
    return f"attested by {attestation.by} {dates}: {attestation.statement}"
