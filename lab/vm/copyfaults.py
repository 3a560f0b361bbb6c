"""Faults that await a drill: each happens to the copy of a guest (its VMID + 1) when that is started or looked at.

Production stays whole. What is changed on a copy's disk ends with the copy; what is changed on the node is undone by
:meth:`CopyFaults.clear`, and before the same fault happens again.
"""

from __future__ import annotations

import re
import subprocess
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path

from lab.hypervisor import HypervisorError
from lab.settings import GUESTS, LAN_PREFIX, MIB, BuiltGuest
from lab.vm.errors import LabError
from lab.vm.hostpackages import program
from lab.vm.machinery import Machinery
from lab.vm.recipes import LEAD

PARTITION = LEAD + MIB
BOOT_CODE, SIGNATURE = 440, 510
"""Bytes of a disk's first sector: the boot code's length, and where the mark of a bootable disk stands."""
JOURNAL_REPLAYED = (0, 1)
"""Statuses of e2fsck(8): nothing to do, and done."""
CANARIES = {"golden": "/etc/hostname"}
"""By role: the file that an inventory names as data and that no service needs."""
LOOKED_AT = "guest-network-get-interfaces"
"""The question that a drill puts to the agent once it is logged in: from then on a fault of the network shows."""
ANY_PASSWORD = {
    "/etc/ssh/sshd_config.d/lab.conf": "UsePAM yes\nUseDNS no\nPermitRootLogin no\nPrintMotd no\n",
    "/etc/pam.d/sshd": "".join(f"{kind} required pam_permit.so\n" for kind in ("auth", "account", "session")),
}
BUSY, STOLEN, LEAK = "lab-busy-{}", "stolen{}", "leak{}"
JOIN_STOLEN = """
bridge=$(basename "$(readlink -f "/sys/class/net/tap$1i0/master")")
ip netns add "$2"
ip link add "$2" type veth peer name eth0 netns "$2"
ip link set "$2" master "$bridge" up
ip -n "$2" addr add "$3" dev eth0
ip -n "$2" link set eth0 up
"""
JOIN_LEAK = """
bridge=$(basename "$(readlink -f "/sys/class/net/tap$1i0/master")")
ip link add "$2" type veth peer name "$2p"
ip link set "$2p" master vmbr0 up
ip link set "$2" master "$bridge" up
"""


