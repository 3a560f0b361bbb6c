"""Verdicts in an operator's words, for the terminal and the report alike."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Mapping
from typing import Any

from backup_standard.evidence.verdicts import Outcome, Verdict

_WIDTH = 100
_UNSEEN = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")
"""Control characters but line feed and tab, what turns the direction of writing, halves of characters."""
_LABELS = {
    Outcome.UNKNOWN: "Unknown",
    Outcome.ERROR: "Error",
    Outcome.NOT_RUN: "Not run",
    Outcome.NOT_APPLICABLE: "Not applicable",
    Outcome.ADVISORY: "Advice",
    Outcome.ATTESTED: "Attested",
    Outcome.WAIVED: "Waived",
}
_COMMANDS = frozenset({
    "apt", "chronyc", "findmnt", "journalctl", "lsblk", "mount", "pct", "pvesh", "pvesm", "pveum", "qm", "rm",
    "smartctl", "systemctl", "timedatectl", "umount", "vzdump",
})  # fmt: skip


def shown(text: str) -> str:
    """Text that a terminal or a page shows and does not obey: names and notes come from guests."""
    return _UNSEEN.sub("\N{REPLACEMENT CHARACTER}", text)


def explain(verdict: Verdict) -> str:
    """A verdict in plain sentences: what is demanded, what was found, why it matters, the command that mends it."""
    parts = [
        ("Rule", f"{verdict.title} ({verdict.level}, {verdict.tag})"),
        (_LABELS.get(verdict.outcome, "Failed"), verdict.message),
        ("Why", verdict.rationale),
        ("Observed", say_observed(verdict.observed)),
    ]
    lines = [_paragraph(name, text) for name, text in parts if text]
    if verdict.remedy:
        lines.append("  Remedy:   " + verdict.remedy.replace("\n", "\n            "))
    return shown("\n".join(lines))


def say_observed(observed: Mapping[str, Any]) -> str:
    """What a rule noted, in a line."""
    return "; ".join(f"{name.replace('_', ' ')}: {say_value(value)}" for name, value in observed.items())


def say_value(value: Any) -> str:
    """One noted value as a person writes it."""
    if isinstance(value, Mapping):
        return ", ".join(f"{name} {say_value(inner)}" for name, inner in value.items()) or "none"
    if isinstance(value, list):
        return ", ".join(say_value(inner) for inner in value) or "none"
    if isinstance(value, bool):
        return "yes" if value else "no"
    return "none" if value is None or value == "" else str(value)


def is_command(line: str) -> bool:
    """Whether a remedy's line is a command to paste rather than a sentence."""
    return line.split(" ", 1)[0] in _COMMANDS


def _paragraph(name: str, text: str) -> str:
    """A labelled paragraph; lines of its own stay lines of their own."""
    label, indent = f"  {name + ':':<10}", " " * 12
    lines = [textwrap.fill(line, _WIDTH, initial_indent=indent, subsequent_indent=indent) for line in text.split("\n")]
    return label + "\n".join(lines)[len(label) :]
