"""The table of what was seeded and what an audit made of it, gathered from the tests' own reports."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from backup_standard.evidence.detection import SCHEMA, Case, Detection, made_with

KEY = "violation"
"""The name under which a case's line travels in a report's user properties."""
NOT_JUDGED: Mapping[str, list[str]] = {"not judged": []}
"""What a case shows whose audit did not come about: it counts, as wrong."""


def line(name: str, *, where: str, expected: Iterable[str], found: Iterable[str], healthy: bool) -> dict[str, Any]:
    """A case as the table holds it."""
    wanted, seen = sorted(expected), sorted(found)
    return {
        "name": name,
        "kind": "healthy" if healthy else "violation",
        "where": where,
        "expected": wanted,
        "found": seen,
        "ok": wanted == seen,
    }


def lines_in(reports: Iterable[Any]) -> list[dict[str, Any]]:
    """The lines that tests carried; a test that failed otherwise does not count as right."""
    found = []
    for report in reports:
        for key, value in getattr(report, "user_properties", ()):
            if key == KEY and getattr(report, "when", "") == "call":
                found.append({**value, "ok": value["ok"] and report.passed})
    return found


def said(lines: Sequence[Mapping[str, Any]]) -> list[str]:
    """The table in words: a line a case, and what of each kind came out right."""
    rows = [
        f"{'ok ' if one['ok'] else 'NOT'}  {one['where']:<7}{one['name']:<46}{', '.join(one['found']) or 'nothing'}"
        for one in lines
    ]
    return [*rows, Detection("", tuple(Case(**one) for one in lines)).headline]


def write(lines: Sequence[Mapping[str, Any]], path: Path, root: Path) -> None:
    """Keep the table for a report: ``pytest --inventory … --detection FILE``."""
    path.parent.mkdir(parents=True, exist_ok=True)
    taken = dt.datetime.now(dt.UTC).isoformat(timespec="seconds")
    table = {"schema": SCHEMA, "taken": taken, "made_with": made_with(root), "cases": list(lines)}
    path.write_text(json.dumps(table, indent=1) + "\n", encoding="utf-8")
