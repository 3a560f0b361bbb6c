"""``backup-standard standard``: the catalogue of rules, and what the audit needs on a site."""

from __future__ import annotations

import argparse
import textwrap
from collections.abc import Iterator
from pathlib import Path

from backup_standard.cli import pages, tokens
from backup_standard.cli.base import OK, Commands, command, say
from backup_standard.cli.catalogue import CHAPTERS, catalogue, chapter_of, remedy_of
from backup_standard.collect import sudoers
from backup_standard.errors import OperatorError
from backup_standard.inventory.loader import load
from backup_standard.inventory.schema import Inventory
from backup_standard.standard.privileges import RELEASES, Release
from backup_standard.standard.wording import Rule

_TEXT = """\
Prints every rule of the standard: id, level (must or should), tag (minimum, standard, or added beyond the policy), what
it demands, why, and what to do where it fails.

With one of the options, what a site has to give: the commands for the audit token, for the drill token, or the sudoers
file of an account on the nodes that is not root. --inventory puts a client's own names in.

Connects to nothing and changes nothing.
"""


def add_to(commands: Commands[argparse.ArgumentParser]) -> None:
    """The command."""
    made = command(
        commands, "standard", _standard, help_text="print the rules, and what tokens and nodes need", text=_TEXT
    )
    what = made.add_mutually_exclusive_group()
    what.add_argument("--token", action="store_true", help="the commands for the audit token")
    what.add_argument("--drill-token", action="store_true", help="the commands for the drill token")
    what.add_argument("--sudoers", action="store_true", help="the sudoers file for the audit's account on the nodes")
    what.add_argument(
        "--markdown",
        nargs="?",
        const="standard",
        choices=sorted(pages.PAGES),
        metavar="PAGE",
        help="a page of docs/ (%(choices)s; default: standard)",
    )
    made.add_argument(
        "--pve",
        type=int,
        choices=[major for major, _ in RELEASES],
        default=RELEASES[-1][0],
        help="the release that tokens are for (default: %(default)s)",
    )
    made.add_argument("--inventory", type=Path, metavar="FILE", help="put this client's names in")


def _standard(arguments: argparse.Namespace) -> int:
    inventory = load(arguments.inventory).inventory if arguments.inventory else None
    say(_page(arguments, inventory, (arguments.pve, 99)))
    return OK


def _page(arguments: argparse.Namespace, inventory: Inventory | None, release: Release) -> str:
    if arguments.token:
        return tokens.audit_token(release, inventory)
    if arguments.drill_token:
        return tokens.drill_token(release, inventory)
    if arguments.sudoers:
        return _sudoers(_account(inventory))
    if arguments.markdown:
        return pages.page(arguments.markdown)
    return "\n".join(_lines(catalogue(), inventory))


def _sudoers(account: str) -> str:
    try:
        return sudoers.sudoers(account).rstrip()
    except ValueError as problem:
        raise OperatorError(str(problem), where="nodes", next_step="use small letters, digits, - and _") from None


def _account(inventory: Inventory | None) -> str:
    """The first account of the inventory that is not root."""
    accounts = (section.ssh.partition("@")[0] for section in inventory.nodes.values()) if inventory else ()
    return next((account for account in accounts if account != "root"), sudoers.ACCOUNT)


def _lines(rules: tuple[Rule, ...], inventory: Inventory | None) -> Iterator[str]:
    chapter = ""
    for rule in rules:
        if chapter_of(rule) != chapter:
            yield from ("",) if chapter else ()
            chapter = chapter_of(rule)
            yield f"{CHAPTERS[chapter].upper()}"
        yield ""
        yield f"{rule.id}  {rule.level}, {rule.tag}"
        yield from _indented(f"{rule.title}.")
        yield from _indented(f"Why: {rule.rationale}")
        remedy = remedy_of(rule, inventory)
        if remedy:
            yield "    Remedy:"
            yield from textwrap.indent(remedy, "      ").splitlines()


def _indented(text: str) -> list[str]:
    return textwrap.wrap(text, 110, initial_indent="    ", subsequent_indent="    ", break_on_hyphens=False)
