"""Whether KVM truly works here: a Linux kernel is booted with it. Some machines offer a KVM that hangs Linux."""

from __future__ import annotations

import json
import os
import subprocess
import tempfile
from pathlib import Path

from lab.vm.hostpackages import program
from lab.vm.initrd import PROBE_INIT, PROBE_MARK, archive

SECONDS = 8.0
"""The same boot takes 2.3 s under software emulation, so 8 s are ample for real KVM."""


def probe_command(kernel: Path, initrd: Path) -> list[str]:
    """Return the command that boots the kernel under KVM with its console on standard output."""
    return [
        program("qemu-system-x86_64"),
        "-accel",
        "kvm",
        "-cpu",
        "host",
        "-m",
        "160",
        "-display",
        "none",
        "-nodefaults",
        "-serial",
        "stdio",
        "-no-reboot",
        "-kernel",
        str(kernel),
        "-initrd",
        str(initrd),
        "-append",
        "console=ttyS0 quiet reboot=t panic=-1",
    ]


def boots_linux(kernel: Path) -> bool:
    """Boot the kernel once under KVM and tell whether it said so and powered off by itself."""
    with tempfile.NamedTemporaryFile(suffix=".initrd") as initrd:
        initrd.write(archive(PROBE_INIT))
        initrd.flush()
        command = probe_command(kernel, Path(initrd.name))
        try:
            done = subprocess.run(command, capture_output=True, timeout=SECONDS, check=False, stdin=subprocess.DEVNULL)
        except subprocess.TimeoutExpired:
            return False
    return done.returncode == 0 and PROBE_MARK.encode() in done.stdout


def boot_id() -> str:
    """Return the running kernel's boot id: what was found out about KVM holds until the next boot."""
    return Path("/proc/sys/kernel/random/boot_id").read_text().strip()


def accelerator(kernel: Path, cache: Path) -> str:
    """Return "kvm" or "tcg" for this machine, from ``cache`` when this boot has been probed before."""
    forced = os.environ.get("LAB_ACCELERATOR", "")
    if forced in {"kvm", "tcg"}:
        return forced
    if not os.access("/dev/kvm", os.R_OK | os.W_OK):
        return "tcg"
    known = json.loads(cache.read_text()) if cache.exists() else {}
    if known.get("boot_id") != boot_id():
        known = {"boot_id": boot_id(), "accelerator": "kvm" if boots_linux(kernel) else "tcg"}
        cache.write_text(json.dumps(known))
    return str(known["accelerator"])
