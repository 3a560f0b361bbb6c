"""Processes of the lab: started so that they die with their parent, recorded, checked before they are signalled.

A record says which process was meant: number, start time in clock ticks since boot, and command line. A number that
was given to another process since then matches in neither, and is left alone.
"""

from __future__ import annotations

import json
import os
import queue
import signal
import subprocess
import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import asdict, dataclass
from pathlib import Path

from lab.vm.errors import LabError
from lab.vm.hostpackages import program
from lab.waiting import TimedOut, until

MARK = "BACKUP_STANDARD_LAB"
"""Environment variable of the lab's processes; its value is the folder of their records."""


@dataclass(frozen=True)
class Identity:
    """Which process is meant: ``started`` is field 22 of /proc/PID/stat, ``command`` its argument list."""

    pid: int
    started: int
    command: Sequence[str]

    def is_alive(self) -> bool:
        """Tell whether this very process still runs (a zombie does not)."""
        now = identity(self.pid)
        return now is not None and now.started == self.started and list(now.command) == list(self.command)


def identity(pid: int) -> Identity | None:
    """Return who a running process is, or None when there is none of that number (or it is a zombie)."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
        command = Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return None
    fields = stat.rpartition(")")[2].split()
    if fields[0] == "Z":
        return None
    return Identity(pid, int(fields[19]), command.decode(errors="replace").rstrip("\0").split("\0"))


def write_record(folder: Path, name: str, who: Identity) -> Path:
    """Record a process under a name."""
    path = folder / f"{name}.json"
    fresh = path.with_suffix(".new")
    fresh.write_text(json.dumps(asdict(who)))
    fresh.replace(path)
    return path


def read_record(path: Path) -> Identity | None:
    """Return the process a record names, or None when the file is gone or half written."""
    try:
        return Identity(**json.loads(path.read_text()))
    except (OSError, ValueError, TypeError):
        return None


def end(who: Identity, *, patience: float = 10.0) -> None:
    """Ask a process to end, then kill it; does nothing when that very process is gone."""
    for number, seconds in ((signal.SIGTERM, patience), (signal.SIGKILL, 5.0)):
        if not who.is_alive():
            return
        os.kill(who.pid, number)
        try:
            until(lambda: not who.is_alive(), timeout=seconds, what=f"the end of process {who.pid}")
        except TimedOut:
            continue
    if who.is_alive():
        raise LabError(
            f"process {who.pid} ({' '.join(who.command)[:80]}) does not end; end it by hand: kill -9 {who.pid}"
        )


def family(session: int, folder: Path) -> list[Identity]:
    """Return the processes of a session that carry this lab's mark in their environment."""
    mark = f"{MARK}={folder}".encode()
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            fields = (entry / "stat").read_text().rpartition(")")[2].split()
            marked = mark in (entry / "environ").read_bytes().split(b"\0")
        except OSError:
            continue
        who = identity(int(entry.name)) if marked and int(fields[3]) == session else None
        if who is not None:
            found.append(who)
    return found


def reap(folder: Path) -> list[str]:
    """End every recorded process that still runs, and its children; returns the names of those that ran.

    A child is known by its session and by the mark that the lab's processes carry in their environment.
    """
    ended = []
    for path in sorted(folder.glob("*.json")):
        who = read_record(path)
        if who is not None:
            alive = [
                process
                for process in {who.pid: who, **{p.pid: p for p in family(who.pid, folder)}}.values()
                if process.is_alive()
            ]
            for process in alive:
                end(process, patience=3.0)
            ended += [path.stem] if alive else []
        path.unlink(missing_ok=True)
    return ended


def signal_group(process: subprocess.Popen[bytes], number: signal.Signals) -> None:
    """Signal a child that leads its own group, and the group, while the child has not been waited for."""
    if process.poll() is None:
        os.killpg(process.pid, number)


class Spawner:
    """Starts processes from one thread that lives as long as this one: the kernel kills them when that thread ends."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._work: queue.SimpleQueue[Callable[[], None] | None] = queue.SimpleQueue()
        self._running: dict[str, subprocess.Popen[bytes]] = {}
        self._abandoned = False
        threading.Thread(target=self._loop, name="spawner", daemon=True).start()

    def _loop(self) -> None:
        while task := self._work.get():
            task()

    def start(
        self, name: str, command: Sequence[str], log: Path, environment: Mapping[str, str] | None = None
    ) -> subprocess.Popen[bytes]:
        """Start a process that dies with this one; ``log`` takes its output, ``environment`` is added."""
        if self._abandoned:
            raise LabError(f"{name} was not started: the lab is being stopped")
        answer: Future[subprocess.Popen[bytes]] = Future()

        def task() -> None:
            try:
                answer.set_result(self._spawn(name, command, log, environment))
            except OSError as error:
                answer.set_exception(error)

        self._work.put(task)
        return answer.result()

    def _spawn(
        self, name: str, command: Sequence[str], log: Path, environment: Mapping[str, str] | None
    ) -> subprocess.Popen[bytes]:
        line = [program("setpriv"), "--pdeathsig", "KILL", "--", *command]
        with log.open("ab") as sink:
            process = subprocess.Popen(
                line,
                stdin=subprocess.DEVNULL,
                stdout=sink,
                stderr=sink,
                start_new_session=True,
                env={**os.environ, **(environment or {}), MARK: str(self._folder)},
            )
        self._running[name] = process
        self._record(name, process, command)
        return process

    def _record(self, name: str, process: subprocess.Popen[bytes], command: Sequence[str]) -> None:
        def settled() -> Identity | None:
            who = identity(process.pid)
            return who if who is None or list(who.command) == list(command) else None

        def early_end() -> str | None:
            return f"{name} ended at once" if process.poll() is not None else None

        try:
            who = until(settled, error=early_end, timeout=10, what=f"the start of {name}", interval=0.005)
        except TimedOut:
            return
        if who is not None:
            write_record(self._folder, name, who)

    def stop(self, name: str, *, patience: float = 3.0) -> None:
        """End a process that was started here, and wait for it."""
        process = self._running.pop(name, None)
        if process is not None:
            signal_group(process, signal.SIGTERM)
            try:
                process.wait(patience)
            except subprocess.TimeoutExpired:
                signal_group(process, signal.SIGKILL)
                process.wait(10)
        self._folder.joinpath(f"{name}.json").unlink(missing_ok=True)

    def run(
        self,
        name: str,
        command: Sequence[str],
        log: Path,
        *,
        timeout: float,
        environment: Mapping[str, str] | None = None,
    ) -> int:
        """Run a process to its end and return its exit status; LabError after ``timeout`` seconds."""
        process = self.start(name, command, log, environment)
        try:
            return process.wait(timeout)
        except subprocess.TimeoutExpired as error:
            raise LabError(f"{name} did not end within {timeout:.0f} s; what it said is in {log}") from error
        finally:
            self.stop(name)

    def abandon(self) -> None:
        """Start nothing more and ask all that runs to end, without waiting; for a signal handler."""
        self._abandoned = True
        for process in list(self._running.values()):
            signal_group(process, signal.SIGTERM)

    def stop_all(self) -> None:
        """End all that was started here, all asked at once."""
        for process in list(self._running.values()):
            signal_group(process, signal.SIGTERM)
        for name in list(self._running):
            self.stop(name)
