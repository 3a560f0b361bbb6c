"""The running machinery: the node's machine, its courier, the time server and the hypervisor on top."""

from __future__ import annotations

import contextlib
import shutil
import subprocess
import tempfile
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

from lab.settings import MIB, Folders, Ports
from lab.vm.courier import Courier
from lab.vm.errors import LabError
from lab.vm.guests import Surroundings
from lab.vm.hostpackages import program
from lab.vm.hypervisor import VmHypervisor
from lab.vm.images import Images
from lab.vm.node_qemu import LANES, NodeFiles, command_line, lane_socket
from lab.vm.processes import Spawner
from lab.vm.progress import Progress
from lab.vm.qmp import Qmp
from lab.vm.timeserver import TimeServer
from lab.vm.volumes import COUNT, FILE_MIB
from lab.waiting import TimedOut, until

BOOT_SECONDS = 240.0
RESTORE_SECONDS = 60.0


@dataclass
class Bench:
    """What every part of the machinery works with."""

    folders: Folders
    ports: Ports
    spawner: Spawner
    progress: Progress
    images: Images
    accelerator: str
    sockets: Path = field(default_factory=lambda: Path(tempfile.mkdtemp(prefix="bs-lab-")))


def volume_files(folder: Path) -> tuple[Path, ...]:
    """Return the files of the physical volumes in a folder."""
    return tuple(folder / f"pv{number:02d}.raw" for number in range(COUNT))


def node_files(bench: Bench, folder: Path) -> NodeFiles:
    """Return the files of a node's machine whose disks lie in a folder."""
    return NodeFiles(
        bench.images.kernel,
        bench.images.initrd,
        folder / "system.qcow2",
        folder / "backup.qcow2",
        volume_files(folder),
        bench.sockets,
    )


def overlay(base: Path, kind: str, path: Path) -> None:
    """Make a disk that holds only what differs from a read-only base."""
    line = [program("qemu-img"), "create", "-q", "-f", "qcow2", "-F", kind, "-b", str(base), str(path)]
    subprocess.run(line, check=True, capture_output=True)


def copy_sparse(source: Path, target: Path) -> None:
    """Copy a file, holes left as holes; where the file system can, without copying at all."""
    subprocess.run(
        ["cp", "--sparse=always", "--reflink=auto", str(source), str(target)], check=True, capture_output=True
    )


def make_volume_files(folder: Path, sources: dict[int, Path]) -> None:
    """Make the files of all physical volumes; ``sources`` fills some of them."""

    def make(number: int) -> None:
        path = volume_files(folder)[number]
        if number in sources:
            copy_sparse(sources[number], path)
        with path.open("ab") as file:
            file.truncate(FILE_MIB * MIB)

    with ThreadPoolExecutor(max_workers=2) as pool:
        list(pool.map(make, range(COUNT)))


class Machinery:
    """A node with its guests. Made by :func:`lab.vm.cold.boot` or :func:`lab.vm.warm.restore`."""

    def __init__(self, bench: Bench, folder: Path, state: Path | None = None) -> None:
        self.bench, self.folder = bench, folder
        self.log = bench.folders.logs / "node.log"
        line = command_line(node_files(bench, folder), bench.accelerator, bench.ports.ssh, state)
        self.log.unlink(missing_ok=True)
        self._process = bench.spawner.start("node", line, self.log)
        try:
            self.qmp = Qmp(bench.sockets / "node.qmp", timeout=30, error=self.early_end)
        except (TimedOut, OSError) as error:
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(3)
            raise LabError(f"the node's machine did not start: {self.early_end() or error}") from error
        self.courier = Courier([lane_socket(bench.sockets, lane) for lane in range(LANES)], self.early_end)
        around = Surroundings(bench.sockets, bench.folders.logs, bench.accelerator)
        self.hypervisor = VmHypervisor(self.courier, volume_files(folder), bench.spawner, around)
        self.time: TimeServer | None = None

    def early_end(self) -> str | None:
        """Say how the node's machine ended, if it did."""
        if self._process.poll() is None:
            return None
        lines = self.log.read_text(errors="replace").strip().splitlines() or ["(nothing)"]
        ended = f"QEMU ended with status {self._process.returncode} and said: {lines[-1]}"
        return f"{ended} (is port {self.bench.ports.ssh} in use?)"

    def await_node(self, seconds: float) -> None:
        """Wait for the node's courier and set its clock; LabError with the end of its console when it does not come."""
        try:
            self.courier.wait(seconds)
        except (TimedOut, OSError) as error:
            console = (self.bench.sockets / "node-console.log").read_text(errors="replace")[-600:]
            raise LabError(
                f"the node did not come up within {seconds:.0f} s ({error}); its console ends:\n{console}"
            ) from error
        self.hypervisor.node.set_clock()

    def start_time(self) -> None:
        """Start to tell the node the time."""
        self.time = TimeServer(lane_socket(self.bench.sockets, LANES))

    def await_time(self) -> None:
        """Wait until the node's time service follows that clock, as on a node that has run for a while."""
        self.check(["chronyc", "burst", "2/4"], "ask for the time")
        asked = ["timedatectl", "show", "--value", "-p", "NTPSynchronized"]
        until(lambda: self.check(asked, "tell of its clock").strip() == "yes", timeout=120, what="the node's clock")

    def await_tcp(self, address: str, port: int, seconds: float) -> None:
        """Wait until a port of a guest takes connections from the node."""
        code = "import socket,sys; socket.create_connection((sys.argv[1], int(sys.argv[2])), 3).close()"
        argv = ["python3", "-c", code, address, str(port)]
        until(lambda: self.courier.run(argv).rc == 0, timeout=seconds, what=f"port {port} of {address}", interval=0.5)

    def check(self, argv: list[str], what: str) -> str:
        """Run a command on the node that has to succeed."""
        done = self.courier.run(argv)
        if done.rc:
            raise LabError(f"the node could not {what}: {(done.stderr or done.stdout).strip() or f'exit {done.rc}'}")
        return done.stdout

    def close(self) -> None:
        """Stop every machine and remove the sockets."""
        if self.time is not None:
            self.time.close()
        self.courier.close()
        self.bench.spawner.stop_all()
        shutil.rmtree(self.bench.sockets, ignore_errors=True)
