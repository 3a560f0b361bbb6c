"""The lab's own process: builds, brings everything up, serves the API, and takes all of it down when it ends.

``python -m lab up`` starts it and watches: it prints its progress and then one line, ``READY`` or ``FAILED: why``.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

from lab import plan
from lab.pve import seed
from lab.pve.server import TlsFiles, serve
from lab.pve.site import Site
from lab.secrets import lay_secrets
from lab.settings import LOOPBACK, VERSIONS, Folders, Ports
from lab.vm import hostpackages, probe, warm
from lab.vm.control import Control
from lab.vm.errors import LabError
from lab.vm.faults import Faults
from lab.vm.images import Builder
from lab.vm.keys import make_keys
from lab.vm.laying import lay
from lab.vm.machinery import Bench, Machinery
from lab.vm.processes import Spawner
from lab.vm.progress import FAILED, READY, Progress


class Stopped(BaseException):
    """The process was asked to end."""


def bring_up(folders: Folders, ports: Ports, version: str, progress: Progress, spawner: Spawner) -> Callable[[], None]:
    """Bring the lab up; returns what takes it down again. LabError says why it could not."""
    hostpackages.require()
    require_ports(ports)
    keys = make_keys(folders.keys)
    secrets = lay_secrets(folders, ports, keys)
    images = Builder(folders, keys, spawner, progress).build()
    accelerator = probe.accelerator(images.kernel, folders.cache / "kvm.json")
    bench = Bench(folders, ports, spawner, progress, images, accelerator)
    (folders.state / "sockets").write_text(str(bench.sockets))
    try:
        machinery, archives = warm.restore(bench, plan.planned_guests(), folders.state / "run")
        site = Site(machinery.hypervisor, version)  # type: ignore[arg-type]
        facts = plan.archive_facts(archives)
        now = site.now()
        lay(machinery, list(seed.node_files(now, facts)), plan.dated_journal(now, facts))
        seed.seed(site, now, secrets, facts)
        machinery.await_time()
        progress("the site's history is laid; serving the API …")
        server = serve(site, LOOPBACK, ports.api, TlsFiles(folders.state / "api.pem", folders.state / "api.key"))
    except BaseException:
        shutil.rmtree(bench.sockets, ignore_errors=True)
        raise
    control = Control(Faults(machinery, folders), bench.sockets / "control.sock")
    _record(folders, ports, version, machinery)

    def take_down() -> None:
        control.close()
        server.stop()
        machinery.close()

    return take_down


def require_ports(ports: Ports) -> None:
    """Raise LabError when a port the lab wants is taken, before anything is built."""
    for option, port in (("--api-port", ports.api), ("--ssh-port", ports.ssh)):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((LOOPBACK, port))
            except OSError as error:
                raise LabError(
                    f"port {port} of {LOOPBACK} cannot be used ({error.strerror}): stop what listens there "
                    f"('ss -ltnp' shows it), or choose another with {option}"
                ) from error


def _record(folders: Folders, ports: Ports, version: str, machinery: Machinery) -> None:
    facts = {
        "pid": os.getpid(),
        "api": f"https://{LOOPBACK}:{ports.api}",
        "ssh_port": ports.ssh,
        "api_port": ports.api,
        "version": VERSIONS[version],
        "accelerator": machinery.bench.accelerator,
        "started": int(time.time()),
        "sockets": str(machinery.bench.sockets),
    }
    folders.record.write_text(json.dumps(facts, indent=2))


def main(arguments: list[str] | None = None) -> int:
    """Run the lab until it is told to end."""
    parser = argparse.ArgumentParser(prog="lab.service")
    parser.add_argument("--pve", choices=sorted(VERSIONS), default="9.2")
    parser.add_argument("--cache", type=Path, required=True)
    parser.add_argument("--state", type=Path, required=True)
    parser.add_argument("--api-port", type=int, required=True)
    parser.add_argument("--ssh-port", type=int, required=True)
    given = parser.parse_args(arguments)
    folders, ports = Folders(given.cache, given.state), Ports(given.api_port, given.ssh_port)
    progress = Progress()
    spawner = Spawner(folders.processes)
    ended = threading.Event()

    def stop(_number: int, _frame: object) -> None:
        if not ended.is_set():
            ended.set()
            spawner.abandon()
            raise Stopped

    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, stop)
    return run(folders, ports, given.pve, progress, spawner)


def run(folders: Folders, ports: Ports, version: str, progress: Progress, spawner: Spawner) -> int:
    """Bring the lab up, say so, wait for the end, and take it down; returns the exit status."""
    take_down: Callable[[], None] | None = None
    try:
        take_down = bring_up(folders, ports, version, progress, spawner)
        _say(READY)
        while True:
            signal.pause()
    except Stopped:
        return 0
    except Exception as error:  # noqa: BLE001 - whatever it is, the person at the terminal must read it
        expected = isinstance(error, LabError | OSError)
        _say(f"{FAILED}{error if expected else f'{type(error).__name__}: {error}'}".replace("\n", "\n  "))
        if not expected:
            sys.excepthook(type(error), error, error.__traceback__)
        return 1
    finally:
        if take_down is not None:
            take_down()
        spawner.stop_all()
        folders.record.unlink(missing_ok=True)
        shutil.rmtree(folders.state / "run", ignore_errors=True)


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
