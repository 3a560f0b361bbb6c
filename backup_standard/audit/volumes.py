"""Which of a guest's volumes are in its backups.

Upstream: PVE/QemuConfig.pm and PVE/LXC/Config.pm decide. Only the flag ``included`` counts: the reason beside it says
"backup=no" for some that are included. Mount points of containers are left out unless told otherwise.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from backup_standard.audit.jobs import JobOnNode
from backup_standard.model import IncludedVolume
from backup_standard.quantities import parse_size

_SIZE = re.compile(r"(?:^|,)size=([^,]+)")
_SHARED_FOLDERS = ("virtiofs",)


@dataclass(frozen=True)
class Volumes:
    """A guest's volumes: those in its backups, those left out, those left out with a reason in the inventory.

    ``passed_through`` are devices of the node in the backups as a whole, ``outside`` folders of the node that no backup
    of a guest ever holds.
    """

    included: tuple[IncludedVolume, ...] = ()
    left_out: tuple[IncludedVolume, ...] = ()
    declared: tuple[str, ...] = ()
    passed_through: tuple[str, ...] = ()
    outside: tuple[str, ...] = ()

    @property
    def missing(self) -> str:
        """What is left out, in words."""
        return ", ".join([f"{one.key} ({one.volid})" for one in self.left_out] + list(self.outside))


def judge(jobs: Sequence[JobOnNode], vmid: int, config: Mapping[str, str], reasons: Mapping[str, str]) -> Volumes:
    """The volumes by the job that includes most of them; ``reasons`` are the inventory's, by key."""
    each = [_by_job(job.job.includes.get(vmid, ()), config, reasons) for job in jobs]
    return min(each, key=lambda found: len(found.left_out), default=Volumes())


def _by_job(listed: Sequence[IncludedVolume], config: Mapping[str, str], reasons: Mapping[str, str]) -> Volumes:
    data = [one for one in listed if not _is_unused_firmware(one, config)]
    left_out = [one for one in data if not one.included]
    shared = [key for key in config if key.startswith(_SHARED_FOLDERS)]
    return Volumes(
        included=tuple(one for one in data if one.included),
        left_out=tuple(one for one in left_out if one.key not in reasons),
        declared=tuple(f"{one.key}: {reasons[one.key]}" for one in left_out if one.key in reasons),
        passed_through=tuple(f"{one.key} ({one.volid})" for one in data if one.included and one.volid.startswith("/")),
        outside=tuple(f"{key} ({config[key]})" for key in shared if key not in reasons),
    )


def _is_unused_firmware(volume: IncludedVolume, config: Mapping[str, str]) -> bool:
    """An EFI disk of a guest that starts by BIOS: Proxmox leaves it out, and the guest never reads it."""
    return volume.key.startswith("efidisk") and not volume.included and config.get("bios", "seabios") != "ovmf"


def full_size(volumes: Volumes, config: Mapping[str, str]) -> int | None:
    """The size in bytes of all volumes in the backups together, None where the configuration lacks one."""
    found = [_SIZE.search(config.get(one.key, "")) for one in volumes.included]
    return sum(parse_size(match[1]) for match in found if match) if found and all(found) else None


def remedy(volumes: Volumes, vmid: int, config: Mapping[str, str], *, is_container: bool) -> str:
    """The commands that put what is left out into the backups; a sentence for what no backup can hold."""
    lines = []
    for one in volumes.left_out:
        if is_container and one.volid.startswith("/"):
            lines.append(f"{one.key} is a folder of the node; move its data into a volume: backups of a guest skip it.")
            continue
        kept = [part for part in config.get(one.key, one.volid).split(",") if not part.startswith("backup=")]
        value = ",".join([*kept, "backup=1"] if is_container else kept)
        lines.append(shlex.join(["pct" if is_container else "qm", "set", str(vmid), f"--{one.key}", value]))
    lines += [
        f"Move the data of {one} into a disk of the guest: it is a folder of the node." for one in volumes.outside
    ]
    lines.append(f"Where it holds nothing worth keeping: guests: {{{vmid}: {{not_backed_up: {{KEY: reason}}}}}}")
    return "\n".join(lines)
