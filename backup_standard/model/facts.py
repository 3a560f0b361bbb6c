"""Everything one reading of a site found, and what it could not see."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TypeVar

from backup_standard.errors import Unknown
from backup_standard.model.archives import Archive
from backup_standard.model.dumps import DumpFolder
from backup_standard.model.guests import Guest
from backup_standard.model.jobs import BackupJob
from backup_standard.model.nodes import Mount, Node
from backup_standard.model.storages import Storage, StorageStatus
from backup_standard.model.tasks import Task

T = TypeVar("T")


@dataclass(frozen=True)
class Gap:
    """A fact that could not be read: why, and which privilege or access would show it."""

    fact: str
    reason: str
    need: str = ""


def known(value: T | Gap) -> T:
    """The value, or :class:`Unknown` when it is a gap."""
    if isinstance(value, Gap):
        raise Unknown(value.fact, reason=value.reason, need=value.need)
    return value


@dataclass(frozen=True)
class Facts:
    """One reading of a site. Each mapping's value is either what was read or a :class:`Gap`; use :func:`known`.

    Keys: ``nodes`` by name; ``guests`` and ``configs`` by VMID; ``jobs`` by id; ``storages`` by id; ``statuses`` and
    ``archives`` by "node/storage"; ``mounts`` by "node/storage" (the mount that holds a dir storage's path, and None
    when the path is not there); ``tasks`` (vzdump tasks of the look-back window, logs included) by node;
    ``defaults`` (the node's vzdump defaults) by node; ``job_states`` (state files, read over SSH) by "node/job";
    ``dumps`` (the files of its dump folder, read over SSH; None when the folder is not there) by "node/storage";
    ``gaps`` lists every gap met, for the preflight table.
    """

    taken_at: dt.datetime
    release: str
    nodes: Mapping[str, Node | Gap]
    guests: Mapping[int, Guest | Gap]
    jobs: Mapping[str, BackupJob] | Gap
    storages: Mapping[str, Storage] | Gap
    statuses: Mapping[str, StorageStatus | Gap]
    archives: Mapping[str, tuple[Archive, ...] | Gap]
    tasks: Mapping[str, tuple[Task, ...] | Gap]
    defaults: Mapping[str, Mapping[str, str] | Gap]
    mounts: Mapping[str, Mount | Gap | None] = field(default_factory=dict)
    job_states: Mapping[str, Mapping[str, str] | Gap | None] = field(default_factory=dict)
    dumps: Mapping[str, DumpFolder | Gap | None] = field(default_factory=dict)
    gaps: tuple[Gap, ...] = ()
