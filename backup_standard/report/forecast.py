"""How long the whole site would take to come back, reckoned from what the drills of this run measured.

Guests whose drill passed count with their own times. Others (failed, or not drilled) are estimated: their disks at the
measured speed, and what the drilled guests took from the end of the restore until their services worked.
"""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from backup_standard.drill.guestconfig import disk_sizes
from backup_standard.model import Facts, Guest
from backup_standard.quantities import say_duration, say_size
from backup_standard.report.fragments import table, text

Json = Mapping[str, Any]


@dataclass(frozen=True)
class Recovery:
    """One guest's way back: seconds of the restore, and from its end until the services work; None when unknown."""

    guest: str
    storage: str
    size: int | None
    restore: float | None
    start: float | None
    measured: bool

    @property
    def seconds(self) -> float | None:
        """From the begin of the restore until the services work."""
        return None if self.restore is None or self.start is None else self.restore + self.start


@dataclass(frozen=True)
class Forecast:
    """The site's recovery, guest by guest. ``speed`` in bytes a second; ``storage`` is where most archives lie."""

    guests: tuple[Recovery, ...]
    speed: float

    @property
    def unknown(self) -> tuple[str, ...]:
        """Guests that no time can be given for."""
        return tuple(one.guest for one in self.guests if one.seconds is None)

    @property
    def one_by_one(self) -> float:
        """Seconds when each guest is restored and started before the next."""
        return sum(one.seconds or 0.0 for one in self.guests)

    @property
    def by_storage(self) -> float:
        """Seconds when each backup storage restores one guest after another, while those before start up."""
        ends = []
        for storage in {one.storage for one in self.guests}:
            restored = 0.0
            for one in self.guests:
                if one.storage == storage and one.seconds is not None:
                    restored += one.restore or 0.0
                    ends.append(restored + (one.start or 0.0))
        return max(ends, default=0.0)


def reckon(drills: Sequence[Json], left_out: Iterable[Json], facts: Facts | None) -> Forecast | None:
    """The forecast; None when no drill of the run measured a whole recovery."""
    measured = [one for one in map(_measured, drills) if one]
    if not measured:
        return None
    speeds = [one.size / one.restore for one in measured if one.size and one.restore]
    if not speeds:
        return None
    speed, start = statistics.median(speeds), statistics.median(one.start or 0.0 for one in measured)
    storage = statistics.mode(one.storage for one in measured)
    done = {one.guest for one in measured}
    sizes = [(_name(one), int(one.get("disk_bytes") or 0)) for one in drills if _name(one) not in done]
    sizes += [_size_of(one, facts) for one in left_out]
    estimated = (
        Recovery(name, storage, size or None, size / speed if size else None, start, measured=False)
        for name, size in sizes
    )
    return Forecast((*measured, *estimated), speed)


def section_body(found: Forecast | None) -> str:
    """The forecast as HTML; "" for none."""
    if found is None:
        return ""
    lines = [
        (
            text(one.guest),
            text(say_size(one.size) if one.size else "unknown"),
            text(one.storage),
            text(_say(one.restore)),
            text(_say(one.start)),
            "measured in this run" if one.measured else "estimated",
        )
        for one in found.guests
    ]
    said = (
        f"{len(found.guests)} guests that the policy demands backups of: {say_duration(round(found.one_by_one))} one "
        f"after another, {say_duration(round(found.by_storage))} when each backup storage restores without a pause and "
        f"guests start meanwhile. Measured speed of a restore: {found.speed / 1e6:.0f} MB/s (median). "
        "Finding hardware, installing Proxmox VE and deciding are not in it."
    )
    if found.unknown:
        said += f" Nothing can be said of {', '.join(found.unknown)}: add their time."
    heads = ("Guest", "Disks", "Backup storage", "Restore", "From there until it serves", "Basis")
    return f"<p>{text(said)}</p>{table(heads, lines, 'plain')}"


def _say(seconds: float | None) -> str:
    return "unknown" if seconds is None else say_duration(round(seconds, 1))


def _name(drill: Json) -> str:
    return f"guest {drill.get('guest', '?')} ({drill.get('name') or drill.get('role') or '?'})"


def _measured(drill: Json) -> Recovery | None:
    whole = drill.get("recovery_seconds")
    restore = next((one.get("seconds") for one in drill.get("phases") or () if one.get("name") == "restore"), None)
    if drill.get("outcome") not in {"passed", "pass"} or not whole or restore is None:
        return None
    size = int(drill["bytes"]) if drill.get("bytes") else None
    storage = str((drill.get("archive") or {}).get("volid") or "?").partition(":")[0]
    return Recovery(_name(drill), storage, size, float(restore), max(0.0, float(whole) - float(restore)), measured=True)


def _size_of(left_out: Json, facts: Facts | None) -> tuple[str, int]:
    vmid = left_out.get("vmid")
    guest = facts.guests.get(vmid) if facts and isinstance(vmid, int) else None
    return str(left_out.get("guest", "?")), sum(disk_sizes(guest.config).values()) if isinstance(guest, Guest) else 0
