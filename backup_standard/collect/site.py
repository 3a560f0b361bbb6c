"""The whole list of GETs. Each part begins as soon as what it needs is there."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from backup_standard.collect import archives, guests, shapes
from backup_standard.collect.reader import Reader
from backup_standard.collect.rights import read_completeness
from backup_standard.collect.schedules import ahead, list_jobs, read_jobs, read_runs
from backup_standard.collect.shapeless import is_node_name, node_name
from backup_standard.collect.vzdump_tasks import look_back, read_changes, read_tasks
from backup_standard.collect.watching import ask_journal, read_notifications
from backup_standard.errors import ConnectionFailed
from backup_standard.inventory.schema import Inventory
from backup_standard.model import Facts, Gap, JournalLine, Node

Tell = Callable[[str], None]


@dataclass(frozen=True)
class Listed:
    """The nodes by name, with whether they are online, and why the site's own list of them could not be read."""

    online: Mapping[str, bool]
    gap: Gap | None = None

    @property
    def running(self) -> list[str]:
        """The names of those that are online."""
        return [name for name, online in self.online.items() if online]


def read_site(reader: Reader, inventory: Inventory, tell: Tell) -> Facts:
    """Everything the API shows, as facts without the nodes' own side."""
    start, policy = reader.start, inventory.policy.storage
    listing, entries = start(lambda: _list_nodes(reader)), start(lambda: guests.list_guests(reader))
    names = start(lambda: _names(listing.result(), entries.result, inventory))
    nodes = start(lambda: _nodes(reader, names.result().online))
    told_jobs = start(lambda: list_jobs(reader))
    jobs = start(lambda: read_jobs(reader, told_jobs.result()))
    storages = start(lambda: archives.read_storages(reader))
    complete = start(lambda: read_completeness(reader, inventory, names.result().running))
    seen = start(lambda: guests.read_guests(reader, inventory, entries.result(), names.result().running))
    release = start(lambda: reader.attempt("the version of the site", lambda: _release(reader)))
    notifications = start(lambda: read_notifications(reader))
    statuses = start(lambda: archives.read_statuses(reader, storages.result(), names.result().online))
    defaults = start(lambda: _defaults(reader, names.result().running, policy))
    proven = start(lambda: archives.proven(storages.result(), inventory, complete.result()))
    kept = start(lambda: archives.read_archives(reader, proven.result(), statuses.result()))
    moment = start(lambda: _moment(nodes.result()))
    tasks = start(lambda: read_tasks(reader, nodes.result(), complete.result(), moment.result(), jobs.result()))
    planned = start(lambda: read_runs(reader, inventory, told_jobs.result(), nodes.result()))
    journals = start(lambda: _journals(reader, inventory, nodes.result(), moment.result()))
    changes = start(lambda: read_changes(reader, guests.watched(inventory, seen.result().seen, names.result().running)))
    tell("reading nodes and guests")
    found, gaps = seen.result(), [*complete.result().gaps(), *_gaps(names.result().gap, release.result())]
    tell("reading backup jobs, storages and archives")
    read, unsized = kept.result()
    named = guests.named_vmids(inventory, jobs.result(), read)
    hidden = guests.read_hidden(reader, named - found.seen.keys())
    tell("reading backup tasks of the last nights")
    return with_gaps_listed(Facts(
        taken_at=moment.result(),
        release="" if isinstance(release.result(), Gap) else str(release.result()),
        nodes=nodes.result(),
        guests={**found.seen, **hidden},
        jobs=planned.result().given_to(jobs.result()),
        storages=proven.result(),
        statuses=statuses.result(),
        archives=read,
        unsized=unsized,
        tasks=tasks.result(),
        defaults=defaults.result(),
        journals=journals.result(),
        changes=changes.result(),
        notifications=notifications.result(),
        gaps=(*gaps, *found.gaps),
    ))  # fmt: skip


