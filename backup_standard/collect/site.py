"""The whole list of GETs, in the order in which they are made."""

from __future__ import annotations

import datetime as dt
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from typing import Any

from backup_standard.collect import shapes
from backup_standard.collect.reader import Reader
from backup_standard.collect.rights import Completeness, read_completeness
from backup_standard.collect.schedules import read_jobs
from backup_standard.collect.vzdump_tasks import look_back, read_changes, read_tasks
from backup_standard.collect.watching import ask_journal, read_notifications
from backup_standard.errors import ApiError
from backup_standard.inventory.schema import Inventory
from backup_standard.model import Archive, BackupJob, Facts, Gap, Guest, JournalLine, Node, Storage, StorageStatus

Tell = Callable[[str], None]


def read_site(reader: Reader, inventory: Inventory, tell: Tell) -> Facts:
    """Everything the API shows, as facts without the nodes' own side."""
    release = str(reader.get("/version").get("release", ""))
    nodes = _nodes(reader)
    online = [name for name, node in nodes.items() if not isinstance(node, Node) or node.online]
    complete = read_completeness(reader, inventory, online)

    tell("reading guests")
    resources = reader.get("/cluster/resources", type="vm")
    guests: dict[int, Guest | Gap] = {}
    gaps: list[Gap] = complete.gaps()
    for guest, gap in reader.each(lambda raw: _guest(reader, raw, online), resources):
        guests[guest.vmid] = guest
        gaps += [gap] if gap else []

    tell("reading backup jobs and their planned runs")
    jobs = read_jobs(reader, inventory, nodes)

    tell("reading storages and archives")
    storages = _storages(reader, inventory, complete)
    statuses = _statuses(reader, storages, nodes)
    archives = _archives(reader, storages, statuses)

    tell("reading backup tasks of the last nights")
    moment = _moment(nodes)
    tasks = read_tasks(reader, nodes, complete, moment, jobs)
    defaults = {name: _defaults(reader, name, inventory.policy.storage) for name in online}

    guests |= _hidden(reader, _named_vmids(inventory, jobs, archives) - guests.keys())
    facts = Facts(
        taken_at=moment,
        release=release,
        nodes=nodes,
        guests=guests,
        jobs=jobs,
        storages=storages,
        statuses=statuses,
        archives=archives,
        tasks=tasks,
        defaults=defaults,
        journals=_journals(reader, inventory, nodes, moment),
        changes=read_changes(reader, _watched(inventory, guests, online)),
        notifications=read_notifications(reader),
        gaps=tuple(gaps),
    )
    return with_gaps_listed(facts)


def with_gaps_listed(facts: Facts) -> Facts:
    """The same facts with every gap of every mapping in ``gaps``, once."""
    parts: Iterable[Any] = (
        facts.nodes, facts.guests, facts.jobs, facts.storages, facts.statuses, facts.archives, facts.tasks,
        facts.defaults, facts.mounts, facts.job_states, facts.dumps, facts.journals,
        facts.changes, facts.systems, facts.images,
    )  # fmt: skip
    found = list(facts.gaps)
    for part in parts:
        values = [part] if isinstance(part, Gap) else part.values()
        found += [value for value in values if isinstance(value, Gap)]
    found += [gap for system in facts.systems.values() if not isinstance(system, Gap) for gap in system.gaps()]
    return replace(facts, gaps=tuple(dict.fromkeys(found)))


def _nodes(reader: Reader) -> dict[str, Node | Gap]:
    listed = sorted(reader.get("/nodes"), key=lambda raw: str(raw["node"]))
    return dict(reader.each(lambda raw: (str(raw["node"]), _node(reader, raw)), listed))


def _node(reader: Reader, raw: Mapping[str, Any]) -> Node | Gap:
    name = str(raw["node"])
    if raw.get("status") == "offline":
        return Node(name, online=False)

    def read() -> Node:
        status = reader.get(f"/nodes/{name}/status")
        before = time.time()
        clock = reader.get(f"/nodes/{name}/time")
        skew = float(clock["time"]) - (before + time.time()) / 2
        return shapes.node(name, status, clock, round(skew, 1))

    return reader.attempt(f"version and clock of node {name}", read)


def _moment(nodes: Mapping[str, Node | Gap]) -> dt.datetime:
    """Now by the clock of the first node that showed one, else by ours."""
    skews = [node.skew for node in nodes.values() if isinstance(node, Node) and node.online]
    return (dt.datetime.now(dt.UTC) + dt.timedelta(seconds=skews[0] if skews else 0.0)).replace(microsecond=0)


def _guest(reader: Reader, raw: Mapping[str, Any], online: list[str]) -> tuple[Guest, Gap | None]:
    node, kind, vmid = raw["node"], raw["type"], raw["vmid"]
    fact = f"the configuration of guest {vmid}"
    if node not in online:
        return shapes.guest(raw, {}), Gap(fact, f"node {node} is offline", f"node {node} online")
    config = reader.ask(fact, f"/nodes/{node}/{kind}/{vmid}/config")
    if isinstance(config, Gap):
        return shapes.guest(raw, {}), config
    return shapes.guest(raw, config), None


def _storages(reader: Reader, inventory: Inventory, complete: Completeness) -> Mapping[str, Storage] | Gap:
    found = {storage.id: storage for storage in map(shapes.storage, reader.get("/storage"))}
    if complete.storages and inventory.policy.storage not in found:
        return complete.storages
    return found


