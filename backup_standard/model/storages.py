"""Storages as the cluster defines them and as each node sees them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Storage:
    """A storage's definition. ``is_mountpoint`` is "" when unset, else "yes" or the path that must be mounted.

    ``subfolders`` are content types that lie elsewhere below the path than usual (``content-dirs``); ``backing`` says
    where a storage that is no directory lies (vgname, thinpool, pool, server, portal).
    """

    id: str
    type: str
    content: frozenset[str]
    path: str | None = None
    nodes: frozenset[str] | None = None
    disabled: bool = False
    shared: bool = False
    is_mountpoint: str = ""
    prune: Mapping[str, int] | None = None
    subfolders: Mapping[str, str] = field(default_factory=dict)
    backing: Mapping[str, str] = field(default_factory=dict)

    def on(self, node: str) -> bool:
        """Whether the definition makes it available on that node."""
        return not self.disabled and (self.nodes is None or node in self.nodes)

    @property
    def dump_folder(self) -> str | None:
        """The folder of its archives, None when it is no directory or holds none (upstream: PVE/Storage/Plugin.pm)."""
        if not self.path or "backup" not in self.content:
            return None
        return f"{self.path.rstrip('/')}/{self.subfolders.get('backup', 'dump').strip('/')}"

    def __str__(self) -> str:
        return f"storage {self.id}"


@dataclass(frozen=True)
class StorageStatus:
    """A storage seen from one node; sizes in bytes."""

    storage: str
    node: str
    active: bool
    enabled: bool
    total: int
    used: int
    avail: int
