"""Starting, watching and stopping the lab's service from a terminal."""

from __future__ import annotations

import contextlib
import fcntl
import json
import shlex
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from lab.settings import LOOPBACK, Folders, Ports
from lab.vm.errors import LabError
from lab.vm.hostpackages import program
from lab.vm.images import PROJECT
from lab.vm.processes import Identity, end, identity, read_record, reap, write_record
from lab.vm.progress import FAILED, READY
from lab.waiting import until

SERVICE = "service"
STOP_SECONDS = 30.0


@contextlib.contextmanager
def alone(folders: Folders) -> Iterator[None]:
    """Hold the lock that lets one start or stop at a time go on."""
    folders.make()
    with (folders.state / "lock").open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise LabError(
                "another 'python -m lab up' or 'down' is at work; wait for it, or stop it with Ctrl-C"
            ) from error
        yield


def service(folders: Folders) -> Identity | None:
    """Return the running service, or None."""
    who = read_record(folders.processes / f"{SERVICE}.json")
    return who if who is not None and who.is_alive() else None


def running(folders: Folders) -> Mapping[str, Any]:
    """Return the record of the running lab; LabError when there is none."""
    if service(folders) is None:
        raise LabError("the lab is not up; start it with: python -m lab up")
    if not folders.record.exists():
        raise LabError(f"the lab is being started; its progress is in {folders.logs / 'service.log'}")
    record: Mapping[str, Any] = json.loads(folders.record.read_text())
    return record


def control_socket(record: Mapping[str, Any]) -> Path:
    """Return the socket of the service's own door."""
    return Path(record["sockets"]) / "control.sock"


def up(folders: Folders, ports: Ports, version: str) -> int:
    """Start the service and show its progress until the site answers; Ctrl-C stops all of it again."""
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _interrupt)
    with alone(folders):
        if service(folders) is not None:
            raise LabError("the lab is up already; see 'python -m lab status', or stop it with 'python -m lab down'")
        clean(folders)
        line = [
            sys.executable,
            "-u",
            "-m",
            "lab.service",
            "--pve",
            version,
            "--cache",
            str(folders.cache),
            "--state",
            str(folders.state),
            "--api-port",
            str(ports.api),
            "--ssh-port",
            str(ports.ssh),
        ]
        log = folders.logs / "service.log"
        with log.open("w") as sink:
            process = subprocess.Popen(
                line, stdin=subprocess.DEVNULL, stdout=sink, stderr=sink, start_new_session=True, cwd=PROJECT
            )
        try:
            who = until(lambda: _settled(process.pid, line), timeout=20, what="the start of the lab's service")
            assert who is not None
            write_record(folders.processes, SERVICE, who)
            return _watch(process, log, folders)
        except BaseException:
            print("\nlab: stopping what was started …", file=sys.stderr)  # noqa: T201
            _stop(process)
            clean(folders)
            raise


def _interrupt(_number: int, _frame: object) -> None:
    raise KeyboardInterrupt


def _settled(pid: int, line: Sequence[str]) -> Identity | None:
    who = identity(pid)
    return who if who is not None and list(who.command)[1:] == list(line)[1:] else None


def _stop(process: subprocess.Popen[bytes]) -> None:
    for number, seconds in ((signal.SIGTERM, STOP_SECONDS), (signal.SIGKILL, 5.0)):
        if process.poll() is None:
            process.send_signal(number)
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(seconds)


def _watch(process: subprocess.Popen[bytes], log: Path, folders: Folders) -> int:
    def closing(line: str) -> bool:
        return line.strip() == READY or line.startswith(FAILED)

    with log.open() as lines:
        while True:
            line = until(
                lambda: lines.readline() or process.poll() is not None,
                timeout=3600,
                what="the lab's progress",
                interval=0.05,
            )
            if isinstance(line, str) and not closing(line):
                sys.stdout.write(line)
                sys.stdout.flush()
                continue
            break
    if isinstance(line, str) and line.strip() == READY:
        print(status(folders)[0])  # noqa: T201
        return 0
    reason = (
        line.removeprefix(FAILED).strip() if isinstance(line, str) else f"it ended with status {process.returncode}"
    )
    more = lines_after(log) if isinstance(line, str) else ""
    raise LabError(f"the lab could not be brought up: {reason}{more}\n(everything it said is in {log})")


def lines_after(log: Path) -> str:
    """Return what a failure's text goes on with on lines of its own."""
    tail = log.read_text().rpartition(FAILED)[2].splitlines()[1:12]
    return "".join(f"\n{line}" for line in tail)


def clean(folders: Folders) -> list[str]:
    """End what a crashed lab left running and remove its traces; returns the names of what was ended."""
    ended = reap(folders.processes)
    note = folders.state / "sockets"
    sockets = Path(note.read_text().strip()) if note.exists() else None
    if sockets is not None and sockets.name.startswith("bs-lab-"):
        shutil.rmtree(sockets, ignore_errors=True)
    note.unlink(missing_ok=True)
    folders.record.unlink(missing_ok=True)
    shutil.rmtree(folders.state / "run", ignore_errors=True)
    return ended


def down(folders: Folders) -> str:
    """Stop the lab and everything it started; returns what was done."""
    with alone(folders):
        who = service(folders)
        if who is not None:
            end(who, patience=STOP_SECONDS)
        left = clean(folders)
    if who is None and not left:
        return "the lab was not up"
    return "the lab is down" + (f" (also ended: {', '.join(left)})" if left else "")


def status(folders: Folders) -> tuple[str, bool]:
    """Return what is to be said of the lab, and whether it is up."""
    try:
        record = running(folders)
    except LabError as error:
        return str(error), False
    names = sorted(path.stem for path in folders.processes.glob("*.json") if _alive(path))
    minutes = (time.time() - record["started"]) / 60
    lines = [
        f"the lab is up since {minutes:.0f} min, answering as Proxmox VE {record['version']} ({record['accelerator']})",
        f"  API      {record['api']}  (certificate: {folders.state / 'ca.pem'})",
        f"  node     ssh root@{LOOPBACK} -p {record['ssh_port']}  (or: python -m lab ssh)",
        f"  secrets  {folders.state}  (audit-token, drill-token, root-password, id_ed25519, drill-password)",
        f"  running  {', '.join(names)}",
        f"  logs     {folders.logs}",
    ]
    return "\n".join(lines), True


def _alive(path: Path) -> bool:
    who = read_record(path)
    return who is not None and who.is_alive()


def ssh_command(folders: Folders, record: Mapping[str, Any], words: Sequence[str]) -> list[str]:
    """Return the command line of ssh to the node, which checks the node's key."""
    state = folders.state
    options = [
        f"UserKnownHostsFile={state / 'known_hosts'}",
        f"IdentityFile={state / 'id_ed25519'}",
        "IdentitiesOnly=yes",
        "StrictHostKeyChecking=yes",
        "GlobalKnownHostsFile=none",
    ]
    line = [program("ssh"), "-F", "none", "-p", str(record["ssh_port"])]
    for option in options:
        line += ["-o", option]
    command = list(words[1:] if words[:1] == ["--"] else words)
    return [*line, f"root@{LOOPBACK}", *(command if len(command) == 1 else [shlex.join(command)] if command else [])]