class CopyFaults:
    """Which copies something happens to. Asked for by the control socket, happens in the API's threads."""

    def __init__(self, machinery: Machinery) -> None:
        self._machinery = machinery
        self._awaited: dict[int, str] = {}
        machinery.hypervisor.before_agent = self._before_agent

    def expect(self, name: str, vmid: int) -> str:
        """Let the fault ``name`` happen to the copies of a guest from now on; returns what was done."""
        guest = next((guest for guest in GUESTS if guest.vmid == vmid), None)
        if guest is None:
            raise LabError(f"{name} is for the virtual machines: {', '.join(str(guest.vmid) for guest in GUESTS)}")
        if name == "canary-missing" and guest.role not in CANARIES:
            raise LabError(f"guest {vmid} has no file that none of its services needs; choose 100")
        self._awaited[vmid + 1] = name
        return f"awaits copy {vmid + 1} of guest {vmid}: {AWAITED[name][1]}"

    def clear(self) -> None:
        """Nothing happens to copies any more, and what was changed on the node is undone."""
        for copy in self._awaited:
            self._undo(copy)
        self._awaited.clear()

    def before_start(self, copy: int, volids: Mapping[str, str]) -> None:
        """Do to a copy what happens while it is off."""
        name = self._awaited.get(copy)
        if name is None:
            return
        self._undo(copy)
        if name in EDITS:
            EDITS[name](self, copy, next(iter(volids.values())))

    def _before_agent(self, copy: int, command: str) -> None:
        join = JOINS.get(self._awaited.get(copy, ""))
        if join is None or command != LOOKED_AT:
            return
        name, script = join[0].format(copy), join[1]
        if self._machinery.courier.run(["ip", "link", "show", name]).rc:
            address = f"{_original(copy).address}/{LAN_PREFIX}"
            self._must("sh", "-ec", script, "sh", str(copy), name, address)

    def _undo(self, copy: int) -> None:
        run = self._machinery.courier.run
        run(["systemctl", "stop", BUSY.format(copy)])
        run(["ip", "netns", "delete", STOLEN.format(copy)])
        for name in (STOLEN.format(copy), LEAK.format(copy)):
            run(["ip", "link", "delete", name])

    def _must(self, *argv: str) -> None:
        done = self._machinery.courier.run(list(argv))
        if done.rc:
            raise HypervisorError(f"the fault could not be caused: {(done.stderr or done.stdout).strip()}")

    def break_bootloader(self, _copy: int, volid: str) -> None:
        """Take the boot code and the mark of a bootable disk out of the first sector."""
        with self._machinery.hypervisor.disks.disk(volid, writable=True) as disk:
            disk.write_at(0, bytes(BOOT_CODE))
            disk.write_at(SIGNATURE, bytes(2))

    def take_any_password(self, _copy: int, volid: str) -> None:
        """Let the SSH server ask PAM, and PAM permit everything."""
        with tempfile.TemporaryDirectory(prefix="fault-") as folder:
            orders = []
            for number, (path, text) in enumerate(ANY_PASSWORD.items()):
                source = Path(folder) / str(number)
                source.write_text(text)
                orders += [f"rm {path}", f"write {source} {path}"]
            edit(self._machinery.hypervisor.disks.file(volid), orders)

    def lose_canary(self, copy: int, volid: str) -> None:
        """Remove the file that the inventory names as data."""
        edit(self._machinery.hypervisor.disks.file(volid), [f"rm {CANARIES[_original(copy).role]}"])

    def keep_open(self, copy: int, volid: str) -> None:
        """Let a process of the node hold the copy's disk open, so that LVM will not remove it."""
        device = self._machinery.hypervisor.disks.device(volid)
        held = f"StandardInput=file:{device}"
        self._must("systemd-run", f"--unit={BUSY.format(copy)}", f"--property={held}", "sleep", "infinity")


def edit(file: Path, orders: list[str]) -> None:
    """Change the ext4 file system of a disk that is off, by orders of debugfs(8); HypervisorError when one fails.

    The journal is replayed first, or the copy of a guest that was backed up while it ran would undo them as it boots.
    """
    disk = f"{file}?offset={PARTITION}"
    replayed = subprocess.run([program("e2fsck"), "-p", "-E", "journal_only", disk], check=False, capture_output=True)
    script = "".join(f"{order}\n" for order in orders)
    line = [program("debugfs"), "-w", "-f", "-", disk]
    done = subprocess.run(line, check=False, capture_output=True, text=True, input=script)
    said = [text for text in done.stderr.splitlines() if not re.match(r"debugfs \d", text)]
    if replayed.returncode not in JOURNAL_REPLAYED or done.returncode or said:
        why = "; ".join(said) or f"e2fsck: {replayed.stdout.decode(errors='replace').strip()}"
        raise HypervisorError(f"the fault could not be caused: {why}")


def _original(copy: int) -> BuiltGuest:
    return next(guest for guest in GUESTS if guest.vmid + 1 == copy)


EDITS: Mapping[str, Callable[[CopyFaults, int, str], None]] = {
    "bootloader-broken": CopyFaults.break_bootloader,
    "any-password": CopyFaults.take_any_password,
    "canary-missing": CopyFaults.lose_canary,
    "disk-busy": CopyFaults.keep_open,
}
JOINS = {"stolen-address": (STOLEN, JOIN_STOLEN), "production-reachable": (LEAK, JOIN_LEAK)}
AWAITED: Mapping[str, tuple[int, str]] = {
    "bootloader-broken": (220, "its disk has no boot code"),
    "any-password": (200, "its SSH server accepts any password"),
    "canary-missing": (100, "its canary file is gone"),
    "disk-busy": (100, "its disk cannot be removed"),
    "stolen-address": (210, "another host on its network has its address"),
    "production-reachable": (220, "its network is joined to production's"),
}
"""Each fault: the guest it is for where none is named, and what it does."""