def with_gaps_listed(facts: Facts) -> Facts:
    """The same facts with every gap of every mapping in ``gaps``, once."""
    parts: Iterable[Any] = (
        facts.nodes, facts.guests, facts.jobs, facts.storages, facts.statuses, facts.archives, facts.tasks,
        facts.defaults, facts.mounts, facts.job_states, facts.dumps, facts.journals,
        facts.changes, facts.systems, facts.images, facts.unsized,
    )  # fmt: skip
    told = facts.notifications
    found = [*facts.gaps, *([told] if isinstance(told, Gap) and told.need else [])]  # releases before 8.1 have none
    for part in parts:
        values = [part] if isinstance(part, Gap) else part.values()
        found += [value for value in values if isinstance(value, Gap)]
    found += [gap for system in facts.systems.values() if not isinstance(system, Gap) for gap in system.gaps()]
    return replace(facts, gaps=tuple(dict.fromkeys(found)))


def _gaps(*found: object) -> list[Gap]:
    return [one for one in found if isinstance(one, Gap)]


def _release(reader: Reader) -> str:
    return str(reader.record("/version").get("release", ""))


def _list_nodes(reader: Reader) -> dict[str, bool] | Gap:
    def read() -> dict[str, bool]:
        return {node_name(raw["node"]): raw.get("status") != "offline" for raw in reader.rows("/nodes")}

    return reader.attempt("the list of nodes", read)


def _names(listed: Mapping[str, bool] | Gap, entries: Callable[[], guests.Listed], inventory: Inventory) -> Listed:
    """The nodes; where their list is broken, those that the inventory names or guests live on, taken to be online."""
    if not isinstance(listed, Gap):
        return Listed(dict(sorted(listed.items())))
    guests_listed = entries()
    homes = [raw.get("node") for raw in ([] if isinstance(guests_listed, Gap) else guests_listed)]
    known = sorted({*inventory.nodes, *(str(name) for name in homes if is_node_name(name))})
    if not known:
        raise ConnectionFailed(
            f"{listed.fact} could not be read: {listed.reason}",
            where=inventory.api.url,
            next_step="name the site's nodes in the inventory (nodes:), so that they can be asked without the list",
        )
    return Listed(dict.fromkeys(known, True), listed)


def _nodes(reader: Reader, names: Mapping[str, bool]) -> dict[str, Node | Gap]:
    return dict(zip(names, reader.each(lambda one: _node(reader, *one), names.items()), strict=True))


def _node(reader: Reader, name: str, online: bool) -> Node | Gap:  # noqa: FBT001 - a pair of items()
    if not online:
        return Node(name, online=False)

    def read() -> Node:
        node_name(name)
        status = reader.record(f"/nodes/{name}/status")
        clock, ours = reader.timed(f"/nodes/{name}/time")
        skew = float(clock["time"]) - ours
        return shapes.node(name, status, clock, round(skew, 1))

    return reader.attempt(f"version and clock of node {name}", read)


def _moment(nodes: Mapping[str, Node | Gap]) -> dt.datetime:
    """Now by the clock of the first node that showed one, else by ours."""
    return (dt.datetime.now(dt.UTC) + dt.timedelta(seconds=ahead(nodes))).replace(microsecond=0)


def _defaults(reader: Reader, online: Sequence[str], storage: str) -> dict[str, Mapping[str, str] | Gap]:
    found = reader.each(lambda name: archives.read_defaults(reader, name, storage), online)
    return dict(zip(online, found, strict=True))


def _journals(
    reader: Reader, inventory: Inventory, nodes: Mapping[str, Node | Gap], moment: dt.datetime
) -> dict[str, tuple[JournalLine, ...] | Gap]:
    """The journals of those nodes that the inventory has no SSH for; the others are read over SSH."""
    online = [node for node in nodes.values() if isinstance(node, Node) and node.online]
    asked = [node for node in online if node.name not in inventory.nodes]
    found = reader.each(lambda node: ask_journal(reader, node, look_back(moment)), asked)
    return {node.name: lines for node, lines in zip(asked, found, strict=True)}
