"""A table of seeded violations, and what the rules made of each: evidence about the rules, not about a site.

It counts only for the very code that made it: a digest of the library and the rules stands in it.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from backup_standard.errors import OperatorError

SCHEMA = "backup-standard/detection/1"
NAME = "detection.json"
"""The table in a folder of a run."""
_LIBRARY, _RULES = Path(__file__).resolve().parents[1], "tests_infra"


@dataclass(frozen=True)
class Case:
    """One seeded state: ``expected`` and ``found`` are changes as "RULE outcome"; ``where``: memory or node."""

    name: str
    kind: str
    where: str
    expected: Sequence[str]
    found: Sequence[str]
    ok: bool


@dataclass(frozen=True)
class Detection:
    """The table; ``taken`` is an ISO moment, ``made_with`` the digest of the code that made it."""

    taken: str
    cases: tuple[Case, ...]
    made_with: str = ""

    def of(self, kind: str) -> tuple[Case, ...]:
        """The violations, or the healthy states."""
        return tuple(case for case in self.cases if case.kind == kind)

    @property
    def headline(self) -> str:
        """How many of each kind came out right."""
        words = {"violation": "detects", "healthy": "healthy"}
        counts = [(word, self.of(kind)) for kind, word in words.items()]
        return ", ".join(f"{word} {sum(case.ok for case in found)} of {len(found)}" for word, found in counts if found)


def made_with(root: Path) -> str:
    """A digest of this library and of the rules below a project's root."""
    digest = hashlib.sha256()
    for folder in (_LIBRARY, root / _RULES):
        for path in sorted(folder.rglob("*.py")):
            digest.update(f"{folder.name}/{path.relative_to(folder)}\n".encode() + path.read_bytes())
    return digest.hexdigest()


def parse(text: str) -> Detection:
    """The table of a file. ValueError when it is none."""
    try:
        raw: Any = json.loads(text)
        cases = tuple(_case(one) for one in raw["cases"])
        if raw["schema"] != SCHEMA or not cases:
            raise ValueError(f"it is no table of schema {SCHEMA} with cases")
        return Detection(str(raw["taken"]), cases, str(raw.get("made_with", "")))
    except (KeyError, TypeError) as problem:
        raise ValueError(f"it is no such table: {problem!r}") from None


def _case(raw: Mapping[str, Any]) -> Case:
    expected, found = [str(one) for one in raw["expected"]], [str(one) for one in raw["found"]]
    ok = raw["ok"] is True and sorted(expected) == sorted(found)
    return Case(str(raw["name"]), str(raw["kind"]), str(raw["where"]), expected, found, ok)


def checked(path: Path, root: Path) -> str:
    """The text of a table made by this very code. OperatorError when it is none, or another version's."""
    again = "make it anew: pytest tests/lab -k violations_in_memory --keep-detection FILE"
    try:
        text = path.read_text(encoding="utf-8")
        table = parse(text)
    except (OSError, ValueError) as problem:
        raise OperatorError(f"{path}: {problem}", where="--detection", next_step=again) from None
    if table.made_with != made_with(root):
        raise OperatorError(f"{path} was made with another version of the rules", where="--detection", next_step=again)
    return text
