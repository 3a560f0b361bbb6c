"""What a reading lacked, in one table: each missing privilege or login, and the rules that stay open for it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from backup_standard.standard.privileges import AUDIT, NODE_RULES

_NEED = re.compile(r"(?P<privilege>[A-Z]\w*\.[\w.|]+) on (?P<path>/\S*?)(?:: (?P<grant>.+))?", re.DOTALL)
_NODE = re.compile(r" of node (\S+)$")
_SHOWN = 4
"""Paths that are written out; of more only the number is told."""


@dataclass(frozen=True)
class Lack:
    """Something missing: what, what it would show, the rules that need it, and the command or line that gives it."""

    what: str
    shows: str
    rules: tuple[str, ...]
    cure: str


def lacks(gaps: Iterable[Mapping[str, str]]) -> tuple[Lack, ...]:
    """The table of a run's gaps (``fact``, ``reason``, ``need``); empty where no privilege and no login is missing."""
    listed = list(gaps)
    return (*_privileges(listed), *_logins(listed))


def _privileges(gaps: list[Mapping[str, str]]) -> Iterator[Lack]:
    paths: dict[str, dict[str, tuple[str, str]]] = {}
    for gap in gaps:
        match = _NEED.fullmatch(gap.get("need") or "")
        if match:
            told = paths.setdefault(match["privilege"].split("|")[0], {})
            told.setdefault(match["path"], (match["grant"] or "", gap["fact"]))
    known = {one.name: one for one in AUDIT}
    for name, where in sorted(paths.items()):
        told = {"/": where["/"]} if "/" in where else where
        grant, fact = next(iter(told.values()))
        need = known.get(name)
        yield Lack(f"{name} on {_some(sorted(told))}", need.shows if need else fact, need.rules if need else (), grant)


def _some(paths: list[str]) -> str:
    shown, more = paths[:_SHOWN], len(paths) - _SHOWN
    return ", ".join(shown) + (f" and {more} more" if more > 0 else "")


def _logins(gaps: list[Mapping[str, str]]) -> Iterator[Lack]:
    told: dict[str, Lack] = {}
    for gap in gaps:
        need, node = gap.get("need") or "", _NODE.search(gap["fact"])
        if node and need.startswith("SSH"):
            cure = need.removeprefix("SSH to it: ").removeprefix("SSH: ")
            reason = f"mounts, disks and files ({gap['reason']})"
            told.setdefault(node[1], Lack(f"SSH to node {node[1]}", reason, NODE_RULES, cure))
    yield from told.values()
