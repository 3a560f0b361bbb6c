"""What is wrong with an inventory's waivers and attestations beside their form: what an audit would not count."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from zoneinfo import ZoneInfo

from backup_standard.inventory.document import Place
from backup_standard.inventory.schema import Attestation, Inventory, Waiver
from backup_standard.standard import RULES, Kind, near, speaks_of

Problem = tuple[Place, str]

LONGEST_WAIVER = dt.timedelta(days=366)
"""An approval is renewed at least once a year: longer ones are forgotten."""


def today_of(inventory: Inventory) -> dt.date:
    """Today, at the site."""
    return dt.datetime.now(ZoneInfo(inventory.site.timezone)).date()


def findings(inventory: Inventory, today: dt.date) -> Iterator[Problem]:
    """Everything wrong with waivers and attestations on that day, each with its place."""
    for number, waiver in enumerate(inventory.waivers):
        for key, text in in_waiver(waiver, inventory, today):
            yield ("waivers", number, key), text
    for number, attestation in enumerate(inventory.attestations):
        for key, text in in_attestation(attestation, inventory, today):
            yield ("attestations", number, key), text


def in_waiver(waiver: Waiver, inventory: Inventory, today: dt.date) -> Iterator[tuple[str, str]]:
    """Everything wrong with one waiver, by key."""
    yield from _target(waiver.rule, waiver.subject, inventory)
    if not waiver.reason.strip():
        yield "reason", "the reason is empty; say why the rule cannot be met until then"
    if not waiver.approved_by.strip():
        yield "approved_by", "the approver is missing; name the person who accepts this"
    if waiver.expires < today:
        yield "expires", f"the waiver expired on {waiver.expires}; remove it, or have it approved anew"
    elif waiver.expires > today + LONGEST_WAIVER:
        yield "expires", f"{waiver.expires} is more than a year off; have it approved for a year at most, and then anew"


def in_attestation(attestation: Attestation, inventory: Inventory, today: dt.date) -> Iterator[tuple[str, str]]:
    """Everything wrong with one attestation, by key."""
    yield from _target(attestation.rule, attestation.subject, inventory)
    if not attestation.statement.strip():
        yield "statement", "the statement is empty; say what was seen"
    if not attestation.by.strip():
        yield "by", "nobody attests this; name the person who looked"
    if attestation.until < today:
        yield "until", f"the attestation ended on {attestation.until}; look again and renew it, or remove it"


def _target(rule: str, subject: str, inventory: Inventory) -> Iterator[tuple[str, str]]:
    """What is wrong with a rule's id and with the subject that is meant."""
    if rule not in RULES:
        hint = f"did you mean {near(rule)}?" if near(rule) else f"they are {', '.join(sorted(RULES))}"
        yield "rule", f"there is no rule {rule!r}; {hint}"
        return
    kind = RULES[rule]
    if not speaks_of(rule, subject):
        yield "subject", f"{rule} judges {kind.plural}; write {subject_example(kind, inventory)}, not {subject!r}"
    elif kind is Kind.STORAGE and inventory.policy.storage not in subject.replace("/", " ").split():
        example = subject_example(kind, inventory)
        yield (
            "subject",
            f"{rule} judges the policy storage {inventory.policy.storage}; write {example}, not {subject!r}",
        )


def subject_example(kind: Kind, inventory: Inventory) -> str:
    """A subject of that kind as an inventory writes it."""
    examples = {
        Kind.GUEST: f'"{next(iter(inventory.guests), kind.example)}"',
        Kind.STORAGE: f"{next(iter(inventory.nodes), 'NODE')}/{inventory.policy.storage}",
        Kind.NODE: next(iter(inventory.nodes), kind.example),
    }
    return examples.get(kind, kind.example)
