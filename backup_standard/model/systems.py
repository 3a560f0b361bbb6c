"""A node's operating system as far as backups depend on it: its disks' health, the kernel's complaints, its clock."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from backup_standard.model.devices import Devices
from backup_standard.model.gaps import Gap


@dataclass(frozen=True)
class KernelLine:
    """A warning or an error of the kernel: when (epoch seconds) and what."""

    at: int
    text: str

    def __str__(self) -> str:
        return self.text


@dataclass(frozen=True)
class System:
    """What one node's own tools told.

    ``smart`` says of each whole disk, by path, whether SMART calls it healthy; ``kernel`` holds the kernel's warnings
    and errors of the last two weeks; ``scheduler`` the properties of pvescheduler's unit; ``clock`` what timedatectl
    shows; ``cron`` the backup jobs in /etc/pve/vzdump.cron, which cron runs and not pvescheduler.
    """

    devices: Devices | Gap
    smart: Mapping[str, bool | Gap] = field(default_factory=dict)
    kernel: tuple[KernelLine, ...] | Gap = ()
    scheduler: Mapping[str, str] | Gap = field(default_factory=dict)
    clock: Mapping[str, str] | Gap = field(default_factory=dict)
    cron: tuple[str, ...] = ()

    def gaps(self) -> list[Gap]:
        """Everything that could not be read, health of single disks left out."""
        parts: list[object] = [self.devices, self.kernel, self.scheduler, self.clock]
        if isinstance(self.devices, Devices):
            parts += [self.devices.groups, self.devices.volumes, self.devices.pools, self.devices.btrfs]
        return [part for part in parts if isinstance(part, Gap)]
