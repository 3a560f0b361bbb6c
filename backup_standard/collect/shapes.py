"""Answers of the API as values of the model: pure, one function an answer. Numbers may arrive as text (upstream)."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

from backup_standard.collect.shapeless import count, identifier, moment, node_name, rows, scalar
from backup_standard.model import (
    Archive,
    BackupJob,
    Gap,
    Guest,
    GuestKind,
    IncludedVolume,
    Node,
    Storage,
    StorageStatus,
    Task,
)

Json = Mapping[str, Any]


def truth(value: Any) -> bool:
    """A Proxmox boolean: 1, "1", "yes", "on", "true" in any case."""
    return str(value).lower() in {"1", "yes", "on", "true"}


def text_of(value: Any) -> str:
    """A value as text; what is no scalar as JSON."""
    return json.dumps(value, sort_keys=True) if isinstance(value, dict | list) else str(value)


def texts(raw: Json) -> dict[str, str]:
    """A flat mapping with every value as text."""
    return {str(key): text_of(value) for key, value in raw.items()}


def words(value: Any) -> tuple[str, ...]:
    """A list in Proxmox's notation: separated by comma, semicolon or space."""
    return tuple(str(value or "").replace(",", " ").replace(";", " ").split())


def keeps(raw: Any, maxfiles: Any = None) -> dict[str, int] | None:
    """Retention as keep counts, from an object (jobs) or a property string (storages); None when there is none.

    ``maxfiles`` (PVE 7 and 8): N is keep-last=N, 0 is keep-all=1 (upstream: PVE/VZDump/Common.pm).
    """
    if raw is None and maxfiles is not None:
        return {"keep-last": int(maxfiles)} if int(maxfiles) else {"keep-all": 1}
    if raw is None:
        return None
    pairs = (
        raw.items() if isinstance(raw, dict) else (part.split("=", 1) for part in str(raw).split(",") if "=" in part)
    )
    return {str(key).strip(): int(value) for key, value in pairs}


def node(name: str, status: Json, time: Json, skew: float) -> Node:
    """One node that answered; ``skew`` in seconds."""
    version = scalar(status.get("pveversion", "")).split("/")
    kernel = status.get("current-kernel") or {}
    return Node(
        name=name,
        online=True,
        version=version[1] if len(version) > 1 else "",
        timezone=scalar(time.get("timezone", "")),
        now=moment(time["time"]),
        skew=skew,
        kernel=str(kernel.get("release") or status.get("kversion", "")),
    )


def guest(raw: Json, config: Json) -> Guest:
    """One entry of /cluster/resources with its configuration."""
    return Guest(
        vmid=int(raw["vmid"]),
        kind=GuestKind(raw["type"]),
        name=scalar(raw.get("name", "")),
        node=node_name(raw["node"]),
        status=scalar(raw.get("status", "unknown")),
        template=truth(raw.get("template", 0)),
        tags=words(raw.get("tags")),
        lock=raw.get("lock") or (str(config["lock"]) if "lock" in config else None),
        pool=raw.get("pool"),
        config=texts(config),
    )


def job(raw: Json, included: Json) -> BackupJob:
    """One job of /cluster/backup with its included volumes."""
    includes, ghosts = _included(rows(included.get("children") or []))
    return BackupJob(
        id=identifier(raw["id"]),
        enabled=truth(raw.get("enabled", 1)),
        schedule=_schedule(raw),
        storage=raw.get("storage"),
        mode=scalar(raw.get("mode", "snapshot")),
        compress=None if raw.get("compress") is None else scalar(raw["compress"]),
        prune=keeps(raw.get("prune-backups")),
        remove=None if raw.get("remove") is None else truth(raw["remove"]),
        node=raw.get("node"),
        selection=_selection(raw),
        vmids=tuple(int(vmid) for vmid in words(raw.get("vmid"))),
        includes=includes,
        ghosts=ghosts,
        raw=texts(raw),
    )


_WEEK = "mon,tue,wed,thu,fri,sat,sun"


def _schedule(raw: Json) -> str:
    """When it runs; before 7.1 ``starttime`` and ``dow`` said so (upstream: PVE/API2/Backup.pm, which joins them)."""
    if "schedule" in raw or not raw.get("starttime"):
        return scalar(raw.get("schedule", ""))
    start, days = scalar(raw["starttime"]), ",".join(words(raw.get("dow")))
    return start if days in {"", _WEEK} else f"{days} {start}"


