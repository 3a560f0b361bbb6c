"""What changed between two runs: verdicts that turned, and guests, jobs and storages that came, went or changed."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from backup_standard.errors import OperatorError
from backup_standard.evidence import recorded
from backup_standard.evidence.folder import RunFolder
from backup_standard.evidence.verdicts import Verdict, reconcile
from backup_standard.model import Facts, Gap

_COMPUTED = frozenset({"next-run", "digest"})
"""What the API adds to a job's settings."""


@dataclass(frozen=True)
class Turned:
    """A row whose outcome is another one now."""

    before: Verdict
    after: Verdict

    @property
    def is_worse(self) -> bool:
        """Whether it turned for the worse."""
        return self.after.outcome.is_worse_than(self.before.outcome)


@dataclass(frozen=True)
class Comparison:
    """Two runs beside each other. ``new`` and ``gone`` are rows; ``site`` tells changes of the site, by what changed.

    ``notes`` are what could not be compared, and why.
    """

    turned: tuple[Turned, ...] = ()
    new: tuple[Verdict, ...] = ()
    gone: tuple[Verdict, ...] = ()
    same: int = 0
    site: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    notes: tuple[str, ...] = ()

    @property
    def is_same(self) -> bool:
        """Whether nothing changed."""
        return not (self.turned or self.new or self.gone or any(self.site.values()))


def compare(before: RunFolder, after: RunFolder) -> Comparison:
    """Two runs of one client, both audits or both drills. OperatorError when they cannot be compared."""
    _refuse_unlike(before, after)
    old, new = _rows(before), _rows(after)
    parts = [one.id for one in (before, after) if one.run().get("partial")]
    notes = [f"checks of one run only are left out: {' and '.join(parts)} ran a part of the rules"] if parts else []
    both = old.keys() & new.keys()
    turned = [Turned(old[item], new[item]) for item in old if item in both and old[item].outcome != new[item].outcome]
    facts = recorded.facts_of(before), recorded.facts_of(after)
    site, unseen = _site_changes(*facts)
    return Comparison(
        turned=tuple(sorted(turned, key=lambda one: (not one.is_worse, one.after.rule))),
        new=() if notes else tuple(row for item, row in new.items() if item not in both),
        gone=() if notes else tuple(row for item, row in old.items() if item not in both),
        same=len(both) - len(turned),
        site=site,
        notes=(*notes, *unseen),
    )


def _refuse_unlike(before: RunFolder, after: RunFolder) -> None:
    clients = [str(one.run().get("client", "")) for one in (before, after)]
    if all(clients) and clients[0] != clients[1]:
        raise OperatorError(
            f"the runs are of different clients: {clients[0]} and {clients[1]}", next_step="give two runs of one client"
        )
    kinds = [recorded.kind_of(one) for one in (before, after)]
    if kinds[0] != kinds[1]:
        raise OperatorError("one run is an audit and the other a drill", next_step="give two audits or two drills")


def _rows(folder: RunFolder) -> dict[str, Verdict]:
    return {row.item: row for row in reconcile(folder.plan(), folder.verdicts())}


def _site_changes(before: Facts, after: Facts) -> tuple[dict[str, tuple[str, ...]], list[str]]:
    """Changes of guests, jobs and storages, and what was not seen in one of the runs."""
    found: dict[str, tuple[str, ...]] = {}
    unseen = []
    kinds: tuple[tuple[str, Any, Any, Callable[[Any], Mapping[str, Any]]], ...] = (
        ("guests", before.guests, after.guests, _of_guest),
        ("jobs", before.jobs, after.jobs, _of_job),
        ("storages", before.storages, after.storages, _of_storage),
    )
    for kind, old, new, told in kinds:
        gaps = [one for one in (old, new) if isinstance(one, Gap)]
        if gaps:
            unseen.append(f"{kind} could not be compared, one run did not see them: {gaps[0].reason}")
        else:
            found[kind] = tuple(_changes(old, new, told))
    return found, unseen


def _changes(old: Mapping[Any, Any], new: Mapping[Any, Any], told: Callable[[Any], Mapping[str, Any]]) -> Iterator[str]:
    for key in sorted(old.keys() | new.keys()):
        if key not in old:
            yield f"new: {_name(key, new[key])}"
        elif key not in new:
            yield f"gone: {_name(key, old[key])}"
        elif isinstance(old[key], Gap) or isinstance(new[key], Gap):
            if isinstance(old[key], Gap) != isinstance(new[key], Gap):
                yield f"{_name(key, new[key])}: {'hidden' if isinstance(new[key], Gap) else 'visible'} now"
        else:
            changed = _differences(told(old[key]), told(new[key]))
            if changed:
                yield f"{_name(key, new[key])}: {'; '.join(changed)}"


def _differences(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[str]:
    return [
        f"{name.replace('_', ' ')} {_said(old.get(name))} → {_said(new.get(name))}"
        for name in sorted(old.keys() | new.keys())
        if old.get(name) != new.get(name)
    ]


def _name(key: object, value: object) -> str:
    return f"guest {key}" if isinstance(value, Gap) else str(value)


def _said(value: Any) -> str:
    """A value in words."""
    if isinstance(value, Mapping):
        return ",".join(f"{name}={inner}" for name, inner in sorted(value.items())) or "none"
    if isinstance(value, frozenset | tuple):
        return ",".join(sorted(map(str, value))) or "none"
    if isinstance(value, bool):
        return "yes" if value else "no"
    return "unset" if value is None or value == "" else str(value)


def _of_guest(guest: Any) -> Mapping[str, Any]:
    """What of a guest a change is worth telling; its status changes by itself."""
    return {"kind": str(guest.kind), "name": guest.name, "node": guest.node, "template": guest.template}


def _of_job(job: Any) -> Mapping[str, Any]:
    """A job's settings: not what follows from them (included volumes, planned runs)."""
    settings = {name: value for name, value in job.raw.items() if name not in _COMPUTED}
    return {"schedule": job.schedule, **settings, "enabled": job.enabled}


def _of_storage(storage: Any) -> Mapping[str, Any]:
    return {one.name: getattr(storage, one.name) for one in dataclasses.fields(storage)}
