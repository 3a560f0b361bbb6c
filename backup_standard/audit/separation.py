"""Whether two sets of disks are apart for certain, share a disk for certain, or cannot be told from the node."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from backup_standard.audit.devices import Resting
from backup_standard.errors import Unknown, Unread
from backup_standard.model.devices import Block
from backup_standard.model.gaps import Gap

_VIRTUAL = re.compile(r"qemu|vmware|vbox|virtual|msft|xen|0x1af4|red hat|amazon elastic|persistentdisk", re.IGNORECASE)
_CONTROLLER = re.compile(
    r"\bperc\b|megaraid|\bmr\d{4}|\braid\b|logical.?volume|serveraid|smart ?array|\bp[24]\d0i\b|\bareca\b|\barc-\d|"
    r"adaptec|3ware|\bavago\b|dellboss|\bmscc\b|microsemi|intelraid",
    re.IGNORECASE,
)
_SAN = re.compile(
    r"netapp|\blun\b|\bdgc\b|\bemc\b|symmetrix|3pardata|\bpure\b|open-v|\b2145\b|compelnt|nimble|eqlogic|lio-org|\biet\b|"
    r"synology|qnap|truenas|freenas|huawei|\bhpe?\b.*msa",
    re.IGNORECASE,
)
_NETWORKED = frozenset({"fc", "fcoe", "iscsi"})
NEED = "a look at the drives, written down as an attestation"


def doubt(disk: Block) -> str:
    """Why a disk that the node shows may be something else than one drive of its own; empty when it is one."""
    names = f"{disk.vendor} {disk.model}"
    if disk.transport in _NETWORKED or _SAN.search(names):
        return f"{disk} is a LUN of a storage array"
    if disk.kernel.startswith(("vd", "xvd")) or disk.transport == "virtio" or _VIRTUAL.search(names):
        return f"{disk} is a virtual disk"
    if _CONTROLLER.search(names):
        return f"{disk} is a volume of a RAID controller"
    if not disk.serial and not disk.wwn:
        return f"{disk} shows neither serial number nor WWN"
    return ""


@dataclass(frozen=True)
class Separation:
    """``shared`` says for certain which disks are the same; ``undecided`` what cannot be told, each with its reason."""

    backup: Resting
    holders: Mapping[str, Resting]
    shared: tuple[str, ...] = ()
    undecided: tuple[str, ...] = field(default=())
    need: str = NEED
    broken: bool = False

    def prove(self) -> None:
        """Return when everything could be told. Unknown when not."""
        if self.undecided:
            fact = "whether the backups lie on drives of their own"
            raise Gap(fact, "; ".join(self.undecided), self.need, self.broken).as_error()


def compare(backup: Resting, holders: Mapping[str, Callable[[], Resting]], unread: Gap | None = None) -> Separation:
    """Compare the disks under the backups with those under each holder of guest disks (resolved here, by name).

    ``unread``: what may hide a further holder.
    """
    found: dict[str, Resting] = {}
    shared: list[str] = []
    undecided = [f"{unread.fact}: {unread.reason}"] if unread else []
    need, broken = (unread.need, unread.broken) if unread else (NEED, False)
    for name, resolve in holders.items():
        try:
            found[name] = resolve()
        except Unknown as unknown:
            undecided.append(f"{unknown.fact}: {unknown.reason}")
            need, broken = unknown.need or need, broken or isinstance(unknown, Unread)
            continue
        shared += [f"{said}, and so does {name}" for said in _same(backup, found[name])]
        undecided += [f"{said} (for {name})" for said in _open(backup, found[name])]
    return Separation(backup, found, tuple(dict.fromkeys(shared)), tuple(dict.fromkeys(undecided)), need, broken)


def _pairs(backup: Resting, holder: Resting) -> Iterator[tuple[Block, Block]]:
    return ((mine, other) for mine in backup.disks for other in holder.disks)


def _same(backup: Resting, holder: Resting) -> Iterable[str]:
    """Disks that are certainly the same: by device, by WWN, or by the serial number of drives that show their own."""
    for mine, other in _pairs(backup, holder):
        if mine.path == other.path:
            yield f"the backups lie on {mine}"
        elif mine.wwn and mine.wwn == other.wwn:
            yield f"the backups lie on {mine}, the same drive as {other.path} by its WWN {mine.wwn}"
        elif mine.serial and mine.serial == other.serial and not any(map(_serial_may_repeat, (mine, other))):
            yield f"the backups lie on {mine}, the same drive as {other.path} by its serial number"


def _serial_may_repeat(disk: Block) -> bool:
    """Whether different drives can show this serial number: bridges and controllers show one of their own."""
    return disk.transport == "usb" or bool(doubt(disk))


def _open(backup: Resting, holder: Resting) -> Iterable[str]:
    """What cannot be told of two sets of disks.

    A drive with an identity of its own that the node drives itself is no member of an array or of a host below, so
    two disks can only be the same unseen when both are doubtful.
    """
    if backup.server and backup.server == holder.server:
        yield f"both lie on server {backup.server}"
    for mine in backup.disks:
        doubtful = [other for other in holder.disks if other.path != mine.path and doubt(other)]
        if doubtful and doubt(mine):
            more = f" like {len(doubtful) - 1} more" if len(doubtful) > 1 else ""
            yield f"{doubt(mine)}, and {doubt(doubtful[0])}{more}: they may share drives unseen"
    for mine, other in _pairs(backup, holder):
        if _may_be_twins(mine, other):
            yield f"{mine} and {other} show the same serial number, which a bridge may give to several drives"


def _may_be_twins(mine: Block, other: Block) -> bool:
    """Whether two devices show one serial number that does not prove them the same drive."""
    if mine.path == other.path or not mine.serial or mine.serial != other.serial or (doubt(mine) and doubt(other)):
        return False
    return _serial_may_repeat(mine) or _serial_may_repeat(other)