def _selection(raw: Json) -> str:
    if truth(raw.get("all", 0)):
        excluded = ", ".join(words(raw.get("exclude")))
        return f"all but {excluded}" if excluded else "all"
    return f"pool {raw['pool']}" if raw.get("pool") else "list"


def _included(children: Iterable[Json]) -> tuple[dict[int, tuple[IncludedVolume, ...]], tuple[int, ...]]:
    """The tree of included_volumes; volume ids there read "VMID:key", a listed VMID without guest is "unknown"."""
    includes: dict[int, tuple[IncludedVolume, ...]] = {}
    ghosts = []
    for child in children:
        vmid = int(child["id"])
        if child.get("type") == "unknown":
            ghosts.append(vmid)
            continue
        includes[vmid] = tuple(
            IncludedVolume(vmid, str(one["id"]).partition(":")[2], str(one.get("name", "")), truth(one.get("included")))
            for one in rows(child.get("children") or [])
        )
    return includes, tuple(ghosts)


_BACKING = ("vgname", "thinpool", "pool", "server", "portal", "export", "share")


def storage(raw: Json) -> Storage:
    """One entry of GET /storage."""
    mountpoint = str(raw.get("is_mountpoint", ""))
    if not mountpoint.startswith("/"):
        mountpoint = "yes" if truth(mountpoint) else ""
    return Storage(
        id=identifier(raw["storage"]),
        type=scalar(raw["type"]),
        content=frozenset(words(raw.get("content"))),
        path=raw.get("path"),
        nodes=frozenset(words(raw["nodes"])) if raw.get("nodes") else None,
        disabled=truth(raw.get("disable", 0)),
        shared=truth(raw.get("shared", 0)),
        is_mountpoint=mountpoint,
        prune=keeps(raw.get("prune-backups"), raw.get("maxfiles")),
        subfolders=_pairs(raw.get("content-dirs")),
        backing={key: str(raw[key]) for key in _BACKING if raw.get(key)},
    )


def _pairs(raw: Any) -> dict[str, str]:
    """A property string as pairs: ``backup=my/dump,iso=my/iso``."""
    return {key: value for key, found, value in (part.partition("=") for part in words(raw)) if found}


def storage_status(name: str, raw: Json) -> StorageStatus:
    """One entry of GET /nodes/NODE/storage."""
    return StorageStatus(
        storage=identifier(raw["storage"]),
        node=name,
        active=truth(raw.get("active", 0)),
        enabled=truth(raw.get("enabled", 1)),
        total=count(raw.get("total", 0)),
        used=count(raw.get("used", 0)),
        avail=count(raw.get("avail", 0)),
    )


def archive(name: str, storage_id: str, raw: Json, listed: Json) -> Archive:
    """One line of the prune dry run, with what the content listing (possibly empty) adds: size, notes."""
    return Archive(
        volid=scalar(raw["volid"]),
        storage=storage_id,
        node=name,
        vmid=int(raw.get("vmid") or 0),
        kind=str(raw.get("type", "unknown")),
        ctime=moment(raw["ctime"]),
        size=count(listed["size"]) if "size" in listed else None,
        protected=raw.get("mark") == "protected" or truth(listed.get("protected", 0)),
        notes=str(listed.get("notes", "")),
    )


def task(raw: Json, log: tuple[str, ...] | Gap | None) -> Task:
    """One entry of GET /nodes/NODE/tasks. A running one has the token in its user and "RUNNING" as status."""
    user, _, token = str(raw["user"]).partition("!")
    return Task(
        upid=str(raw["upid"]),
        node=str(raw["node"]),
        type=str(raw["type"]),
        id=str(raw.get("id", "")),
        user=user,
        starttime=moment(raw["starttime"]),
        endtime=moment(raw["endtime"]) if raw.get("endtime") else None,
        status=str(raw.get("status", "")),
        tokenid=raw.get("tokenid") or token or None,
        log=None if isinstance(log, Gap) else log,
        unread=log if isinstance(log, Gap) else None,
    )
