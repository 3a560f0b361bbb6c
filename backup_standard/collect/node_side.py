"""What only the node itself shows, read over SSH: mounts, archives as files, job states, disks, scheduler and clock."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

from backup_standard.collect import node_commands, shapes
from backup_standard.collect.dumps import read_dump
from backup_standard.collect.machine import read_system
from backup_standard.collect.mounts import read_images, read_lasting_mount
from backup_standard.collect.shapeless import record, shaped
from backup_standard.collect.site import with_gaps_listed
from backup_standard.collect.vzdump_tasks import look_back
from backup_standard.collect.watching import read_journal
from backup_standard.errors import ConnectionFailed, LoginRefused, Untrusted
from backup_standard.hosts import Host, node_client, node_host
from backup_standard.hosts.backend import Notes
from backup_standard.hosts.sudo import SudoRefused
from backup_standard.inventory.schema import Inventory
from backup_standard.model import DumpFolder, Facts, Gap, JournalLine, Mount, Node, Storage
from backup_standard.model.systems import System

_STATES = "/var/lib/pve-manager/jobs"
_BY_HAND = "a look at what the commands print on the node"
_LIVES = 4
"""Nodes that are read at the same time."""


@dataclass
class NodeSide:
    """What one node showed; keys are storage ids and job ids. ``journal`` None: SSH is not the way to it."""

    mounts: dict[str, Mount | Gap | None] = field(default_factory=dict)
    job_states: dict[str, Mapping[str, str] | Gap | None] = field(default_factory=dict)
    dumps: dict[str, DumpFolder | Gap | None] = field(default_factory=dict)
    journal: tuple[JournalLine, ...] | Gap | None = None
    images: dict[str, tuple[str, ...] | Gap] = field(default_factory=dict)
    system: System | Gap | None = None

    @property
    def backups(self) -> list[Mount]:
        """The mounts of the storages that hold archives."""
        return [mount for key, mount in self.mounts.items() if key in self.dumps and isinstance(mount, Mount)]


def read_node_sides(
    inventory: Inventory, facts: Facts, tell: Callable[[str], None], recorder: Notes | None = None
) -> Facts:
    """The facts with mounts and job states of every node. Untrusted and LoginRefused are raised: they need mending."""
    names = list(facts.nodes)
    tell(f"reading mounts and disks over SSH on {', '.join(names)}")
    with ThreadPoolExecutor(max_workers=_LIVES, thread_name_prefix="nodes") as pool:
        sides = list(pool.map(lambda name: _side(inventory, facts, name, recorder), names))
    mounts: dict[str, Mount | Gap | None] = {}
    states: dict[str, Mapping[str, str] | Gap | None] = {}
    dumps: dict[str, DumpFolder | Gap | None] = {}
    for name, side in zip(names, sides, strict=True):
        mounts |= {f"{name}/{storage}": mount for storage, mount in side.mounts.items()}
        states |= {f"{name}/{job}": state for job, state in side.job_states.items()}
        dumps |= {f"{name}/{storage}": dump for storage, dump in side.dumps.items()}
    images = {
        f"{name}/{key}": found for name, side in zip(names, sides, strict=True) for key, found in side.images.items()
    }
    systems = {name: side.system for name, side in zip(names, sides, strict=True) if side.system is not None}
    read = replace(facts, mounts=mounts, job_states=states, dumps=dumps, images=images, systems=systems)
    journals = dict(facts.journals)
    journals |= {name: side.journal for name, side in zip(names, sides, strict=True) if side.journal is not None}
    return with_gaps_listed(replace(read, journals=journals))


def _side(inventory: Inventory, facts: Facts, name: str, recorder: Notes | None) -> NodeSide:
    node = facts.nodes[name]
    storages = _dir_storages(facts, name)
    jobs = [] if isinstance(facts.jobs, Gap) else sorted(facts.jobs)
    if isinstance(node, Node) and not node.online:
        return _unseen(storages, jobs, Gap(f"the mounts of node {name}", f"node {name} is offline", f"{name} online"))
    if name not in inventory.nodes:
        need = f"SSH to it: in the inventory, nodes: {{{name}: {{ssh: root@HOST}}}}"
        gap = Gap(f"the mounts of node {name}", "the inventory has no SSH for it", need)
        return _unseen(storages, jobs, gap, by_ssh=False)
    try:
        with node_client(inventory, name) as client:
            host = node_host(client, name, recorder)
            side = look(host, storages, jobs)
            system = partial(read_system, host, _storages(facts, name), side.backups)
            side.system = shaped(f"disks, scheduler and clock of node {name}", _BY_HAND, system)
            journal = partial(read_journal, host, name, look_back(facts.taken_at))
            side.journal = shaped(f"the journal of node {name}", _BY_HAND, journal)
            return side
    except (Untrusted, LoginRefused):
        raise
    except ConnectionFailed as problem:
        refused = isinstance(problem, SudoRefused)
        lost = Gap(f"the mounts of node {name}", problem.what, f"SSH: {problem.where}", broken=not refused)
        return _unseen(storages, jobs, lost)


def _unseen(storages: list[Storage], jobs: list[str], gap: Gap, *, by_ssh: bool = True) -> NodeSide:
    states = replace(gap, fact=gap.fact.replace("the mounts", "the job states"))
    files = replace(gap, fact=gap.fact.replace("the mounts", "the archives as files"))
    backups = [storage for storage in storages if storage.dump_folder]
    return NodeSide(
        {storage.id: gap for storage in storages},
        dict.fromkeys(jobs, states),
        {storage.id: files for storage in backups},
        replace(gap, fact=gap.fact.replace("the mounts", "the journal")) if by_ssh else None,
        {
            storage.id: replace(gap, fact=gap.fact.replace("the mounts", "the guest disks as files"))
            for storage in backups
        },
        replace(gap, fact=gap.fact.replace("the mounts", "disks, scheduler and clock")),
    )


def _storages(facts: Facts, node: str) -> list[Storage]:
    """The storages that are there on a node."""
    return [] if isinstance(facts.storages, Gap) else [one for one in facts.storages.values() if one.on(node)]


def _dir_storages(facts: Facts, node: str) -> list[Storage]:
    return [storage for storage in _storages(facts, node) if storage.path]


def look(host: Host, storages: list[Storage], jobs: list[str]) -> NodeSide:
    """Read one node; each command has fixed arguments, paths and ids are quoted."""
    side = NodeSide()
    fstab = host.run(node_commands.FSTAB)
    for storage in storages:
        path = str(storage.path)
        lasting = partial(read_lasting_mount, host, path, fstab.stdout if fstab.rc == 0 else "")
        side.mounts[storage.id] = shaped(f"the mount of {path}", _BY_HAND, lasting)
        if storage.dump_folder:
            files = partial(read_dump, host, path, storage.dump_folder)
            side.dumps[storage.id] = shaped(f"the files in {storage.dump_folder}", _BY_HAND, files)
            images = partial(read_images, host, storage)
            side.images[storage.id] = shaped(f"the guest disks in {path}", _BY_HAND, images)
    for job in jobs:
        side.job_states[job] = shaped(f"the state of job {job}", _BY_HAND, partial(_job_state, host, job))
    return side


def _job_state(host: Host, job: str) -> Mapping[str, str] | Gap | None:
    """The scheduler's state file of a job on that node, None when the job never ran or was seen there."""
    read = host.run(node_commands.JOB_STATE, f"{_STATES}/vzdump-{job}.json")
    if read.rc:
        return None
    try:
        state: Any = json.loads(read.stdout)
    except json.JSONDecodeError:
        return Gap(f"the state of job {job}", "its state file is not JSON", "look at it on the node")
    return shapes.texts(record(state))
