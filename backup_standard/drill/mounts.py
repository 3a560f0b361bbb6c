"""Which file system holds a path in a guest, and whether its kernel lets anybody write there."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from backup_standard.errors import Unknown

MOUNTS = "/proc/self/mountinfo"
_SPECIAL = re.compile(r"\\([0-7]{3})")


@dataclass(frozen=True)
class Mounted:
    """A mount: where it begins, and whether it is read-only (the mount itself, or the file system as a whole)."""

    point: str
    read_only: bool

    def __str__(self) -> str:
        return f"on the file system at {self.point}, which is {'read-only' if self.read_only else 'writable'}"


def parse(text: str) -> Iterator[Mounted]:
    """The mounts of a mountinfo file in the order of mounting (upstream: proc_pid_mountinfo(5))."""
    for line in text.splitlines():
        mount, _dash, whole = line.partition(" - ")
        fields, of_all = mount.split(" "), whole.split(" ")
        if len(fields) > 5 and len(of_all) > 2:  # noqa: PLR2004 - fields by their place
            point = _SPECIAL.sub(lambda found: chr(int(found[1], 8)), fields[4])
            yield Mounted(point, "ro" in {*fields[5].split(","), *of_all[2].split(",")})


def holding(text: str, path: str) -> Mounted | None:
    """The mount that a path lies on: the last of those that contain it, for a later one hides what was there before."""
    found = [one for one in parse(text) if one.point == "/" or f"{path}/".startswith(f"{one.point}/")]
    return found[-1] if found else None


def look(guest: Any, path: str) -> Mounted:
    """The mount that holds a path of a guest (a testinfra host); Unknown where its kernel cannot be asked.

    Links are followed as far as the account may look into the folders on the way.
    """
    real = guest.run("readlink -f -- %s", path)
    mounts = guest.run(f"cat {MOUNTS}")
    found = holding(mounts.stdout, real.stdout.removesuffix("\n") if real.rc == 0 else path)
    if found is None:
        raise Unknown(f"the file system that holds {path}", reason=mounts.stderr.strip() or f"{MOUNTS} names none")
    return found
