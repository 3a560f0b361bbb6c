"""Storages, each node's view of them, the archives on them, and what jobs take for granted there."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, TypeVar

from backup_standard.collect import shapes
from backup_standard.collect.reader import Reader
from backup_standard.collect.rights import Completeness
from backup_standard.errors import ApiError
from backup_standard.inventory.schema import Inventory
from backup_standard.model import Archive, Gap, Storage, StorageStatus

Archives = Mapping[str, tuple[Archive, ...] | Gap]
T = TypeVar("T")
_UNUSABLE = 500
_STORAGE_OFF = re.compile(r"storage '[^']*' is (disabled|not available on)|unable to activate storage '")
"""What Proxmox answers, as an error 500, of a storage that cannot be used (upstream: PVE/Storage.pm): the site's state,
which rules of its own judge, and no failure of the reading."""


def read_storages(reader: Reader) -> Mapping[str, Storage] | Gap:
    """Every storage that the token may see, by id."""
    return reader.attempt(
        "the list of storages", lambda: {one.id: one for one in map(shapes.storage, reader.rows("/storage"))}
    )


def proven(
    storages: Mapping[str, Storage] | Gap, inventory: Inventory, complete: Completeness
) -> Mapping[str, Storage] | Gap:
    """The same, or a gap where the policy storage is not among them and may merely be hidden."""
    hidden = not isinstance(storages, Gap) and inventory.policy.storage not in storages
    return complete.storages if complete.storages and hidden else storages


def read_statuses(
    reader: Reader, storages: Mapping[str, Storage] | Gap, nodes: Mapping[str, bool]
) -> dict[str, StorageStatus | Gap]:
    """Each node's view of its storages (``nodes``: whether online); a gap for every storage of one that gave none."""
    defined = {} if isinstance(storages, Gap) else storages
    found: dict[str, StorageStatus | Gap] = {}
    for name, answer in zip(nodes, reader.each(lambda one: _seen_by(reader, *one), nodes.items()), strict=True):
        if isinstance(answer, Gap):
            found |= {f"{name}/{storage.id}": answer for storage in defined.values() if storage.on(name)}
        else:
            found |= {f"{name}/{status.storage}": status for status in answer}
    return found


def _seen_by(reader: Reader, name: str, online: bool) -> list[StorageStatus] | Gap:  # noqa: FBT001 - a pair of items()
    fact = f"the storages of node {name}"
    if not online:
        return Gap(fact, f"node {name} is offline", f"node {name} online")
    return reader.attempt(
        fact, lambda: [shapes.storage_status(name, raw) for raw in reader.rows(f"/nodes/{name}/storage")]
    )


def read_archives(
    reader: Reader, storages: Mapping[str, Storage] | Gap, statuses: Mapping[str, StorageStatus | Gap]
) -> tuple[Archives, dict[str, Gap]]:
    """The archives of every storage for backups on every node that has it; a shared one is read on one node.

    The second part tells where, and why, their sizes could not be read.
    """
    if isinstance(storages, Gap):
        return {}, {}
    places: dict[str, StorageStatus | Gap] = {}
    shared: set[str] = set()
    for key, status in statuses.items():
        storage = storages.get(key.partition("/")[2])
        if storage is None or "backup" not in storage.content or storage.id in shared:
            continue
        places[key] = status
        if storage.shared and isinstance(status, StorageStatus) and status.active:
            shared.add(storage.id)
    asked = [(key, status, part) for key, status in places.items() for part in (_lines, _listing)]
    answers = reader.each(lambda one: one[2](reader, one[0], one[1]), asked)
    found: dict[str, tuple[Archive, ...] | Gap] = {}
    unsized: dict[str, Gap] = {}
    for key, lines, listing in zip(places, answers[::2], answers[1::2], strict=True):
        found[key] = _together(reader, key, lines, listing)
        if isinstance(listing, Gap) and not isinstance(lines, Gap):
            unsized[key] = listing
    return found, unsized


def _place(key: str) -> tuple[str, str]:
    node, _, storage = key.partition("/")
    return f"{storage} on node {node}", f"/nodes/{node}/storage/{storage}"


def _lines(reader: Reader, key: str, status: StorageStatus | Gap) -> Any:
    """By the dry run of a prune that keeps all: unlike the content listing it leaves nothing out."""
    words, base = _place(key)
    fact = f"the archives of {words}"
    if isinstance(status, Gap):
        return replace(status, fact=fact)
    return _attempt(reader, fact, lambda: reader.rows(f"{base}/prunebackups", **{"prune-backups": "keep-all=1"}))


def _listing(reader: Reader, key: str, status: StorageStatus | Gap) -> Any:
    """Sizes and notes, of the archives that the listing shows.

    Upstream: it drops, without a word, what the token may not restore.
    """
    words, base = _place(key)
    fact = f"the sizes of the archives of {words}"
    if isinstance(status, Gap):
        return replace(status, fact=fact)
    return _attempt(
        reader, fact, lambda: {raw["volid"]: raw for raw in reader.rows(f"{base}/content", content="backup")}
    )


def _together(reader: Reader, key: str, lines: Any, listing: Any) -> tuple[Archive, ...] | Gap:
    if isinstance(lines, Gap):
        return lines
    node, _, storage = key.partition("/")
    listed = {} if isinstance(listing, Gap) else listing

    def shape() -> tuple[Archive, ...]:
        archives = (shapes.archive(node, storage, line, listed.get(line["volid"], {})) for line in lines)
        return tuple(sorted(archives, key=lambda archive: (archive.ctime, archive.volid)))

    return reader.attempt(f"the archives of {_place(key)[0]}", shape)


def read_defaults(reader: Reader, node: str, storage: str) -> Mapping[str, str] | Gap:
    """The node's vzdump defaults as a job to the policy storage meets them.

    ``storage`` in them is what a job without a storage would use, "" when the API refuses that one (upstream answers
    500 when ``local`` may not hold backups).
    """
    path = f"/nodes/{node}/vzdump/defaults"

    def read() -> Mapping[str, str]:
        answer = reader.record(path, storage=storage)
        return shapes.texts({**answer, "storage": _unnamed(reader, path)})

    return _attempt(reader, f"the vzdump defaults of node {node}", read)


def _attempt(reader: Reader, fact: str, read: Callable[[], T]) -> T | Gap:
    """As :meth:`Reader.attempt`; a gap that is not broken where the storage cannot be used."""

    def ask() -> T | Gap:
        try:
            return read()
        except ApiError as problem:
            if _STORAGE_OFF.search(problem.what):
                return Gap(fact, problem.what)
            raise

    return reader.attempt(fact, ask)


def _unnamed(reader: Reader, path: str) -> str:
    try:
        return str(reader.record(path).get("storage", ""))
    except ApiError as problem:
        if problem.status != _UNUSABLE:
            raise
        return ""
