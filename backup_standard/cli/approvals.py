"""``backup-standard waive`` and ``attest``: what a person answers for, written into an inventory."""

from __future__ import annotations

import argparse
import datetime as dt
from collections.abc import Iterable
from pathlib import Path

from backup_standard.cli.base import OK, Commands, command, say
from backup_standard.errors import OperatorError
from backup_standard.inventory import edit, lint
from backup_standard.inventory.loader import load
from backup_standard.inventory.schema import Attestation, Waiver

_WAIVE = """\
Writes into an inventory that a named person accepts a departure from a rule until a day, at most a year off. Until then
the finding is "waived": not red, never counted as met, always shown. It masks that finding and nothing else; once the
rule holds again, the waiver itself fails the audit until it is removed.

SUBJECT is what the report shows beside the rule, or short: a VMID, NODE/STORAGE, a node, a job, a role, "the site".
An entry of the same rule and subject is replaced. Comments and everything else in the file stay as they are.

  backup-standard waive inventories/acme.yaml STO-08 pve1/backup-hdd --reason "larger disk comes in January" \\
      --approved-by "B. Boss" --expires 2027-01-31

exit status: 0 written, 1 nothing was written
"""

_ATTEST = """\
Writes into an inventory what a named person has looked at and no tool can see, such as the drives behind a RAID
controller. Until the day --until a rule that could not be decided is "attested": not red, never counted as met. A rule
that fails is not changed by it.

SUBJECT is what the report shows beside the rule, or short: a VMID, NODE/STORAGE, a node, a job, a role, "the site".
An entry of the same rule and subject is replaced. Comments and everything else in the file stay as they are.

  backup-standard attest inventories/acme.yaml STO-05 pve1/backup-hdd --statement "own drive in bay 4" \\
      --by "A. Admin" --until 2027-05-01

exit status: 0 written, 1 nothing was written
"""

_WRITTEN_AS = {"rule": "RULE", "subject": "SUBJECT"}
"""How the command line names a key, where it is not an option of that name."""


def add_to(commands: Commands[argparse.ArgumentParser]) -> None:
    """Both commands."""
    waive = command(commands, "waive", _waive, help_text="accept a finding until a date", text=_WAIVE)
    _target(waive)
    waive.add_argument("--reason", required=True, metavar="TEXT", help="why the rule cannot be met until then")
    waive.add_argument("--approved-by", required=True, metavar="NAME", help="who answers for it")
    waive.add_argument(
        "--expires", required=True, type=_date, metavar="DATE", help="the last day it counts, YYYY-MM-DD"
    )
    attest = command(commands, "attest", _attest, help_text="state what no tool can observe", text=_ATTEST)
    _target(attest)
    attest.add_argument("--statement", required=True, metavar="TEXT", help="what was seen")
    attest.add_argument("--by", required=True, metavar="NAME", help="who looked")
    attest.add_argument("--date", type=_date, metavar="DATE", help="when, YYYY-MM-DD (default: today at the site)")
    attest.add_argument("--until", required=True, type=_date, metavar="DATE", help="the last day it counts, YYYY-MM-DD")


def _target(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("inventory", type=Path, metavar="INVENTORY", help="for example inventories/acme.yaml")
    parser.add_argument("rule", metavar="RULE", help="the rule's id, for example STO-08")
    parser.add_argument("subject", metavar="SUBJECT", help="what the rule judges, for example 210 or pve1/backup-hdd")


def _date(text: str) -> dt.date:
    try:
        return dt.date.fromisoformat(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is not a date; write YYYY-MM-DD") from None


def _waive(arguments: argparse.Namespace) -> int:
    loaded = load(arguments.inventory)
    waiver = Waiver(
        rule=arguments.rule.upper(), subject=arguments.subject, reason=arguments.reason,
        approved_by=arguments.approved_by, expires=arguments.expires,
    )  # fmt: skip
    today = lint.today_of(loaded.inventory)
    _refuse(lint.in_waiver(waiver, loaded.inventory, today))
    written, replaced = edit.add(loaded, "waivers", waiver.model_dump())
    place = written.where("waivers", _number(written.inventory.waivers, waiver))
    until = f"until {waiver.expires} ({_days(waiver.expires - today)})"
    say(f"{place}: {waiver.rule} is waived for {waiver.subject} {until}")
    if replaced:
        say(f"  it replaces the waiver by {replaced['approved_by']} until {replaced['expires']}: {replaced['reason']}")
    return OK


def _attest(arguments: argparse.Namespace) -> int:
    loaded = load(arguments.inventory)
    today = lint.today_of(loaded.inventory)
    attestation = Attestation(
        rule=arguments.rule.upper(), subject=arguments.subject, statement=arguments.statement, by=arguments.by,
        date=arguments.date or today, until=arguments.until,
    )  # fmt: skip
    found = list(lint.in_attestation(attestation, loaded.inventory, today))
    if attestation.date > today:
        found.append(("date", f"{attestation.date} is not here yet; nobody has looked then"))
    _refuse(found)
    written, replaced = edit.add(loaded, "attestations", attestation.model_dump())
    place = written.where("attestations", _number(written.inventory.attestations, attestation))
    until = f"until {attestation.until} ({_days(attestation.until - today)})"
    say(f"{place}: {attestation.rule} is attested for {attestation.subject} {until}")
    if replaced:
        say(f"  it replaces the attestation by {replaced['by']} until {replaced['until']}: {replaced['statement']}")
    return OK


def _refuse(found: Iterable[tuple[str, str]]) -> None:
    """Raise an OperatorError that lists what is wrong by the command line's own words."""
    lines = [f"{_WRITTEN_AS.get(key, '--' + key.replace('_', '-'))}: {text}" for key, text in found]
    if lines:
        raise OperatorError("\n".join(lines), next_step="nothing was written; mend that and try again")


def _number(entries: Iterable[Waiver | Attestation], meant: Waiver | Attestation) -> int:
    return next(number for number, one in enumerate(entries) if one == meant)


def _days(span: dt.timedelta) -> str:
    return f"{span.days} day{'' if span.days == 1 else 's'} from today"
