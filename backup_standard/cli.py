"""The command ``backup-standard``: what is done beside the audit and the drills, which are pytest runs."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from backup_standard.drill import reap
from backup_standard.errors import OperatorError, SecretError
from backup_standard.inventory.loader import Loaded, load
from backup_standard.inventory.schema import json_schema
from backup_standard.inventory.secrets import resolve

OK = 0
TROUBLE = 1

_EPILOG = """\
audits and drills are pytest runs:
  pytest --inventory inventories/CLIENT.yaml           audit: read-only
  pytest drills --inventory inventories/CLIENT.yaml    restore drills: into reserved VMIDs, deleted afterwards

a first inventory:
  cp inventories/example.yaml inventories/CLIENT.yaml
  backup-standard inventory check inventories/CLIENT.yaml
"""

_CHECK = """\
Reads the inventory and lists everything that is wrong with it, each with file, line and cure.
Connects to nothing. References to secrets that lead nowhere on this machine are noted, not counted as wrong:
the machine that audits may be another one. Commands (cmd:) are not run.

exit status: 0 the inventory is sound, 1 it is not
"""

_REAP = """\
Finds what drills that were killed left on the site, by the claims in their run folders, and removes it: temporary
guests with their disks, network namespaces and bridges on the node. What does not bear a drill's mark is never touched.

exit status: 0 nothing remains, 10 something does, 1 the site could not be reached
"""

_SCHEMA = """\
Prints the inventory's JSON Schema: editors use it to complete and check inventories while they are written.

  backup-standard inventory schema > inventories/schema.json
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; returns its exit status. What an operator can mend is printed without a traceback."""
    arguments = parser().parse_args(argv)
    run: Callable[[argparse.Namespace], int] = arguments.run
    try:
        return run(arguments)
    except OperatorError as problem:
        print(problem, file=sys.stderr)  # noqa: T201 - this is a command
        return TROUBLE


def parser() -> argparse.ArgumentParser:
    """Every command and option."""
    top = argparse.ArgumentParser(
        prog="backup-standard",
        description="Proves that Proxmox VE backups follow the policy and restore.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = top.add_subparsers(title="commands", metavar="COMMAND", required=True)
    _inventory_commands(commands)
    reaper = _command(commands, "reap", _reap, help_text="find and remove what killed drills left behind", text=_REAP)
    reap.add_arguments(reaper)
    return top


def _inventory_commands(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    inventory = commands.add_parser("inventory", help="check an inventory; print its schema for editors")
    inner = inventory.add_subparsers(title="commands", metavar="COMMAND", required=True)
    check = _command(inner, "check", _check, help_text="list everything that is wrong with an inventory", text=_CHECK)
    check.add_argument("file", type=Path, metavar="FILE", help="the inventory, for example inventories/acme.yaml")
    _command(inner, "schema", _schema, help_text="print the JSON Schema of inventories", text=_SCHEMA)


def _command(
    commands: argparse._SubParsersAction[argparse.ArgumentParser],
    name: str,
    run: Callable[[argparse.Namespace], int],
    *,
    help_text: str,
    text: str,
) -> argparse.ArgumentParser:
    """One command with the function that runs it."""
    command = commands.add_parser(
        name, help=help_text, description=text, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    command.set_defaults(run=run)
    return command


def _check(arguments: argparse.Namespace) -> int:
    loaded = load(arguments.file)
    _say(_summary(loaded))
    for note in _unresolved(loaded):
        _say(f"note: {note}")
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
    _say(json.dumps(json_schema(), indent=2, ensure_ascii=False))
    return OK


def _reap(arguments: argparse.Namespace) -> int:
    return reap.run(arguments, _say)


def _say(text: str) -> None:
    print(text)  # noqa: T201 - this is a command


if __name__ == "__main__":
    sys.exit(main())
