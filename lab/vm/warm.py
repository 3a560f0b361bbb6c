"""A warm start: the saved states of the node and its running guests, over copies of their disks."""

from __future__ import annotations

import json
import shutil
import subprocess
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from lab.hypervisor import AgentError, AgentSilent
from lab.vm import cold
from lab.vm.cache import digest, digest_of_files
from lab.vm.errors import LabError
from lab.vm.hostpackages import program
from lab.vm.keys import Keys
from lab.vm.machinery import RESTORE_SECONDS, Bench, Machinery, copy_sparse, node_files, overlay, volume_files
from lab.vm.node_qemu import command_line
from lab.vm.plan import MadeArchive, PlannedGuest
from lab.vm.qmp import Qmp
from lab.waiting import TimedOut, until

HERE = Path(__file__).parent
SHAPING = ("cold.py", "guest_qemu.py", "node_qemu.py", "recipes.py", "rootfs.py", "volumes.py", "tree/container")
"""Code that shapes what is saved: a change of it makes saved states worthless."""


def key_of(bench: Bench, site: Sequence[PlannedGuest]) -> str:
    """Return a hash of all that a saved state depends on: images, QEMU, processor, command line, configurations."""
    qemu = subprocess.run(
        [program("qemu-system-x86_64"), "--version"], capture_output=True, text=True, check=True
    ).stdout
    line = command_line(node_files(bench, Path("/")), bench.accelerator, 0)
    shape = [word.replace(str(bench.sockets), "") for word in line]
    processor = Path("/proc/cpuinfo").read_text().partition("\n\n")[0] if bench.accelerator == "kvm" else ""
    model = [row for row in processor.splitlines() if row.startswith(("model name", "microcode", "flags"))]
    code = digest_of_files(HERE / name for name in SHAPING)
    keys = Keys(bench.folders.keys).fingerprint()
    return digest(bench.images.key(), keys, qemu, shape, model, code, [repr(guest) for guest in site])


def saved(bench: Bench, site: Sequence[PlannedGuest]) -> Path:
    """Return the folder of the saved states, made by a cold start when there is none; older ones are removed."""
    folder = bench.folders.cache / f"saved-{key_of(bench, site)}"
    if (folder / "facts.json").exists():
        return folder
    part = bench.folders.cache / "saving"
    machinery = cold.boot(bench, part, site)
    archives = cold.make_archives(machinery, site)
    cold.start_guests(machinery, site)
    cold.save(machinery, site, archives)
    for old in bench.folders.cache.glob("saved-*"):
        shutil.rmtree(old)
    part.rename(folder)
    return folder


def lay_out(bench: Bench, source: Path, folder: Path) -> None:
    """Make the disks of a run: overlays of the saved ones, and copies of the volumes' files."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(mode=0o700)
    for name in ("system", "backup"):
        overlay(source / f"{name}.qcow2", "qcow2", folder / f"{name}.qcow2")
    pairs = list(zip(volume_files(source), volume_files(folder), strict=True))
    with ThreadPoolExecutor(max_workers=2) as pool:
        list(pool.map(lambda pair: copy_sparse(*pair), pairs))
    bench.progress("disks are laid out")


def restore(bench: Bench, site: Sequence[PlannedGuest], folder: Path) -> tuple[Machinery, list[MadeArchive]]:
    """Bring the node and its guests up from saved states, with their clocks set; a missing state is made first."""
    source = saved(bench, site)
    facts = json.loads((source / "facts.json").read_text())
    lay_out(bench, source, folder)
    machinery = Machinery(bench, folder, source / "node.state")
    hypervisor = machinery.hypervisor
    hypervisor.disks.load(facts["volumes"])
    hypervisor.cards.load(facts["cards"])
    hypervisor.containers.adopt(facts["containers"])
    planned = {guest.vmid: guest for guest in site}
    for vmid in facts["machines"]:
        hypervisor.guests.resume(vmid, planned[vmid].config, planned[vmid].volids, source / f"guest-{vmid}.state")
    loaded(machinery.qmp, "the node")
    machinery.qmp("cont")
    machinery.await_node(RESTORE_SECONDS)
    bench.progress("the node is back")
    for vmid in facts["machines"]:
        loaded(hypervisor.guests.get(vmid).qmp, f"guest {vmid}")
        hypervisor.guests.get(vmid).qmp("cont")
    machinery.start_time()
    for vmid in facts["machines"]:
        set_guest_clock(machinery, vmid)
    bench.progress("the guests are back")
    return machinery, [MadeArchive(**archive) for archive in facts["archives"]]


def loaded(qmp: Qmp, what: str) -> None:
    """Wait until a machine has read its saved state."""

    def ready() -> bool:
        status = qmp("query-status")
        assert isinstance(status, dict)
        return bool(status["status"] != "inmigrate")

    try:
        until(ready, timeout=RESTORE_SECONDS, what=f"the saved state of {what}", interval=0.02)
    except (TimedOut, OSError) as error:
        raise LabError(
            f"{what} could not be brought up from its saved state ({error}); 'python -m lab reset' makes a new one"
        ) from error


def set_guest_clock(machinery: Machinery, vmid: int) -> None:
    """Set a guest's clock to the outer machine's; the agent sets it, then complains of a missing hwclock."""
    try:
        machinery.hypervisor.agent(vmid, "guest-set-time", {"time": time.time_ns()}, 10.0)
    except AgentError:
        told = machinery.hypervisor.agent(vmid, "guest-get-time", {}, 10.0)
        off = abs(int(str(told)) / 1e9 - time.time())
        if off > 5:
            raise LabError(f"the clock of guest {vmid} is {off:.0f} s off and its agent cannot set it") from None
    except AgentSilent as error:
        raise LabError(f"the agent of guest {vmid} does not answer after its saved state was restored") from error
