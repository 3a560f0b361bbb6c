"""The pruning that Proxmox VE does after a backup, as a pure function.

Upstream: PVE/Storage.pm ``prune_mark_backup_group``. The order of the rules, the local-time periods and the fact that a
rule *removes* older siblings of what it keeps (so that a later rule cannot rescue them) are upstream's.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache
from zoneinfo import ZoneInfo


class Mark(StrEnum):
    """What becomes of an archive, in upstream's words."""

    KEEP = "keep"
    REMOVE = "remove"
    PROTECTED = "protected"
    RENAMED = "renamed"


@dataclass(frozen=True)
class Point:
    """One archive of one guest for the purpose of pruning; ``ctime`` in epoch seconds, from its file name."""

    ctime: int
    protected: bool = False
    standard_name: bool = True


RULES: tuple[str, ...] = ("keep-last", "keep-hourly", "keep-daily", "keep-weekly", "keep-monthly", "keep-yearly")
"""The keep rules in the order in which they are applied."""


@lru_cache(maxsize=65536)
def _periods(ctime: int, zone: ZoneInfo) -> Mapping[str, tuple[int, ...]]:
    """The period an archive falls into under each rule, in local time."""
    local = dt.datetime.fromtimestamp(ctime, tz=zone)
    week = local.isocalendar()
    return {
        "keep-last": (ctime,),
        "keep-hourly": (local.year, local.month, local.day, local.hour),
        "keep-daily": (local.year, local.month, local.day),
        "keep-weekly": (week.year, week.week),
        "keep-monthly": (local.year, local.month),
        "keep-yearly": (local.year,),
    }


def keeps_all(keep: Mapping[str, int]) -> bool:
    """Whether these keep counts keep everything: keep-all, or no count above zero."""
    return not any(keep.get(rule, 0) > 0 for rule in RULES)


def marks(points: Sequence[Point], keep: Mapping[str, int], zone: ZoneInfo) -> list[Mark]:
    """The mark of each point, in the order given. ``keep`` maps keep-last … keep-yearly to counts."""
    found: dict[int, Mark] = {}
    for index, point in enumerate(points):
        if not point.standard_name:
            found[index] = Mark.RENAMED
        elif point.protected:
            found[index] = Mark.PROTECTED
    rest = Mark.KEEP if keeps_all(keep) else Mark.REMOVE
    if rest is Mark.REMOVE:
        newest_first = sorted(range(len(points)), key=lambda index: -points[index].ctime)
        for rule in RULES:
            _apply(rule, keep.get(rule, 0), newest_first, found, lambda index: _periods(points[index].ctime, zone))
    return [found.get(index, rest) for index in range(len(points))]


def _apply(
    rule: str,
    count: int,
    newest_first: Sequence[int],
    found: dict[int, Mark],
    periods: Callable[[int], Mapping[str, tuple[int, ...]]],
) -> None:
    """Let one keep rule mark what earlier rules left unmarked."""
    if count <= 0:
        return
    covered = {periods(index)[rule] for index, mark in found.items() if mark is Mark.KEEP}
    own: set[tuple[int, ...]] = set()
    for index in newest_first:
        period = periods(index)[rule]
        if index in found or period in covered:
            continue
        if period in own:
            found[index] = Mark.REMOVE
        elif len(own) >= count:
            return
        else:
            own.add(period)
            found[index] = Mark.KEEP


def parse_keep(text: str) -> dict[str, int]:
    """``"keep-daily=7,keep-weekly=4"`` as counts. ValueError when it is not of that form."""
    counts: dict[str, int] = {}
    for part in text.replace(" ", "").split(",") if text.strip() else []:
        key, _, number = part.partition("=")
        if (key not in RULES and key != "keep-all") or not number.isdigit():
            raise ValueError(f"{text!r} is not a prune-backups value; it looks like keep-daily=7,keep-weekly=4")
        counts[key] = int(number)
    return counts


def say_keep(keep: Mapping[str, int]) -> str:
    """Keep counts as Proxmox writes them."""
    if keeps_all(keep):
        return "keep-all=1"
    return ",".join(f"{rule}={keep[rule]}" for rule in RULES if keep.get(rule, 0) > 0)
