"""The data of a container's backup (derived from upstream's PVE/VZDump/LXC.pm; no recording exists).

The lab's volumes cannot take storage snapshots, so "snapshot" of a running container becomes "suspend", as on a real
node with thick LVM.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from lab.pve import coverage, guestconfig, vzdump_log
from lab.pve.tasks import TaskError

if TYPE_CHECKING:
    from lab.pve.backup_guest import GuestBackup


def copy(backup: GuestBackup) -> int:
    """Write the archive of a container: its size in bytes."""
    guest, hypervisor = backup.guest, backup.site.hypervisor
    downgrade = backup.running and str(backup.target.options.get("mode", "snapshot")) != "stop"
    for line in vzdump_log.container_head(guest.name, backup.archive, downgrade=downgrade):
        backup.say(line)
    root = next((one.name for one in coverage.volumes(guest) if one.key == "rootfs"), None)
    if root is None:
        raise TaskError(f"unable to find root filesystem of CT {guest.vmid}")
    kept = {key: value for key, value in guest.config.items() if key not in {"lock", "parent"}}
    began = backup.site.now()
    moved = [0]

    def progress(done: int, _total: int) -> None:
        backup.log.check()
        moved[0] = done

    size = backup.written(
        lambda path, tell: hypervisor.write_container_archive(
            path, root, guestconfig.render(kept), backup.target.compress, tell
        ),
        progress,
    )
    backup.say(vzdump_log.container_written(moved[0], backup.site.now() - began))
    return size
