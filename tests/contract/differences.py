"""Where the lab answers otherwise than was recorded, and why. An entry that no longer occurs fails its recording.

``request`` matches "METHOD PATH", ``what`` the difference as it is printed, ``names`` the record's name; all three are
regular expressions that are searched for.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from tests.contract.comparing import Difference
from tests.contract.recordings import Recorded


@dataclass(frozen=True)
class Listed:
    """One kind of difference in the named recordings ("9.2/03-restore-drill")."""

    files: tuple[str, ...]
    request: str
    what: str
    reason: str
    names: str = ""

    def covers(self, record: Recorded, found: Difference) -> bool:
        """Whether this entry is about a difference in the answer to a request."""
        return bool(
            f"{record.release}/{record.file}" in self.files
            and re.search(self.request, f"{record.method} {record.path}")
            and re.search(self.names, record.name)
            and re.search(self.what, str(found))
        )


EARLY, BASICS, BASICS_8 = "9.2/01-basics", "9.2/01b-basics", "8.4/01b-basics"
DRILL, DRILL_8 = "9.2/03-restore-drill", "8.4/03-restore-drill"
OFFLINE, MATRIX = "9.2/11-offline-full-locks", "9.2/13-permission-matrix"

DIFFERENCES = [
    Listed((EARLY,), r"GET /(cluster|nodes/pve1)$", r"^data: lacks \[.*\], has more \[\]$",
           "an index lists what is served, and the lab serves a part of the API"),
    Listed((EARLY,), "GET /access/permissions$", r"^data: lacks \['/sdn/zones",
           "the recorded node had zones of its own making for a while; later recordings have no such paths either"),
    Listed((EARLY,), "GET /access/users$", "AccessControl.pm line 1771",
           "the recorded node failed over its own user file; a later recording has the list"),
    Listed((EARLY, BASICS, BASICS_8), "GET /nodes/pve./network", "lacks .'comments'.",
           "the lab reads its interfaces from the kernel, which knows no comments"),
    Listed((BASICS, BASICS_8, OFFLINE), r"GET /nodes/pve./qemu(/200/status/current)?$", "lacks .'freemem'.",
           "guests of the lab have no balloon that tells of their memory"),
    Listed((DRILL, DRILL_8), "agent/get-fsinfo", r"disk\[\]: lacks .'serial'.",
           "the disk of a scripted guest is a virtio disk, which has no serial number"),
    Listed((DRILL, DRILL_8), "agent/exec-status", "exited|err-data|exitcode|status: 500",
           "a program in a scripted guest has ended at once, so its result is there, and gone, one request earlier",
           names="immediately|later|sleeping"),
    Listed((DRILL, DRILL_8), "agent/file-read", "data.bytes-read: 16, recorded 20",
           "the recorded count does not fit the recorded text; the lab counts the text"),
    Listed((DRILL, DRILL_8), "POST .*/monitor", "unknown command: 'info'", names="info block",
           reason="scripted machines have no monitor of QEMU's; the lab's virtual machines do"),
    Listed((OFFLINE,), "POST .*/monitor", "unknown command: 'help'",
           "scripted machines have no monitor of QEMU's; the lab's virtual machines do"),
    Listed((DRILL,), "GET .*/tasks/", "can't lock file|VM 201 already running",
           "a clean-up after a shutdown may hold the guest's lock for half a minute; the lab has no such race"),
    Listed(("9.2/09-storage-and-content",), "GET .*/local/content", "lacks .'ctime'.",
           "the lab does not keep when a volume was made"),
    Listed((OFFLINE,), "GET /cluster/resources", "'qemu/202/202/VM 202/pve1'",
           "the recorded list was some seconds old and did not know the guest's name yet"),
    Listed((OFFLINE, "8.4/05-template"), "GET /cluster/resources", "status: 'stopped', recorded 'prelaunch'",
           "the recorded list was some seconds old and still showed a backup that had ended"),
    Listed((OFFLINE,), "GET /cluster/resources", r"backup-hdd/pve1\](: lacks|.status: 'unknown')",
           "the recorded list remembered a storage for minutes; the lab forgets a disk that is gone at once"),
    Listed((OFFLINE,), "GET .*/tasks/.*:vzdump:200:", "job errors|does not compress with 'lzo'",
           "the lab has no lzo", names="mode stop"),
    Listed((MATRIX,), "GET .*/(content|tasks/.*)", "vma.lzo", "the lab has no lzo; its archive is a zstd one"),
    Listed((OFFLINE,), "GET .*/qemu/220/status/current", "lacks .'balloon'",
           "the lab starts no machine to back a stopped guest up, it only shows that state"),
    Listed((OFFLINE,), "GET .*/tasks/.*:vzdump:220:", "recorded .'trying to acquire lock",
           "the recorded backup met another reader of the guest's configuration"),
    Listed((OFFLINE,), "GET .*(/tasks/.*:qmrestore:202:|/qemu/202/config)", "",
           "a volume in memory takes no room of the node's filesystem, so that restore finds room",
           names="^restore to full storage|^202 after$"),
]  # fmt: skip
