"""``journalctl`` over a list of entries."""

from __future__ import annotations

import bisect
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from zoneinfo import ZoneInfo

from lab.hypervisor import CommandResult
from lab.scripted.shell import Context, Program, fail, not_scripted, ok
from lab.scripted.units import JournalEntry, render

FORMS = {"json", "cat", "short", "short-iso"}
SHORT = {
    "-t": "--identifier",
    "-u": "--unit",
    "-o": "--output",
    "-n": "--lines",
    "-p": "--priority",
    "-S": "--since",
    "-U": "--until",
    "-r": "--reverse",
}
DAYS = re.compile(r"-\d+d")
PRIORITIES = ("emerg", "alert", "crit", "err", "warning", "notice", "info", "debug")
FLAGS = {"--reverse", "--no-pager", "--quiet", "-q", "--utc", "--all", "-a", "--system", "--no-hostname"}


@dataclass
class Query:
    """What a command line asks of the journal."""

    identifiers: set[str] = field(default_factory=set)
    units: set[str] = field(default_factory=set)
    since: float = 0.0
    until: float = float("inf")
    lines: int | None = None
    form: str = "short"
    reverse: bool = False
    priority: int = 7
    transport: str = ""

    def select(self, entries: Sequence[JournalEntry]) -> list[JournalEntry]:
        """Return the entries asked for, in the order asked for."""
        names = self.identifiers | self.units
        found = [
            entry
            for entry in entries
            if self.since <= entry.when <= self.until
            and entry.priority <= self.priority
            and (not names or entry.identifier in names)
            and self.transport in {"", entry.transport}
        ]
        if self.lines is not None:
            found = found[-self.lines :] if self.lines else []
        return found[::-1] if self.reverse else found


class Journal:
    """The journal of a machine, in the order of time."""

    def __init__(self) -> None:
        self.entries: list[JournalEntry] = []

    def add(self, entry: JournalEntry) -> None:
        """Add an entry at its time."""
        bisect.insort(self.entries, entry, key=lambda known: known.when)

    def program(self) -> Program:
        """Return ``journalctl``."""

        def journalctl(context: Context, arguments: list[str]) -> CommandResult:
            query = _parse(context, arguments)
            if query.form not in FORMS:
                return fail(1, f"Unknown output format: {query.form}")
            found = query.select(list(self.entries))
            if not found and query.form != "json":
                return ok("-- No entries --\n")
            return ok(render(context.host, found, query.form))

        return journalctl


def _parse(context: Context, arguments: list[str]) -> Query:
    query, rest = Query(), list(arguments)
    while rest:
        option, joined, value = rest.pop(0).partition("=")
        option = SHORT.get(option, option)
        if option == "_TRANSPORT":
            query.transport = value
            continue
        if option in FLAGS:
            query.reverse |= option == "--reverse"
            continue
        if not joined and not rest:
            raise not_scripted(["journalctl", *arguments])
        if not _take(context, query, option, value if joined else rest.pop(0)):
            raise not_scripted(["journalctl", *arguments])
    return query


def _take(context: Context, query: Query, option: str, value: str) -> bool:
    """Take one option with its value; False when it is not known."""
    if option == "--identifier":
        query.identifiers.add(value)
    elif option == "--unit":
        query.units.add(value.removesuffix(".service"))
    elif option in {"--since", "--until"}:
        setattr(query, option[2:], _moment(context, value))
    elif option == "--lines":
        query.lines = int(value)
    elif option == "--output":
        query.form = value
    elif option == "--priority":
        query.priority = PRIORITIES.index(value) if value in PRIORITIES else int(value)
    else:
        return option == "--output-fields"  # every field is printed anyway
    return True


def _moment(context: Context, text: str) -> float:
    if text.startswith("@"):
        return float(text[1:])
    if DAYS.fullmatch(text):
        return context.host.clock() - 86400 * int(text[1:-1])
    zone = ZoneInfo(context.host.zone)
    return datetime.fromisoformat(text).replace(tzinfo=zone).timestamp()
