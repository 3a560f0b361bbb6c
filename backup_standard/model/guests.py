"""Guests: virtual machines and containers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from backup_standard.model.gaps import Gap

DRILL_TAG = "backup-standard-drill"
"""The tag that every temporary guest of a drill carries from its first moment."""


class GuestKind(StrEnum):
    """QEMU virtual machine or LXC container, in Proxmox's own words."""

    QEMU = "qemu"
    LXC = "lxc"


@dataclass(frozen=True)
class Guest:
    """One guest as the site shows it. ``config`` is its configuration as read, empty when ``unread`` says why not."""

    vmid: int
    kind: GuestKind
    name: str
    node: str
    status: str
    template: bool = False
    tags: tuple[str, ...] = ()
    lock: str | None = None
    pool: str | None = None
    config: Mapping[str, str] = field(default_factory=dict)
    unread: Gap | None = None

    @property
    def settings(self) -> Mapping[str, str]:
        """Its configuration, for conclusions from what stands in it and from what does not. Unknown when unread."""
        if self.unread:
            raise self.unread.as_error()
        return self.config

    def __str__(self) -> str:
        return f"{'CT' if self.kind is GuestKind.LXC else 'VM'} {self.vmid} ({self.name})"
