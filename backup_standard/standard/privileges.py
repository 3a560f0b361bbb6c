"""The least that each API token needs, privilege by privilege, and what stays unknown without it.

Releases are those in which Proxmox VE knows a privilege: before them a role that names it is refused, after the last
one a role loses it (upstream: PVE/AccessControl.pm; pve-access-control's changelog).
"""

from __future__ import annotations

import re
from dataclasses import dataclass

Release = tuple[int, int]
RELEASES: tuple[Release, ...] = ((7, 0), (8, 0), (9, 0))
"""The first of each major release: the variants in which commands are printed."""


@dataclass(frozen=True)
class Privilege:
    """One privilege; ``shows`` is what needs it, ``rules`` those that are unknown without it.

    ``path`` is where it is granted, downwards. ``instead_of_ssh``: needed only for nodes without SSH in the inventory.
    """

    name: str
    shows: str
    rules: tuple[str, ...] = ()
    path: str = "/"
    since: Release = (0, 0)
    until: Release = (99, 0)
    instead_of_ssh: bool = False

    def known_in(self, release: Release) -> bool:
        """Whether that release has the privilege."""
        return self.since <= release < self.until


def release_of(text: str) -> Release:
    """``9.2`` or ``8.4.21`` as numbers; a major release alone counts as its last."""
    match = re.match(r"(\d+)(?:\.(\d+))?", text)
    return (int(match[1]), int(match[2]) if match[2] else 99) if match else RELEASES[-1]


_BY_JOB = (
    "CMP-01 RET-01 RET-02 RET-03 RET-04 SCH-01 SCH-02 SCH-04 SCH-05 SCH-06 SCH-08 STO-06 STO-08 TGT-02 TGT-03 TGT-04"
    " VER-01 VER-02 VER-04 VER-06 VER-07"
)
_BY_GUEST = f"{_BY_JOB} CMP-02 STO-04 TGT-01 VER-03 VER-05 WFL-01 WFL-02"
_BY_STORAGE = (
    "CMP-02 RET-03 RET-04 RET-05 STO-01 STO-02 STO-03 STO-04 STO-05 STO-07 STO-08 VER-02 VER-03 VER-04 VER-05"
    " VER-06 WFL-01 WFL-02"
)
NOTIFICATIONS = "/mapping/notifications"

AUDIT = (
    Privilege("Datastore.Audit", "storages, archives and vzdump's defaults", tuple(_BY_STORAGE.split())),
    Privilege(
        "Sys.Audit",
        "backup jobs, everybody's tasks, the nodes' release and clock",
        tuple(f"{_BY_JOB} SCH-07 TGT-05".split()),
    ),
    Privilege("Sys.Syslog", "the journal of nodes without SSH", ("VER-04",), instead_of_ssh=True),
    Privilege("VM.Audit", "guests and their configuration", tuple(_BY_GUEST.split())),
    Privilege("Mapping.Audit", "who gets notifications", ("VER-07",), path=NOTIFICATIONS, since=(8, 1)),
)
"""What the audit reads with; nothing of it changes anything."""

DISCOVERY = Privilege("SDN.Audit", "bridges, for inventory init to find one for drills", since=(8, 0))
"""What only ``inventory init`` reads with, besides."""

NODE_RULES = (
    "CMP-02",
    "RET-04",
    "SCH-03",
    "SCH-07",
    "STO-02",
    "STO-04",
    "STO-05",
    "STO-07",
    "STO-08",
    "VER-03",
    "VER-05",
    "VER-06",
)
"""The rules that are unknown for a node that the inventory has no SSH for."""

_CONFIG = ("CDROM", "Disk", "HWType", "Network", "Options")
DRILL_GUEST = (
    Privilege("VM.Allocate", "restores into temporary VMIDs and deletes them"),
    Privilege("VM.Audit", "looks at them"),
    Privilege("VM.Clone", "clones a template whose archive restores as a template"),
    Privilege("VM.Console", "takes pictures of the screen"),
    Privilege("VM.PowerMgmt", "starts and stops them"),
    *(Privilege(f"VM.Config.{part}", "keeps them apart from production") for part in _CONFIG),
    Privilege("VM.GuestAgent.Audit", "asks the guest's agent", since=(9, 0)),
    Privilege("VM.GuestAgent.Unrestricted", "runs commands by the agent", since=(9, 0)),
    Privilege("VM.Monitor", "asks the guest's agent and runs commands by it", until=(9, 0)),
)
"""What a drill holds on temporary guests, through their pool."""

DRILL_ROLES = {
    "RestoreDrill": DRILL_GUEST,
    "RestoreSource": (Privilege("VM.Audit", "looks at the guest"), Privilege("VM.Backup", "reads its archives")),
    "RestoreTarget": (
        Privilege("Datastore.AllocateSpace", "reads archives, makes disks"),
        Privilege("Datastore.Audit", "looks at the storage"),
    ),
    "RestoreBridge": (Privilege("SDN.Use", "puts network cards on the bridge", since=(8, 0)),),
    "RestoreNode": (Privilege("Sys.Audit", "looks at the node"),),
}
"""The drill's roles and their privileges."""
