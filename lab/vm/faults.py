"""Faults on request: what goes wrong with backups and restores in real life, caused for real where that is cheap."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Mapping
from functools import partial

from lab.hypervisor import AgentError, AgentSilent
from lab.settings import BACKUP_MOUNT, BACKUP_SERIAL, GUESTS, Folders, built_guest
from lab.vm.copyfaults import AWAITED, CopyFaults, edit
from lab.vm.errors import LabError
from lab.vm.keys import write_secret
from lab.vm.machinery import Machinery
from lab.vm.qmp import QmpError
from lab.waiting import until

DUMP = f"{BACKUP_MOUNT}/dump"
FILLER = f"{BACKUP_MOUNT}/filler"
UNITS = {"docker": "docker", "dns": "dnsmasq", "monitoring": "prometheus-node-exporter"}
DAMAGE = 4096


class Faults:
    """Causes faults of a running lab and undoes them. Not for several threads."""

    def __init__(self, machinery: Machinery, folders: Folders) -> None:
        self._machinery, self._folders = machinery, folders
        self._broken: dict[int, str] = {}
        self._damaged: dict[str, str] = {}
        self._copies = CopyFaults(machinery)
        machinery.hypervisor.before_start = self._before_start

    def cause(self, name: str, vmid: int | None) -> str:
        """Cause a fault (see :data:`FAULTS`), of one guest where that matters; returns what was done."""
        if name not in FAULTS:
            raise LabError(f"there is no fault {name!r}; there are: {', '.join(sorted(FAULTS))}")
        return FAULTS[name][0](self, vmid)

    def _node(self, *argv: str) -> str:
        return self._machinery.check(list(argv), f"run {argv[0]}")

    def unplug(self, _vmid: int | None) -> str:
        """Pull the backup disk out of the running node."""
        try:
            self._machinery.qmp("device_del", id="backup")
        except QmpError as error:
            raise LabError("the backup disk is unplugged already; 'clear' plugs it in") from error
        until(
            lambda: BACKUP_MOUNT not in self._machinery.hypervisor.node.mountpoints(),
            timeout=60,
            what=f"the end of the mount on {BACKUP_MOUNT}",
        )
        return f"the backup disk is unplugged; {BACKUP_MOUNT} is a plain directory of the system disk now"

    def fill(self, _vmid: int | None) -> str:
        """Fill the backup disk to the last byte."""
        room = self._machinery.hypervisor.node.usage(BACKUP_MOUNT).avail
        self._node("fallocate", "-l", str(max(room - (1 << 16), 1 << 16)), FILLER)
        self._machinery.courier.run(["dd", "if=/dev/zero", f"of={FILLER}", "bs=4096", "oflag=append", "conv=notrunc"])
        return f"the backup disk is full: {FILLER} holds {room >> 20} MiB"

    def read_only(self, _vmid: int | None) -> str:
        """Make the backup disk's file system read-only, as the kernel does after an error."""
        self._node("mount", "-o", "remount,ro", BACKUP_MOUNT)
        return f"{BACKUP_MOUNT} is read-only"

    def corrupt(self, vmid: int | None) -> str:
        """Change bytes in the middle of a guest's newest archive."""
        path, size = self._own_copy(vmid)
        junk = secrets.token_bytes(DAMAGE)
        with self._machinery.courier.put(
            argv=["dd", f"of={path}", "bs=4096", f"seek={size // 2 // 4096}", "conv=notrunc"]
        ) as sink:
            sink.write(junk)
        return f"{DAMAGE} bytes in the middle of {path} are damaged"

    def truncate(self, vmid: int | None) -> str:
        """Cut a guest's newest archive off in its middle."""
        path, size = self._own_copy(vmid)
        self._node("truncate", "-s", str(size // 2), path)
        return f"{path} ends after {size // 2} of its {size} bytes"

    def _own_copy(self, vmid: int | None) -> tuple[str, int]:
        """Give the newest archive bytes of its own: the nights of the history share theirs."""
        guest = built_guest(vmid or 210)
        node = self._machinery.hypervisor.node
        pattern = f"-{guest.vmid}-"
        found = [
            file for file in node.listdir(DUMP) if pattern in file.name and file.name.endswith((".vma.zst", ".tar.zst"))
        ]
        if len(found) < 2:
            raise LabError(
                f"guest {guest.vmid} has no older archive in {DUMP} to mend the newest by; 'reset' makes some"
            )
        *_, sound, newest = sorted(found, key=lambda file: file.name)
        path = f"{DUMP}/{newest.name}"
        self._damaged[path] = f"{DUMP}/{sound.name}"
        self._node("cp", "-p", path, f"{path}.copy")
        self._node("mv", f"{path}.copy", path)
        return path, newest.size

    def silence(self, vmid: int | None) -> str:
        """Let a guest's agent, and that of its restored copy, answer no more."""
        guest = vmid or 210
        self._machinery.hypervisor.silent_agents |= {guest, guest + 1}
        return f"the agents of guests {guest} and {guest + 1} are silent"

    def stop_service(self, vmid: int | None) -> str:
        """Stop a guest's service, now and in every copy that is started from now on."""
        guest = built_guest(vmid or 210)
        unit = UNITS.get(guest.role)
        if unit is None:
            raise LabError(f"guest {guest.vmid} has no service of its own; choose one of 200, 210, 220")
        self._broken |= {guest.vmid: unit, guest.vmid + 1: unit}
        self._in_guest(guest.vmid, "stop", unit)
        return f"{unit} of guest {guest.vmid} is stopped, and will not start in copies of it"

    def _in_guest(self, vmid: int, verb: str, unit: str) -> None:
        arguments = {"path": "/bin/systemctl", "arg": [verb, unit]}
        try:
            self._machinery.hypervisor.guests.get(vmid).agent("guest-exec", arguments, 10.0)
        except (AgentError, AgentSilent) as error:
            raise LabError(f"the agent of guest {vmid} did not take 'systemctl {verb} {unit}': {error}") from error

    def _before_start(self, vmid: int, volids: Mapping[str, str]) -> None:
        self._copies.before_start(vmid, volids)
        unit = self._broken.get(vmid)
        if unit is not None:
            disk = self._machinery.hypervisor.disks.file(next(iter(volids.values())))
            edit(disk, [f"rm /etc/systemd/system/multi-user.target.wants/{unit}.service"])

    def await_copy(self, vmid: int | None, name: str) -> str:
        """Let something happen to the copies that drills make of a guest (see :mod:`lab.vm.copyfaults`)."""
        return self._copies.expect(name, AWAITED[name][0] if vmid is None else vmid)

    def wrong_password(self, _vmid: int | None) -> str:
        """Let the password that clients are given for the guests' account be a wrong one."""
        write_secret(self._folders.state / "drill-password", secrets.token_urlsafe(18))
        return f"{self._folders.state / 'drill-password'} holds a password that no guest takes"

    def clear(self, _vmid: int | None) -> str:
        """Undo all faults; a damaged archive becomes the good one again that the night before it shares."""
        self._machinery.hypervisor.silent_agents.clear()
        right = (self._folders.keys / "drill-password").read_text().strip()
        write_secret(self._folders.state / "drill-password", right)
        for vmid, unit in self._broken.items():
            if vmid in {guest.vmid for guest in GUESTS}:
                self._in_guest(vmid, "start", unit)
        self._broken.clear()
        self._copies.clear()
        self._plug_in()
        self._node("mount", "-o", "remount,rw", BACKUP_MOUNT)
        self._node("rm", "-f", FILLER)
        for path, sound in self._damaged.items():
            self._node("ln", "-f", sound, path)
        self._damaged.clear()
        return "all faults are undone"

    def _plug_in(self) -> None:
        if BACKUP_MOUNT in self._machinery.hypervisor.node.mountpoints():
            return
        self._machinery.qmp(
            "device_add", driver="virtio-blk-pci", drive="backup", id="backup", serial=BACKUP_SERIAL, addr="0x4"
        )
        self._node("udevadm", "settle", "--timeout=30")
        until(
            lambda: self._machinery.courier.run(["systemctl", "start", "mnt-backup.mount"]).rc == 0,
            timeout=30,
            what="the mount of the backup disk",
        )


Action = Callable[[Faults, int | None], str]
FAULTS: Mapping[str, tuple[Action, str]] = {
    "backup-disk-unplugged": (Faults.unplug, "pull the backup disk out of the running node"),
    "backup-disk-full": (Faults.fill, "leave no byte free on the backup disk"),
    "backup-disk-readonly": (Faults.read_only, "make the backup disk's file system read-only"),
    "corrupt-archive": (Faults.corrupt, "damage bytes in the newest archive of VMID (210)"),
    "truncate-archive": (Faults.truncate, "cut the newest archive of VMID (210) off in its middle"),
    "dead-agent": (Faults.silence, "silence the guest agent of VMID (210) and of its copy"),
    "service-stopped": (Faults.stop_service, "stop the service of VMID (210) and keep it from starting in copies"),
    "wrong-password": (Faults.wrong_password, "give clients a wrong password for the guests' account"),
    **{
        name: (partial(Faults.await_copy, name=name), f"in a drill of VMID ({vmid}): {what}")
        for name, (vmid, what) in AWAITED.items()
    },
    "clear": (Faults.clear, "undo the faults"),
}
