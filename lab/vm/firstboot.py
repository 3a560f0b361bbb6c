"""The docker guest's first boot, while its image is built: it imports the web image and creates its container."""

from __future__ import annotations

import tempfile
from pathlib import Path

from lab.settings import MIB, BuiltGuest
from lab.vm.errors import LabError
from lab.vm.guest_qemu import DiskFile, GuestMachine, command_line
from lab.vm.processes import Spawner

MARK = "LAB-IMPORT-DONE"
SECONDS = 300.0


def first_boot(spawner: Spawner, guest: BuiltGuest, disk: Path, logs: Path) -> None:
    """Boot the guest from ``disk`` until it powers itself off; LabError when it did not do its work."""
    with tempfile.TemporaryDirectory(prefix="lab-first-boot-") as folder:
        config = {"memory": str(guest.memory), "cores": "1", "serial0": "socket", "boot": "order=virtio0"}
        machine = GuestMachine(
            guest.vmid,
            config,
            {"virtio0": DiskFile(disk, guest.disk_mib * MIB)},
            {},
            Path(folder),
            "tcg",
            extra=["-no-reboot", "-nic", "user,restrict=on,model=virtio-net-pci"],
        )
        status = spawner.run(
            f"first-boot-{guest.vmid}", command_line(machine), logs / "first-boot.log", timeout=SECONDS
        )
        console = (Path(folder) / f"{guest.vmid}.console.log").read_text(errors="replace")
    (logs / f"first-boot-{guest.name}.console.log").write_text(console)
    if status or MARK not in console:
        raise LabError(
            f"the first boot of {guest.name} ended without importing its container image; its console is in "
            f"{logs}/first-boot-{guest.name}.console.log"
        )
