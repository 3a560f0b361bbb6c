"""``backup-standard inventory check`` and ``schema``."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from backup_standard.cli.base import OK, Commands, command, say
from backup_standard.errors import SecretError
from backup_standard.inventory.lint import today_of
from backup_standard.inventory.loader import Loaded, check_statements, load
from backup_standard.inventory.schema import json_schema
from backup_standard.inventory.secrets import resolve

_CHECK = """\
Reads the inventory and lists everything that is wrong with it, each with file, line and cure; also waivers and
attestations that would not count: of an unknown rule, of a subject that the rule does not judge, ended, without the
name of who is responsible, or waiving for more than a year.

Connects to nothing. References to secrets that lead nowhere on this machine are noted, not counted as wrong:
the machine that audits may be another one. Commands (cmd:) are not run.

exit status: 0 the inventory is sound, 1 it is not
"""

_SCHEMA = """\
Prints the inventory's JSON Schema: editors use it to complete and check inventories while they are written.

  backup-standard inventory schema > inventories/schema.json
"""


def add_to(commands: Commands[argparse.ArgumentParser]) -> None:
    """Both commands."""
    check = command(commands, "check", _check, help_text="list everything that is wrong with an inventory", text=_CHECK)
    check.add_argument("file", type=Path, metavar="FILE", help="the inventory, for example inventories/acme.yaml")
    command(commands, "schema", _schema, help_text="print the JSON Schema of inventories", text=_SCHEMA)


def _check(arguments: argparse.Namespace) -> int:
    loaded = load(arguments.file)
    check_statements(loaded, today_of(loaded.inventory))
    say(_summary(loaded))
    for note in _unresolved(loaded):
        say(f"note: {note}")
    return OK


def _summary(loaded: Loaded) -> str:
    inventory = loaded.inventory
    drilled = [str(vmid) for vmid, guest in inventory.guests.items() if guest.drill]
    return (
        f"{loaded.path} is sound: client {inventory.client} ({inventory.class_}), {len(inventory.guests)} guests, "
        f"{len(inventory.mandatory())} of them mandatory, drills for {', '.join(drilled) or 'none'}"
    )


def _unresolved(loaded: Loaded) -> list[str]:
    """What is wrong with references to secrets on this machine; commands are left alone."""
    api = loaded.inventory.api
    references = [(token.secret, token.where) for token in (api.audit_token, api.drill_token) if token]
    references += [
        (guest.drill.login.password, guest.drill.login.where)
        for guest in loaded.inventory.guests.values()
        if guest.drill and guest.drill.login and guest.drill.login.password
    ]
    notes = []
    for reference, where in references:
        if reference.startswith("cmd:"):
            continue
        try:
            resolve(reference, where=where)
        except SecretError as problem:
            notes.append(str(problem))
    return notes


def _schema(_arguments: argparse.Namespace) -> int:
    say(json.dumps(json_schema(), indent=2, ensure_ascii=False))
    return OK
