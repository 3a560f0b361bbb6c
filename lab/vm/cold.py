"""A cold start: the node boots for the first time, gets its volumes, archives and guests, and everything is saved."""

from __future__ import annotations

import json
import shlex
import shutil
import subprocess
import time
import uuid
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from pathlib import Path

from lab.hypervisor import AgentSilent, ArchiveDisk, ArchiveHeader
from lab.settings import MIB
from lab.vm.errors import LabError
from lab.vm.hostpackages import program
from lab.vm.keys import Keys
from lab.vm.machinery import BOOT_SECONDS, Bench, Machinery, make_volume_files, overlay
from lab.vm.plan import MadeArchive, PlannedGuest
from lab.vm.qmp import Qmp
from lab.vm.rootfs import container_tar
from lab.waiting import until

BACKUP_MIB = 8192
STORE = "/mnt/backup/.lab"
"""Where the real archives lie until a start gives them the names of last night."""
SAVE_SECONDS = 120.0


def backup_disk(bench: Bench) -> Path:
    """Return the empty backup disk, made once."""
    path = bench.folders.cache / "images" / f"backup-{BACKUP_MIB}.raw"
    if not path.exists():
        part = path.with_suffix(".part")
        with part.open("wb") as file:
            file.truncate(BACKUP_MIB * MIB)
        line = [program("mke2fs"), "-q", "-F", "-t", "ext4", "-L", "backup-hdd", "-m", "1"]
        subprocess.run([*line, "-E", "lazy_itable_init=1,lazy_journal_init=1,nodiscard", str(part)], check=True)
        part.replace(path)
    return path


def prepare(bench: Bench, folder: Path, site: Sequence[PlannedGuest]) -> None:
    """Make the disks of a node that has never run."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(mode=0o700)
    for base, name in ((bench.images.node, "system"), (backup_disk(bench), "backup")):
        overlay(Path("..") / base.relative_to(bench.folders.cache), "raw", folder / f"{name}.qcow2")
    machines = [guest for guest in site if not guest.container]
    make_volume_files(folder, {number: bench.images.guests[guest.vmid] for number, guest in enumerate(machines)})


def boot(bench: Bench, folder: Path, site: Sequence[PlannedGuest]) -> Machinery:
    """Boot the node for the first time and set up its volumes and archives."""
    prepare(bench, folder, site)
    bench.progress(f"booting the node ({bench.accelerator}) …")
    machinery = Machinery(bench, folder)
    machinery.await_node(BOOT_SECONDS)
    machinery.start_time()
    machinery.check(["systemctl", "start", "mnt-backup.mount"], "mount the backup disk")
    settled = machinery.courier.run(["systemctl", "is-system-running", "--wait"]).stdout.strip()
    if settled != "running":
        failed = machinery.courier.run(["systemctl", "--failed", "--no-legend", "--plain"]).stdout.strip()
        raise LabError(
            f"the node's system is {settled!r} after its boot, not running; failed units: {failed or 'none'}"
        )
    bench.progress("the node runs; making volumes …")
    make_volumes(machinery, site)
    return machinery


def make_volumes(machinery: Machinery, site: Sequence[PlannedGuest]) -> None:
    """Make the volume group, and each guest's volume in it."""
    disks = machinery.hypervisor.disks
    disks.make_group()
    machines = [guest for guest in site if not guest.container]
    for number, guest in enumerate(machines):
        disks.adopt(guest.volid, guest.size, number)
    for guest in site:
        if guest.container:
            disks.allocate(guest.volid, guest.size)
            machinery.hypervisor.archives.fill_container(guest.volid, container_tar(Keys(machinery.bench.folders.keys)))


