"""What only the node itself shows, read over SSH: mounts and what makes them last, and the scheduler's job states."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from typing import Any

from backup_standard.collect import shapes
from backup_standard.collect.dumps import read_dump
from backup_standard.collect.site import with_gaps_listed
from backup_standard.collect.vzdump_tasks import look_back
from backup_standard.collect.watching import read_journal
from backup_standard.errors import ConnectionFailed, LoginRefused, Untrusted
from backup_standard.hosts import Host, node_client, node_host
from backup_standard.hosts.backend import Notes
from backup_standard.inventory.schema import Inventory
from backup_standard.model import DumpFolder, Facts, Gap, JournalLine, Mount, Node, Storage

_STATES = "/var/lib/pve-manager/jobs"
_LIVES = 4
"""Nodes that are read at the same time."""


@dataclass
class NodeSide:
    """What one node showed; keys are storage ids and job ids. ``journal`` None: SSH is not the way to it."""

    mounts: dict[str, Mount | Gap | None] = field(default_factory=dict)
    job_states: dict[str, Mapping[str, str] | Gap | None] = field(default_factory=dict)
    dumps: dict[str, DumpFolder | Gap | None] = field(default_factory=dict)
    journal: tuple[JournalLine, ...] | Gap | None = None


def read_node_sides(
    inventory: Inventory, facts: Facts, tell: Callable[[str], None], recorder: Notes | None = None
) -> Facts:
    """The facts with mounts and job states of every node. Untrusted and LoginRefused are raised: they need mending."""
    names = list(facts.nodes)
    tell(f"reading mounts over SSH on {', '.join(names)}")
    with ThreadPoolExecutor(max_workers=_LIVES, thread_name_prefix="nodes") as pool:
        sides = list(pool.map(lambda name: _side(inventory, facts, name, recorder), names))
    mounts: dict[str, Mount | Gap | None] = {}
    states: dict[str, Mapping[str, str] | Gap | None] = {}
    dumps: dict[str, DumpFolder | Gap | None] = {}
    for name, side in zip(names, sides, strict=True):
        mounts |= {f"{name}/{storage}": mount for storage, mount in side.mounts.items()}
        states |= {f"{name}/{job}": state for job, state in side.job_states.items()}
        dumps |= {f"{name}/{storage}": dump for storage, dump in side.dumps.items()}
    journals = dict(facts.journals)
    journals |= {name: side.journal for name, side in zip(names, sides, strict=True) if side.journal is not None}
    return with_gaps_listed(replace(facts, mounts=mounts, job_states=states, dumps=dumps, journals=journals))


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
            side.journal = read_journal(host, name, look_back(facts.taken_at))
            return side
    except (Untrusted, LoginRefused):
        raise
    except ConnectionFailed as problem:
        return _unseen(storages, jobs, Gap(f"the mounts of node {name}", problem.what, f"SSH: {problem.where}"))


def _unseen(storages: list[Storage], jobs: list[str], gap: Gap, *, by_ssh: bool = True) -> NodeSide:
    states = replace(gap, fact=gap.fact.replace("the mounts", "the job states"))
    files = replace(gap, fact=gap.fact.replace("the mounts", "the archives as files"))
    return NodeSide(
        {storage.id: gap for storage in storages},
        dict.fromkeys(jobs, states),
        {storage.id: files for storage in storages if storage.dump_folder},
        replace(gap, fact=gap.fact.replace("the mounts", "the journal")) if by_ssh else None,
    )


def _dir_storages(facts: Facts, node: str) -> list[Storage]:
    if isinstance(facts.storages, Gap):
        return []
    return [storage for storage in facts.storages.values() if storage.path and storage.on(node)]


def look(host: Host, storages: list[Storage], jobs: list[str]) -> NodeSide:
    """Read one node; each command has fixed arguments, paths and ids are quoted."""
    side = NodeSide()
    fstab = host.run("cat /etc/fstab")
    for storage in storages:
        side.mounts[storage.id] = _mount(host, str(storage.path), fstab.stdout if fstab.rc == 0 else "")
        if storage.dump_folder:
            side.dumps[storage.id] = read_dump(host, str(storage.path), storage.dump_folder)
    for job in jobs:
        side.job_states[job] = _job_state(host, job)
    return side


def _mount(host: Host, path: str, fstab: str) -> Mount | Gap | None:
    """The mount that holds a path, None when there is no such path."""
    found = host.run("findmnt -J -T %s -o TARGET,SOURCE,FSTYPE,OPTIONS,FSROOT", path)
    if found.rc:
        if host.run("test -e %s", path).rc:
            return None
        return Gap(f"the mount of {path}", f"findmnt ended with {found.rc}: {found.stderr.strip()}", "util-linux there")
    raw = json.loads(found.stdout)["filesystems"][-1]  # of several mounts on one place the last is what is seen
    mount = Mount(
        target=raw["target"],
        source=raw["source"],
        fstype=raw["fstype"],
        options=raw["options"],
        fsroot=raw.get("fsroot") or "/",
    )
    return replace(mount, persistent_by=_persistent_by(host, mount, fstab))


def _persistent_by(host: Host, mount: Mount, fstab: str) -> str | None:
    """What mounts it when the node starts: "fstab", a mount unit, "zfs"; None when nothing does."""
    if mount.target in mounted_by_fstab(fstab):
        return "fstab"
    if mount.fstype == "zfs":
        canmount = host.run("zfs get -H -o value canmount %s", mount.source)
        service = host.run("systemctl is-enabled zfs-mount.service")
        return "zfs" if canmount.stdout.strip() == "on" and service.rc == 0 else None
    unit = unit_name(mount.target)
    enabled = host.run("systemctl is-enabled %s", unit).stdout.strip() == "enabled"
    return unit if enabled else None  # "generated" is a unit from fstab, which noauto may keep from being mounted


def mounted_by_fstab(fstab: str) -> set[str]:
    """The mount points that an fstab mounts at boot, or on first use."""
    found = set()
    for line in fstab.splitlines():
        fields = line.split()
        if len(fields) < 2 or fields[0].startswith("#"):  # noqa: PLR2004 - device and mount point
            continue
        options = fields[3].split(",") if len(fields) > 3 else []  # noqa: PLR2004 - after the type
        if "noauto" not in options or "x-systemd.automount" in options:
            found.add(_unescaped(fields[1]).rstrip("/") or "/")
    return found


def _unescaped(field_text: str) -> str:
    """A field of fstab, where blanks are written in octal."""
    return field_text.replace("\\040", " ").replace("\\011", "\t").replace("\\134", "\\")


def unit_name(target: str) -> str:
    """The name of the systemd unit for a mount point (as systemd-escape --path --suffix=mount gives it)."""
    trimmed = target.strip("/")
    if not trimmed:
        return "-.mount"
    escaped = ""
    for place, letter in enumerate(trimmed):
        if letter == "/":
            escaped += "-"
        elif (letter.isascii() and letter.isalnum()) or letter in ":_" or (letter == "." and place):
            escaped += letter
        else:
            escaped += "".join(f"\\x{byte:02x}" for byte in letter.encode())
    return f"{escaped}.mount"


def _job_state(host: Host, job: str) -> Mapping[str, str] | Gap | None:
    """The scheduler's state file of a job on that node, None when the job never ran or was seen there."""
    read = host.run("cat %s", f"{_STATES}/vzdump-{job}.json")
    if read.rc:
        return None
    try:
        state: Any = json.loads(read.stdout)
    except json.JSONDecodeError:
        return Gap(f"the state of job {job}", "its state file is not JSON", "look at it on the node")
    return shapes.texts(state)
