"""The audit as its users run it, in this process: the site is read over HTTPS and SSH, then every rule judges it.

The rules are those in ``tests_infra``, called as the functions they are; their subjects are the plugin's own.
``tests/lab/test_violations_in_memory.py`` compares the rows with those of a whole ``pytest --inventory``.
"""

from __future__ import annotations

import importlib.util
import inspect
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from backup_standard.audit import next_runs
from backup_standard.audit.site import Site
from backup_standard.collect import collect
from backup_standard.collect import deep as deep_reading
from backup_standard.collect.reading import Limits
from backup_standard.errors import Unknown
from backup_standard.evidence.notes import Evidence
from backup_standard.evidence.verdicts import Outcome
from backup_standard.inventory import attestations
from backup_standard.inventory.loader import load
from backup_standard.model import Facts, Node
from backup_standard.plugin.subjects import SUBJECTS

RULES = Path(__file__).resolve().parents[2] / "tests_infra"


@dataclass(frozen=True)
class Row:
    """What a rule came to for one subject."""

    outcome: Outcome
    message: str = ""


Rows = Mapping[tuple[str, str], Row]


@dataclass(frozen=True)
class Judge:
    """A rule: its id, its level, what it judges, and the function itself."""

    id: str
    level: str
    subject: str
    function: Callable[..., None]
    deep: bool


@cache
def judges() -> tuple[Judge, ...]:
    """Every rule of the audit."""
    found = []
    for path in sorted(RULES.glob("test_*.py")):
        spec = importlib.util.spec_from_file_location(f"violations_{path.stem}", path)
        assert spec, path
        assert spec.loader, path
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        found += [_judge(one) for _, one in inspect.getmembers(module, inspect.isfunction) if _marker(one)]
    return tuple(found)


def _marker(function: Callable[..., None]) -> Any:
    return next((mark for mark in getattr(function, "pytestmark", ()) if mark.name == "rule"), None)


def _judge(function: Callable[..., None]) -> Judge:
    told = _marker(function).kwargs
    wanted = [name for name in inspect.signature(function).parameters if name != "evidence"]
    return Judge(told["id"], told["level"], wanted[0], function, "drilled" in wanted)


def read(inventory: Path, moved: float = 0.0, deep: int | None = None) -> Site:
    """Read the site; this machine's clock is taken to be that many seconds further, as the lab's was moved.

    ``deep``: the newest archive of this guest is read from end to end.
    """
    loaded = load(inventory).inventory
    facts = collect(loaded)
    site = Site(loaded, _as_if_moved(facts, moved) if moved else facts)
    return Site(loaded, replace(site.facts, readings=_readings(site, deep))) if deep else site


def _readings(site: Site, vmid: int) -> Mapping[str, Any]:
    newest = next(guest.newest_archive for guest in site.guests if guest.vmid == vmid)
    assert newest
    wish = deep_reading.Wish([newest.archive], next_runs.of(site.facts), Limits())
    return deep_reading.read_archives(site.inventory, site.facts, wish, lambda _told: None, None)


def _as_if_moved(facts: Facts, moved: float) -> Facts:
    nodes = facts.nodes.items()
    own = {name: replace(one, skew=one.skew - moved) if isinstance(one, Node) else one for name, one in nodes}
    return replace(facts, nodes=own)


def judge(site: Site) -> Rows:
    """Every rule with every subject; those about whole archives only for the guests whose archive was read."""
    return {
        (one.id, name): _row(site, one, name, subject)
        for one in judges()
        for name, subject in _subjects(site, one)
        if not one.deep or any(f"-{name}-" in key for key in site.facts.readings)
    }


def _subjects(site: Site, one: Judge) -> Iterator[tuple[str, Any]]:
    if one.subject == "site":
        yield "the site", site
        return
    find, name_of, _ = SUBJECTS[one.subject]
    for subject in find(site):
        yield name_of(subject), subject


def _row(site: Site, one: Judge, name: str, subject: Any) -> Row:
    notes = Evidence()
    try:
        one.function(subject, **({"drilled": ()} if one.deep else {}), evidence=notes)
    except AssertionError as finding:
        return Row(Outcome.FAIL if one.level == "must" else Outcome.ADVISORY, str(finding).split("\nassert ")[0])
    except Unknown as unknown:
        day = site.facts.taken_at.astimezone(ZoneInfo(site.inventory.site.timezone)).date()
        found = attestations.look_up(site.inventory, one.id, {name}, day)
        return Row(Outcome.ATTESTED if found.valid else Outcome.UNKNOWN, str(unknown))
    return Row(Outcome.ADVISORY, notes.advice) if notes.advice else Row(Outcome.PASS)


def changed(before: Rows, after: Rows) -> dict[str, list[str]]:
    """The rules that came to something else for a subject: "RULE outcome" with each subject's message.

    That a recommendation is followed now is no finding, and left out.
    """
    found: dict[str, list[str]] = {}
    for (rule, name), row in after.items():
        if row.outcome not in {Outcome.PASS, before.get((rule, name), Row(Outcome.PASS)).outcome}:
            found.setdefault(f"{rule} {row.outcome}", []).append(f"{name}: {row.message}")
    return found
