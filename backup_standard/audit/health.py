"""Whether the disk under the backups is in order: writable, without I/O errors, healthy by its own account."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

from backup_standard.audit.devices import Resolver, Resting
from backup_standard.errors import Unknown
from backup_standard.model import Gap, Mount
from backup_standard.model.devices import Block
from backup_standard.model.facts import known
from backup_standard.model.systems import KernelLine, System
from backup_standard.quantities import say_duration

_BAD = re.compile(
    r"I/O error|(?:medium|media|hardware|target|transport) error|remounting filesystem read-only|EXT4-fs error|"
    r"JBD2: .*(?:error|abort)|(?:shut|shutting) ?down|corruption|BTRFS.*(?:error|critical)|Disk failure|"
    r"device offlined|offline device|lost (?:async )?page write|failed command|timeout, (?:aborting|reset)",
    re.IGNORECASE,
)
"""What the kernel says when it cannot read or write as it should: Linux' block layer and file systems."""
_SHOWN = 3


@dataclass(frozen=True)
class Health:
    """The health of a mounted file system and of what is under it; ``since`` (epoch) bounds the kernel's complaints."""

    node: str
    mount: Mount
    system: System
    since: int

    @property
    def is_writable(self) -> bool:
        """Whether neither the mount nor the file system itself is read-only, by the kernel's own flags."""
        return not self.mount.is_read_only

    @cached_property
    def _resolver(self) -> Resolver:
        return Resolver(self.node, known(self.system.devices))

    @cached_property
    def resting(self) -> Resting:
        """The disks under it. Unknown when they cannot be followed."""
        return self._resolver.mount(self.mount)

    @cached_property
    def _names(self) -> set[str]:
        """Every name by which the kernel may speak of it: the disks, and all that lies between them and the mount."""
        names = {disk.kernel for disk in self.resting.disks}
        first = self._resolver.block(self.mount.device)
        waiting = [first] if first else []
        while waiting:
            block = waiting.pop()
            names.add(block.kernel)
            waiting += [parent for parent in map(self._resolver.block, block.parents) if parent]
        return names

    @cached_property
    def errors(self) -> tuple[KernelLine, ...]:
        """The kernel's complaints about it. Unknown when its messages were not read."""
        about = re.compile(rf"\b(?:{'|'.join(map(re.escape, sorted(self._names)))})\b") if self._names else None
        lines = known(self.system.kernel)
        return tuple(line for line in lines if line.at >= self.since and _is_bad(line, about))

    def say_errors(self, now: int) -> str:
        """The last few of them, and how long ago."""
        shown = [f"{line.text} ({say_duration(now - line.at)} ago)" for line in self.errors[-_SHOWN:]]
        return "; ".join(shown)

    @property
    def failing(self) -> list[str]:
        """Disks that call themselves failing, and pools that are not whole."""
        disks = [f"{disk} fails its SMART check" for disk in self.resting.disks if self._smart(disk) is False]
        return disks + [f"ZFS pool {name} is {state}" for name, state in self._pools if state != "ONLINE"]

    @property
    def _pools(self) -> Iterator[tuple[str, str]]:
        if self.mount.fstype == "zfs":
            name = self.mount.device.partition("/")[0]
            pools = known(known(self.system.devices).pools)
            yield from ((pool.name, pool.health) for pool in pools if pool.name == name)

    @property
    def smart(self) -> dict[str, str]:
        """What SMART says of each disk, in a word."""
        words = {True: "passed", False: "failed"}
        found = {disk.path: self._smart(disk) for disk in self.resting.disks}
        return {path: "unknown" if isinstance(told, Gap) else words[told] for path, told in found.items()}

    def _smart(self, disk: Block) -> bool | Gap:
        nothing = Gap(f"the SMART health of {disk.path}", "it was not asked", "smartmontools on the node")
        return self.system.smart.get(disk.path, nothing)

    def prove_smart(self) -> None:
        """Return when every disk says that it is healthy. Unknown when one does not tell."""
        if not self.resting.disks:
            raise Unknown("the health of the drives", reason=f"they are those of {self.resting}", need="an attestation")
        for disk in self.resting.disks:
            known(self._smart(disk))


def _is_bad(line: KernelLine, about: re.Pattern[str] | None) -> bool:
    return bool(about and about.search(line.text) and _BAD.search(line.text))
