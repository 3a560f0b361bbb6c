"""The report's part about the rules themselves: which seeded violations they detect, which healthy sites they spare."""

from __future__ import annotations

from pathlib import Path

from backup_standard.evidence import detection
from backup_standard.evidence.detection import Case
from backup_standard.report.fragments import badge, moment, table, text

_KINDS = {"violation": "seeded violation", "healthy": "healthy variant"}
_WHERE = {"memory": "the lab's site in memory", "node": "a node of the lab that really runs"}


def overview(folder: Path, zone: str) -> str:
    """The table that a run was given, with its count first; nothing where there is none."""
    path = folder / detection.NAME
    if not path.exists():
        return ""
    found = detection.parse(path.read_text(encoding="utf-8"))
    rows = [_row(case) for case in found.cases]
    heads = ("", "Seeded", "Kind", "In", "What changed, as expected or not")
    return (
        f"<p><b>{text(found.headline)}</b>. Each was seeded alone, at {text(moment(found.taken, zone))}, by this suite "
        "and with these very rules; exactly the rules that are about it may change. It says nothing of this site.</p>"
        f"{table(heads, rows, 'plain')}"
    )


def _row(case: Case) -> tuple[str, ...]:
    changed = ", ".join(case.found) or "nothing"
    if not case.ok:
        changed += f"; expected: {', '.join(case.expected) or 'nothing'}"
    mark = badge("pass" if case.ok else "fail")
    return (
        mark,
        text(case.name),
        text(_KINDS.get(case.kind, case.kind)),
        text(_WHERE.get(case.where, case.where)),
        text(changed),
    )
