"""The audit as its users run it, in this process: the site is read over HTTPS and SSH, then every rule judges it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from backup_standard.audit import next_runs
from backup_standard.audit.site import Site
from backup_standard.collect import collect
from backup_standard.collect import deep as deep_reading
from backup_standard.collect.reading import Limits
from backup_standard.evidence.verdicts import Outcome
from backup_standard.inventory.loader import load
from backup_standard.model import Facts, Node
from tests import judging
from tests.judging import Row, Rows


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
    deep = {rule.id for rule in judging.rules() if rule.deep}
    return {
        (rule, name): row
        for (rule, name), row in judging.judge(site).items()
        if rule not in deep or any(f"-{name}-" in key for key in site.facts.readings)
    }


def changed(before: Rows, after: Rows) -> dict[str, list[str]]:
    """The rules that came to something else for a subject: "RULE outcome" with each subject's message.

    That a recommendation is followed now is no finding, and left out.
    """
    found: dict[str, list[str]] = {}
    for (rule, name), row in after.items():
        if row.outcome not in {Outcome.PASS, before.get((rule, name), Row(Outcome.PASS)).outcome}:
            found.setdefault(f"{rule} {row.outcome}", []).append(f"{name}: {row.message}")
    return found
