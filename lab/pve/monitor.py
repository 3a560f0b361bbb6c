"""The human monitor over the API, with its rules on who may say what.

Upstream: PVE/QemuServer/HMPPerms.pm (9), PVE/API2/Qemu.pm monitor (8). An error of the monitor is text with status 200.
"""

from __future__ import annotations

from lab.hypervisor import HypervisorError
from lab.pve.call import Call, die
from lab.pve.config import guest_of

FREE = frozenset({"?", "help", "info"})
MODIFY = frozenset(
    (  # noqa: SIM905 - words read better than so many strings
        "announce_self backup_cancel balloon block_job_cancel block_job_complete block_job_pause block_job_resume"
        " block_job_set_speed block_resize block_set_io_throttle boot_set c calc_dirty_rate cancel_vcpu_dirty_limit"
        " chardev-send-break closefd commit cont cpu delvm eject exit_preconfig expire_password getfd gpa2hpa gpa2hva"
        " gva2gpa i loadvm log migrate_cancel migrate_continue migrate_pause migrate_set_capability"
        " migrate_set_parameter migrate_start_postcopy mouse_button mouse_move mouse_set one-insn-per-tb p print q"
        " qemu-io qom-get qom-list quit replay_break replay_delete_break replay_seek ringbuf_read ringbuf_write s"
        " savevm sendkey set_link set_password set_vcpu_dirty_limit snapshot_blkdev_internal"
        " snapshot_delete_blkdev_internal stop stopcapture sum sync-profile system_powerdown system_reset system_wakeup"
        " trace-event x x_colo_lost_heartbeat xp"
    ).split()
)
"""Commands for which release 9 wants Sys.Modify on /; those in neither set are for root@pam alone."""


def monitor(call: Call) -> object:
    """POST …/monitor."""
    command = str(call.params["command"])
    word = command.split(maxsplit=1)[0] if command.strip() else ""
    _check(call, word)
    guest = guest_of(call)
    if not call.site.hypervisor.is_running(guest.vmid):
        return f"ERROR: VM {guest.vmid} not running\n"
    try:
        return call.site.hypervisor.monitor(guest.vmid, command)
    except HypervisorError as error:
        return f"ERROR: {error}\n"


def _check(call: Call, word: str) -> None:
    if word in FREE or call.is_root:
        return
    if call.site.major >= 9 and word not in MODIFY:
        die(f"root-only command '{word}'")
    call.check("/", "Sys.Modify")