def _statuses(
    reader: Reader, storages: Mapping[str, Storage] | Gap, nodes: Mapping[str, Node | Gap]
) -> dict[str, StorageStatus | Gap]:
    """Each node's view of its storages; a gap for every storage of a node that gave none."""
    defined = {} if isinstance(storages, Gap) else storages
    found: dict[str, StorageStatus | Gap] = {}
    for name, answer in zip(nodes, reader.each(lambda one: _storages_of(reader, *one), nodes.items()), strict=True):
        if isinstance(answer, Gap):
            found |= {f"{name}/{storage.id}": answer for storage in defined.values() if storage.on(name)}
        else:
            found |= {f"{name}/{raw['storage']}": shapes.storage_status(name, raw) for raw in answer}
    return found


def _storages_of(reader: Reader, name: str, node: Node | Gap) -> Any:
    fact = f"the storages of node {name}"
    if isinstance(node, Node) and not node.online:
        return Gap(fact, f"node {name} is offline", f"node {name} online")
    return reader.ask(fact, f"/nodes/{name}/storage")


def _archives(
    reader: Reader, storages: Mapping[str, Storage] | Gap, statuses: Mapping[str, StorageStatus | Gap]
) -> dict[str, tuple[Archive, ...] | Gap]:
    """The archives of every storage for backups on every node that has it; a shared one is read on one node."""
    if isinstance(storages, Gap):
        return {}
    places: dict[str, StorageStatus | Gap] = {}
    shared: set[str] = set()
    for key, status in statuses.items():
        storage = storages.get(key.partition("/")[2])
        if storage is None or "backup" not in storage.content or storage.id in shared:
            continue
        places[key] = status
        if storage.shared and isinstance(status, StorageStatus) and status.active:
            shared.add(storage.id)
    read = reader.each(lambda place: _archives_of(reader, *place), places.items())
    return dict(zip(places, read, strict=True))


def _archives_of(reader: Reader, key: str, status: StorageStatus | Gap) -> tuple[Archive, ...] | Gap:
    """By the dry run of a prune that keeps all: unlike the content listing it leaves nothing out.

    Sizes and notes come from the content listing, as far as that shows the archive (upstream: it drops, without a
    word, what the token may not restore).
    """
    node, _, storage_id = key.partition("/")
    fact, base = f"the archives of {storage_id} on node {node}", f"/nodes/{node}/storage/{storage_id}"
    if isinstance(status, Gap):
        return Gap(fact, status.reason, status.need)
    lines = reader.ask(fact, f"{base}/prunebackups", **{"prune-backups": "keep-all=1"})
    if isinstance(lines, Gap):
        return lines
    listing = reader.ask(fact, f"{base}/content", content="backup")
    listed = {} if isinstance(listing, Gap) else {raw["volid"]: raw for raw in listing}
    archives = (shapes.archive(node, storage_id, line, listed.get(line["volid"], {})) for line in lines)
    return tuple(sorted(archives, key=lambda archive: (archive.ctime, archive.volid)))


def _defaults(reader: Reader, node: str, storage: str) -> Mapping[str, str] | Gap:
    """The node's vzdump defaults as a job to the policy storage meets them.

    ``storage`` in them is what a job without a storage would use, "" when the API refuses that one (upstream answers
    500 when ``local`` may not hold backups).
    """
    fact = f"the vzdump defaults of node {node}"
    answer = reader.ask(fact, f"/nodes/{node}/vzdump/defaults", storage=storage)
    if isinstance(answer, Gap):
        return answer
    bare = reader.ask(fact, f"/nodes/{node}/vzdump/defaults")
    unnamed = "" if isinstance(bare, Gap) else str(bare.get("storage", ""))
    return shapes.texts({**answer, "storage": unnamed})


def _journals(
    reader: Reader, inventory: Inventory, nodes: Mapping[str, Node | Gap], moment: dt.datetime
) -> dict[str, tuple[JournalLine, ...] | Gap]:
    """The journals of those nodes that the inventory has no SSH for; the others are read over SSH."""
    online = [node for node in nodes.values() if isinstance(node, Node) and node.online]
    asked = [node for node in online if node.name not in inventory.nodes]
    return {node.name: ask_journal(reader, node, look_back(moment)) for node in asked}


def _watched(inventory: Inventory, guests: Mapping[int, Guest | Gap], online: list[str]) -> dict[int, str]:
    """The guests whose changes matter to the policy's workflow, with their nodes."""
    found = {}
    for vmid, section in inventory.guests.items():
        guest = guests.get(vmid)
        if section.role in {"golden-template", "docker-host"} and isinstance(guest, Guest) and guest.node in online:
            found[vmid] = guest.node
    return found


def _named_vmids(
    inventory: Inventory, jobs: Mapping[str, BackupJob] | Gap, archives: Mapping[str, tuple[Archive, ...] | Gap]
) -> set[int]:
    """Every VMID that the inventory, a job or an archive names."""
    named: set[int] = set(inventory.guests)
    for job in [] if isinstance(jobs, Gap) else jobs.values():
        named |= set(job.vmids)
    for found in archives.values():
        named |= set() if isinstance(found, Gap) else {archive.vmid for archive in found if archive.vmid}
    return named


def _hidden(reader: Reader, absent: set[int]) -> dict[int, Gap]:
    """Those absent guests that do exist: ``nextid`` says so to every user (upstream: "VM 100 already exists")."""

    def look(vmid: int) -> tuple[int, Gap | None]:
        try:
            reader.get("/cluster/nextid", vmid=vmid)
        except ApiError as problem:
            if "already exists" not in problem.parameters.get("vmid", ""):
                raise
            need = f"VM.Audit on /vms/{vmid}: {reader.pve.grant('VM.Audit', f'/vms/{vmid}')}"
            return vmid, Gap(f"guest {vmid}", "it exists, but the token may not see it", need)
        return vmid, None

    return {vmid: gap for vmid, gap in reader.each(look, sorted(absent)) if gap}