def make_archive(machinery: Machinery, guest: PlannedGuest) -> MadeArchive:
    """Back a guest up for real."""
    hypervisor, total = machinery.hypervisor, guest.size
    path = f"{STORE}/{guest.vmid}"
    silent = lambda _done, _all: None  # noqa: E731
    if guest.container:
        size = hypervisor.write_container_archive(path, guest.volid, guest.archived_config, "zstd", silent)
        return MadeArchive(guest.vmid, path, size, size, total, "")
    device = f"drive-{guest.drive}"
    header = ArchiveHeader(
        str(uuid.uuid4()), int(time.time()), guest.archived_config, None, [ArchiveDisk(device, total)]
    )
    size = hypervisor.write_archive(path, header, {device: guest.volid}, "zstd", silent).size
    with hypervisor.disks.disk(guest.volid) as disk:
        stored = sum(end - start for start, end in disk.ranges())
    return MadeArchive(guest.vmid, path, size, stored, total, header.uuid)


def make_archives(machinery: Machinery, site: Sequence[PlannedGuest]) -> list[MadeArchive]:
    """Back every guest up, two at a time."""
    machinery.hypervisor.node.makedirs(STORE)
    machinery.bench.progress("backing the guests up …")
    with ThreadPoolExecutor(max_workers=2) as pool:
        return list(pool.map(lambda guest: make_archive(machinery, guest), site))


def start_guests(machinery: Machinery, site: Sequence[PlannedGuest]) -> None:
    """Start the guests that run, two at a time, and wait for their services."""

    def bring_up(guest: PlannedGuest) -> None:
        machinery.hypervisor.start(guest.vmid, guest.config, guest.volids)
        if not guest.container:
            until(lambda: answers(machinery, guest.vmid), timeout=BOOT_SECONDS, what=f"the agent of guest {guest.vmid}")
        if guest.port:
            machinery.await_tcp(guest.address, guest.port, BOOT_SECONDS)
        machinery.bench.progress(f"guest {guest.vmid} is up")

    machinery.bench.progress("starting the guests …")
    with ThreadPoolExecutor(max_workers=2) as pool:
        list(pool.map(bring_up, [guest for guest in site if guest.runs]))


def answers(machinery: Machinery, vmid: int) -> bool:
    """Tell whether a guest's agent answers."""
    try:
        machinery.hypervisor.agent(vmid, "guest-ping", {}, 2.0)
    except AgentSilent:
        return False
    return True


def save_machine(qmp: Qmp, path: Path) -> None:
    """Write a paused machine's state to a file."""
    qmp("stop")
    qmp("migrate-set-parameters", max_bandwidth=1 << 40)
    qmp("migrate", uri=f"exec:cat > {shlex.quote(str(path))}")

    def outcome() -> str:
        state = qmp("query-migrate")
        assert isinstance(state, dict)
        status = str(state.get("status"))
        return status if status in {"completed", "failed"} else ""

    if until(outcome, timeout=SAVE_SECONDS, what=f"the state file {path.name}") != "completed":
        raise LabError(f"QEMU could not save the state of its machine to {path}; is the disk full?")


def save(machinery: Machinery, site: Sequence[PlannedGuest], archives: Sequence[MadeArchive]) -> None:
    """Save every machine's state beside its disks, then stop everything."""
    machinery.bench.progress("saving the state of all machines …")
    machinery.check(["sync"], "write its caches back")
    hypervisor = machinery.hypervisor
    facts = {
        "volumes": hypervisor.disks.dump(),
        "cards": hypervisor.cards.dump(),
        "archives": [asdict(archive) for archive in archives],
        "machines": [guest.vmid for guest in site if guest.runs and not guest.container],
        "containers": [guest.vmid for guest in site if guest.runs and guest.container],
    }
    machinery.courier.close()
    for vmid in facts["machines"]:
        assert isinstance(vmid, int)
        save_machine(hypervisor.guests.get(vmid).qmp, machinery.folder / f"guest-{vmid}.state")
    save_machine(machinery.qmp, machinery.folder / "node.state")
    machinery.bench.spawner.stop_all()
    (machinery.folder / "facts.json").write_text(json.dumps(facts))
