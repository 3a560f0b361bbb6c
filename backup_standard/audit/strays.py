"""Archives that retention never touches: of guests that are gone, protected ones, files of other names."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from backup_standard.model import Archive, DumpFolder, Facts, Gap
from backup_standard.model.facts import known
from backup_standard.quantities import say_size


@dataclass(frozen=True)
class Stray:
    """One such archive, why nothing removes it, and its size in bytes where it shows."""

    archive: Archive
    reason: str
    size: int | None

    def __str__(self) -> str:
        size = say_size(self.size) if self.size is not None else "size unknown"
        return f"{self.archive.filename} ({self.reason}, {size})"


def find(facts: Facts, key: str) -> tuple[Stray, ...]:
    """The strays of a "node/storage", oldest first. Unknown when its archives were not read."""
    folder = facts.dumps.get(key)
    files = folder.by_name if isinstance(folder, DumpFolder) else {}
    found = []
    known(facts.storages)  # without them it is not known where archives could be
    for archive in known(facts.archives.get(key, Gap(f"the archives of {key}", "they were not read"))):
        reason = _reason(facts, archive)
        if reason:
            file = files.get(archive.filename)
            found.append(Stray(archive, reason, file.size if file else archive.size))
    return tuple(found)


def _reason(facts: Facts, archive: Archive) -> str:
    if archive.renamed:
        return "renamed, so that Proxmox no longer knows whose it is"
    if archive.protected:
        return "protected"
    guest = facts.guests.get(archive.vmid)
    if guest is None:
        return f"guest {archive.vmid} is gone"
    if not isinstance(guest, Gap) and guest.kind != archive.kind:
        return f"guest {archive.vmid} is another one now"
    return ""


def say(strays: Sequence[Stray], most: int = 5) -> str:
    """The strays in words, the total first."""
    total = say_size(sum(stray.size or 0 for stray in strays))
    shown = ", ".join(map(str, strays[:most])) + (f" and {len(strays) - most} more" if len(strays) > most else "")
    return f"{len(strays)} ({total}): {shown}"
