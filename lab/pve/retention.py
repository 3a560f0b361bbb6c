"""Retention: the ``prune-backups`` property and the marks it puts on a group of archives.

The order of the rules, what counts as covered and the local-time buckets are upstream's
(PVE/Storage.pm prune_mark_backup_group); every worked example of the reference is a test.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal
from zoneinfo import ZoneInfo

Mark = Literal["keep", "remove", "protected", "renamed"]
Bucket = Callable[[datetime, int], object]

_RULES: Mapping[str, Bucket] = {
    "keep-last": lambda _local, ctime: ctime,
    "keep-hourly": lambda local, _ctime: (local.hour, local.day, local.month, local.year),
    "keep-daily": lambda local, _ctime: (local.day, local.month, local.year),
    "keep-weekly": lambda local, _ctime: local.isocalendar()[:2],
    "keep-monthly": lambda local, _ctime: (local.month, local.year),
    "keep-yearly": lambda local, _ctime: local.year,
}
KEYS = ("keep-all", *_RULES)


class RetentionError(ValueError):
    """A ``prune-backups`` text that is refused; worded as the API's parameter error words it."""


@dataclass(frozen=True)
class Candidate:
    """An archive to be marked. ``ctime`` is the moment in its name, seconds since the epoch."""

    name: str
    ctime: int
    standard: bool = True
    protected: bool = False


def setting(section: Mapping[str, object], major: int) -> str | None:
    """What a storage, a job or vzdump.conf sets; None for nothing.

    Up to 8 ``maxfiles`` counts where nothing else is said; 9 passes over what is left of it (upstream:
    PVE/Storage/Plugin.pm, PVE/VZDump.pm parse_prune_backups_maxfiles; derived).
    """
    if section.get("prune-backups"):
        return str(section["prune-backups"])
    if major >= 9 or "maxfiles" not in section:
        return None
    count = int(str(section["maxfiles"]))
    return f"keep-last={count}" if count else "keep-all=1"


def parse(text: str) -> dict[str, int]:
    """Read ``keep-last=3,keep-weekly=2`` into numbers; RetentionError says what is wrong with it."""
    wanted: dict[str, int] = {}
    problems = []
    for part in filter(None, (piece.strip() for piece in text.split(","))):
        key, _, value = part.partition("=")
        if key not in KEYS:
            problems.append(
                f"prune-backups.{key}: property is not defined in schema and the schema does not allow"
                " additional properties\n"
            )
        elif not value.isdigit() or (key == "keep-all" and value not in {"0", "1"}):
            kind = "boolean" if key == "keep-all" else "integer"
            problems.append(f"prune-backups.{key}: type check ('{kind}') failed - got '{value}'\n")
        else:
            wanted[key] = int(value)
    if problems:
        raise RetentionError("format error\n" + "".join(problems))
    return _validated(wanted)


def _validated(wanted: dict[str, int]) -> dict[str, int]:
    """Apply upstream's normalisation: nothing positive means keep everything (PVE/Storage/Plugin.pm)."""
    positive = {key: count for key, count in wanted.items() if count > 0}
    if positive.get("keep-all") and len(positive) > 1:
        raise RetentionError("keep-all cannot be set together with other options.\n")
    if not positive:
        return {"keep-all": 1}
    return {key: count for key, count in wanted.items() if key != "keep-all" or count}


def render(rules: Mapping[str, int]) -> str:
    """Write rules as task logs do: sorted, with a blank behind the comma."""
    return ", ".join(f"{key}={rules[key]}" for key in sorted(rules))


def keeps_all(rules: Mapping[str, int]) -> bool:
    """Tell whether these rules keep everything."""
    return bool(rules.get("keep-all")) or not any(rules.values())


def mark(group: Iterable[Candidate], rules: Mapping[str, int], zone: ZoneInfo) -> dict[str, Mark]:
    """Mark all archives of one guest: name → keep, remove, protected or renamed."""
    marks: dict[str, Mark] = {}
    candidates: list[Candidate] = []
    for archive in group:
        if not archive.standard:
            marks[archive.name] = "renamed"
        elif archive.protected:
            marks[archive.name] = "protected"
        else:
            candidates.append(archive)
    if keeps_all(rules):
        marks.update((archive.name, "keep") for archive in candidates)
        return marks
    newest_first = sorted(candidates, key=lambda archive: -archive.ctime)
    for rule, bucket in _RULES.items():
        if rules.get(rule, 0) > 0:
            _apply(newest_first, marks, rules[rule], bucket, zone)
    for archive in candidates:
        marks.setdefault(archive.name, "remove")
    return marks


def _apply(group: Sequence[Candidate], marks: dict[str, Mark], count: int, bucket: Bucket, zone: ZoneInfo) -> None:
    """Run one rule: keep the newest of ``count`` further buckets, remove its siblings, skip what is covered."""

    def identify(archive: Candidate) -> object:
        return bucket(datetime.fromtimestamp(archive.ctime, zone), archive.ctime)

    covered = {identify(archive) for archive in group if marks.get(archive.name) == "keep"}
    kept: set[object] = set()
    for archive in group:
        if archive.name in marks or (own := identify(archive)) in covered:
            continue
        if own in kept:
            marks[archive.name] = "remove"
        elif len(kept) >= count:
            return
        else:
            kept.add(own)
            marks[archive.name] = "keep"
