"""``backup-standard diff``: what changed between two runs."""

from __future__ import annotations

import argparse
import textwrap
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

from backup_standard.cli.base import OK, Commands, command, say
from backup_standard.evidence.comparison import Comparison, Turned, compare
from backup_standard.evidence.folder import RunFolder
from backup_standard.evidence.recorded import open_run
from backup_standard.evidence.verdicts import Verdict

CHANGED, TROUBLE = 1, 2

_DIFF = """\
Compares two runs of one client, the earlier first, by their folders alone: verdicts that turned (worse ones first),
checks that only one of them has, and guests, backup jobs and storages that are new, gone or changed. Ages, sizes and
times that differ on every day are not changes.

  backup-standard diff reports/acme/20261117T081500Z-audit reports/acme/20261124T081500Z-audit

exit status: 0 nothing changed, 1 something did, 2 the runs cannot be compared
"""


def add_to(commands: Commands[argparse.ArgumentParser]) -> None:
    """The command."""
    diff = command(commands, "diff", _diff, help_text="say what changed between two runs", text=_DIFF, trouble=TROUBLE)
    diff.add_argument("before", type=Path, metavar="RUN", help="the earlier run's folder, as reports/CLIENT/RUN")
    diff.add_argument("after", type=Path, metavar="RUN", help="the later one's")


def _diff(arguments: argparse.Namespace) -> int:
    before, after = open_run(arguments.before), open_run(arguments.after)
    found = compare(before, after)
    for line in _lines(before, after, found):
        say(line)
    return OK if found.is_same else CHANGED


def _lines(before: RunFolder, after: RunFolder, found: Comparison) -> Iterator[str]:
    yield f"before  {before.id}  {before.run().get('verdict', 'the run did not end')}"
    yield f"after   {after.id}  {after.run().get('verdict', 'the run did not end')}"
    yield ""
    for turned in found.turned:
        yield from _turned(turned)
    yield from _only("new checks", found.new)
    yield from _only("gone checks", found.gone)
    for kind, changes in found.site.items():
        for change in changes:
            yield f"{kind:<9} {change}"
    for note in found.notes:
        yield f"note: {note}"
    yield _sum(found)


def _turned(turned: Turned) -> Iterator[str]:
    before, after = turned.before, turned.after
    word = "worse" if turned.is_worse else "better"
    yield f"{word:<9} {after.rule}  {after.subject}: {before.outcome} → {after.outcome}"
    yield from _message(after if turned.is_worse else before, "" if turned.is_worse else "was: ")


def _only(word: str, rows: Sequence[Verdict]) -> Iterator[str]:
    """Rows of one run only, by subject, those that are red in full."""
    for subject in dict.fromkeys(row.subject for row in rows):
        own = [row for row in rows if row.subject == subject]
        counts = Counter(str(row.outcome) for row in own)
        yield f"{word}: {subject}: {', '.join(f'{count} {outcome}' for outcome, count in counts.items())}"
        for row in own:
            if row.is_red and word.startswith("new"):
                yield f"          {row.rule}: {row.outcome}"
                yield from _message(row, "")


def _message(row: Verdict, before: str) -> Iterator[str]:
    for line in textwrap.wrap(before + " ".join(row.message.split()), 100) if row.message else ():
        yield f"          {line}"


def _sum(found: Comparison) -> str:
    worse = sum(one.is_worse for one in found.turned)
    parts = [
        (worse, "turned worse"),
        (len(found.turned) - worse, "turned better"),
        (len(found.new), "new"),
        (len(found.gone), "gone"),
    ]
    changed = ", ".join(f"{count} {what}" for count, what in parts if count) or "none turned"
    site = sum(map(len, found.site.values()))
    seen = f"; {site} change{'' if site == 1 else 's'} of guests, jobs and storages" if site else ""
    return f"{found.same} checks came to the same; {changed}{seen}"
