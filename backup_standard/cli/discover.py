"""Looks at a site for its first inventory: a handful of GETs, nothing on any node."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from backup_standard.collect import rights, shapes
from backup_standard.collect.reader import Reader
from backup_standard.model import BackupJob, Gap, Guest, Storage, StorageStatus
from backup_standard.model.guests import DRILL_TAG
from backup_standard.standard.privileges import DISCOVERY, release_of


@dataclass(frozen=True)
class Discovered:
    """What a site shows of itself.

    ``nodes`` maps each node to its address (empty where not shown) and ``zones`` to its time zone; ``bridges`` are
    those with neither ports nor addresses, with the nodes that have them; ``gaps`` is what may be missing here.
    """

    name: str
    release: str
    nodes: Mapping[str, str]
    zones: Mapping[str, str]
    guests: tuple[Guest, ...]
    jobs: tuple[BackupJob, ...]
    storages: tuple[Storage, ...]
    statuses: tuple[StorageStatus, ...]
    bridges: Mapping[str, tuple[str, ...]]
    gaps: tuple[Gap, ...]

    def jobs_to(self, storage: str) -> list[str]:
        """The ids of the enabled jobs that write to a storage."""
        return [job.id for job in self.jobs if job.enabled and job.storage == storage]

    def jobs_of(self, vmid: int) -> list[str]:
        """The ids of the enabled jobs that name a guest, or all guests."""
        return [job.id for job in self.jobs if job.enabled and (vmid in job.vmids or _takes_all(job, vmid))]

    @property
    def backup_storages(self) -> list[Storage]:
        """The directories that take backups, that with the most jobs first."""
        found = [one for one in self.storages if one.type == "dir" and "backup" in one.content and not one.disabled]
        return sorted(found, key=lambda one: (-len(self.jobs_to(one.id)), one.id == "local", one.id))

    @property
    def disk_storages(self) -> list[str]:
        """The storages that take guests' disks, that with the most room first."""
        room = Counter({one.storage: one.avail for one in self.statuses if one.active and one.enabled})
        found = [one.id for one in self.storages if "images" in one.content and not one.disabled]
        return sorted(found, key=lambda one: (-room[one], one))


def _takes_all(job: BackupJob, vmid: int) -> bool:
    return job.selection.startswith("all") and str(vmid) not in shapes.words(job.raw.get("exclude"))


def discover(reader: Reader) -> Discovered:
    """Look at the site. Raises as :meth:`Reader.get`; what a privilege or an offline node hides is a gap."""
    release = str(reader.get("/version").get("release", ""))
    states = {str(raw["node"]): raw.get("status") != "offline" for raw in reader.get("/nodes")}
    online = sorted(name for name, up in states.items() if up)
    gaps = [Gap(f"node {name}", "it is offline", f"node {name} online") for name, up in states.items() if not up]
    held = reader.get("/access/permissions")
    complete = rights.judge(held, [], reader)
    gaps += [gap for gap in (complete.guests, complete.storages) if gap]
    zones, bridges, statuses = {}, {}, []
    for name in online:
        time, network, seen = _look_at(reader, name)
        gaps += [one for one in (time, network, seen) if isinstance(one, Gap)]
        zones[name] = "" if isinstance(time, Gap) else str(time.get("timezone", ""))
        bridges[name] = [] if isinstance(network, Gap) else [str(one["iface"]) for one in network if _isolated(one)]
        statuses += [] if isinstance(seen, Gap) else [shapes.storage_status(name, raw) for raw in seen]
    gaps += [] if any(bridges.values()) else _hidden_bridges(reader, held, release)
    cluster, addresses = _cluster(reader)
    guests = (shapes.guest(raw, {}) for raw in reader.get("/cluster/resources", type="vm"))
    return Discovered(
        name=cluster or next(iter(online), "site"),
        release=release,
        nodes={name: addresses.get(name, "") for name in sorted(states)},
        zones=zones,
        guests=tuple(sorted((one for one in guests if DRILL_TAG not in one.tags), key=lambda one: one.vmid)),
        jobs=_jobs(reader, gaps),
        storages=tuple(shapes.storage(raw) for raw in reader.get("/storage")),
        statuses=tuple(statuses),
        bridges=_by_bridge(bridges),
        gaps=tuple(dict.fromkeys(gaps)),
    )


def _look_at(reader: Reader, node: str) -> tuple[Any, ...]:
    """A node's clock, its bridges, its storages; each may be a gap."""
    return (
        reader.ask(f"the time zone of node {node}", f"/nodes/{node}/time"),
        reader.ask(f"the bridges of node {node}", f"/nodes/{node}/network", type="bridge"),
        reader.ask(f"the storages of node {node}", f"/nodes/{node}/storage"),
    )


def _hidden_bridges(reader: Reader, held: rights.Rights, release: str) -> list[Gap]:
    """Why there may be bridges although none fits: those that the token may not see are left out without a word."""
    name, path = DISCOVERY.name, "/sdn/zones"
    if not DISCOVERY.known_in(release_of(release)) or any(name in held.get(one, {}) for one in ("/", "/sdn", path)):
        return []
    reason = f"the token {reader.pve.token.id} has no {name} on {path}, so some may be hidden"
    return [Gap("the bridges", reason, f"{name} on {path}: {reader.pve.grant(name, path)}")]


def _isolated(interface: Mapping[str, Any]) -> bool:
    """Whether a bridge has neither ports nor an address of the node."""
    return not any(interface.get(key) for key in ("bridge_ports", "address", "cidr", "address6", "cidr6"))


def _by_bridge(bridges: Mapping[str, list[str]]) -> dict[str, tuple[str, ...]]:
    """Each bridge with the nodes that have it, that of the most nodes first."""
    found: dict[str, tuple[str, ...]] = {}
    for node, names in bridges.items():
        for name in names:
            found[name] = (*found.get(name, ()), node)
    return dict(sorted(found.items(), key=lambda one: (-len(one[1]), one[0])))


def _cluster(reader: Reader) -> tuple[str, dict[str, str]]:
    """The cluster's name ("" for a single node) and the address of each node."""
    status = reader.ask("the cluster's status", "/cluster/status")
    lines = [] if isinstance(status, Gap) else status
    name = next((str(one.get("name", "")) for one in lines if one.get("type") == "cluster"), "")
    return name, {str(one["name"]): str(one.get("ip", "")) for one in lines if one.get("type") == "node"}


def _jobs(reader: Reader, gaps: list[Gap]) -> tuple[BackupJob, ...]:
    listed = reader.ask("the backup jobs", "/cluster/backup")
    if isinstance(listed, Gap):
        gaps.append(listed)
        return ()
    return tuple(shapes.job(raw, {}) for raw in listed)
