"""How a rule says what it demands: title, ``Rationale:`` and ``Remedy:`` of its docstring."""

from __future__ import annotations

import re
from dataclasses import dataclass

_SECTION = re.compile(r"^(Rationale|Remedy):\s*", re.MULTILINE)


@dataclass(frozen=True)
class Rule:
    """A rule of the standard; ``remedy`` may hold placeholders."""

    id: str
    level: str
    tag: str
    title: str
    rationale: str = ""
    remedy: str = ""


def rule_from(doc: str, **marker: str) -> Rule:
    """The rule with this docstring (indentation removed) and these arguments of its marker: id, level, tag."""
    parts = _SECTION.split(doc)
    sections = dict(zip(parts[1::2], parts[2::2], strict=True))
    title = " ".join(parts[0].split()).removesuffix(".")
    rationale, remedy = (sections.get(name, "").strip() for name in ("Rationale", "Remedy"))
    return Rule(**marker, title=title, rationale=" ".join(rationale.split()), remedy=remedy)
