"""The command ``backup-standard``: what is done beside the audit and the drills, which are pytest runs."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence

from backup_standard.cli import approvals, check, diff, init, standard
from backup_standard.cli.base import Commands, command, say
from backup_standard.drill import reap
from backup_standard.errors import OperatorError

_EPILOG = """\
audits and drills are pytest runs:
  pytest --inventory inventories/CLIENT.yaml           audit: read-only
  pytest drills --inventory inventories/CLIENT.yaml    restore drills: into reserved VMIDs, deleted afterwards

a first inventory:
  backup-standard inventory init --help                 drafts one from the site; or copy inventories/example.yaml
  backup-standard inventory check inventories/CLIENT.yaml
"""

_REAP = """\
Finds what drills that were killed left on the site, by the claims in their run folders, and removes it: temporary
guests with their disks, network namespaces and bridges on the node. What does not bear a drill's mark is never touched.

exit status: 0 nothing remains, 10 something does, 1 the site could not be reached
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; returns its exit status. What an operator can mend is printed without a traceback."""
    arguments = parser().parse_args(argv)
    run: Callable[[argparse.Namespace], int] = arguments.run
    try:
        return run(arguments)
    except OperatorError as problem:
        print(problem, file=sys.stderr)  # noqa: T201 - this is a command
        return int(arguments.trouble)


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
    approvals.add_to(commands)
    diff.add_to(commands)
    standard.add_to(commands)
    reaper = command(commands, "reap", _reap, help_text="find and remove what killed drills left behind", text=_REAP)
    reap.add_arguments(reaper)
    return top


def _inventory_commands(commands: Commands[argparse.ArgumentParser]) -> None:
    inventory = commands.add_parser(
        "inventory", help="draft an inventory from a site, check it; print the schema for editors"
    )
    inner = inventory.add_subparsers(title="commands", metavar="COMMAND", required=True)
    init.add_to(inner)
    check.add_to(inner)


def _reap(arguments: argparse.Namespace) -> int:
    return reap.run(arguments, say)
