"""How much drills do at once, however many processes run them: restores by storage, running copies by memory.

Every hold is a lock on a file in the run's folder, which the kernel releases when its process dies. Memory is shared by
all runs: those beside this run's folder are seen by their locks, all others by their copies on the node.
"""

from __future__ import annotations

import fcntl
import os
import re
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from backup_standard import waiting
from backup_standard.drill.memory import Memory
from backup_standard.errors import Refused
from backup_standard.quantities import say_size

FOLDER = "limits"
PATIENCE = 24 * 3600.0
"""Seconds that a turn is waited for; the drills before it have limits of their own."""
PAUSE = 1.0
"""Seconds between two looks for a turn."""
OTHERS = 3600.0
"""Seconds that copies of other runs alone are waited for: one that is kept for somebody to look at may never end."""
MEMORY_LOCK = ".memory.lock"
_MEMORY = re.compile(r"memory-(?P<node>.+)-(?P<vmid>\d+)-(?P<bytes>\d+)")

Tick = Callable[[float], None]


class Limits:
    """The limits of one run; ``restores`` at once for each storage."""

    def __init__(self, folder: Path, restores: int = 1) -> None:
        self._folder, self._restores = folder / FOLDER, restores
        self._running: dict[int, tuple[int, Path]] = {}

    @contextmanager
    def restoring(self, storage: str, tick: Tick) -> Iterator[None]:
        """A turn to restore onto a storage; ``tick`` gets the seconds waited."""
        slots = [f"restore-{_safe(storage)}-{number}" for number in range(self._restores)]

        def look() -> tuple[int, ...]:
            taken = (self._take(slot) for slot in slots)
            return next(((handle,) for handle in taken if handle is not None), ())

        (handle,) = waiting.until(
            look, timeout=PATIENCE, what=f"a turn to restore onto {storage}", longest_pause=PAUSE,
            tick=lambda _none, elapsed: tick(elapsed),
        )  # fmt: skip
        try:
            yield
        finally:
            os.close(handle)

    def hold_memory(self, node: str, vmid: int, size: int, look: Callable[[], Memory], tick: Tick) -> None:
        """Wait until the node has room for a copy of ``size`` bytes, and hold it until :meth:`give_back`.

        ``look`` tells what the node has now; from that, running copies (of any run) and those about to run (of this
        client's runs on this machine) take all that they were given, though they may not use it yet. Refused where
        nothing is waited for, or only copies of other runs are, and for longer than :data:`OTHERS`.
        """
        asked = time.monotonic()

        def attempt() -> bool:
            with self._memory():
                held, now = self._held(node), look()
                if size > now.room(held):
                    own = set(self._held_by(self._folder, node))
                    if not own and (not held.keys() | now.growth.keys() or time.monotonic() - asked > OTHERS):
                        raise Refused(_too_little(node, size, now, held))
                    return False
                self._hold(node, vmid, size)
            return True

        waiting.until(
            attempt, timeout=PATIENCE, what=f"{size} bytes of memory on {node}", longest_pause=PAUSE,
            tick=lambda _none, elapsed: tick(elapsed),
        )  # fmt: skip

    def take_memory(self, node: str, vmid: int, size: int) -> None:
        """Hold memory without waiting: for guests that are only of use together."""
        with self._memory():
            self._hold(node, vmid, size)

    def _hold(self, node: str, vmid: int, size: int) -> None:
        name = f"memory-{_safe(node)}-{vmid}-{size}"
        handle = self._take(name)
        if handle is not None:
            self._running[vmid] = (handle, self._folder / name)

    def give_back(self, vmid: int) -> None:
        """The copy does not run any more, or is kept and seen by all as a running one."""
        if vmid in self._running:
            handle, path = self._running.pop(vmid)
            path.unlink(missing_ok=True)
            os.close(handle)

    def held(self, node: str) -> int:
        """The bytes of memory that running copies of this run hold on a node."""
        with self._memory():
            return sum(self._held_by(self._folder, node).values())

    def _held(self, node: str) -> dict[int, int]:
        """Bytes by VMID that copies of this run and of those in neighbouring folders hold."""
        folders = self._folder.parent.parent.glob(f"*/{FOLDER}")
        return {vmid: size for folder in folders for vmid, size in self._held_by(folder, node).items()}

    def _held_by(self, folder: Path, node: str) -> dict[int, int]:
        found = (_MEMORY.fullmatch(path.name) for path in folder.glob("memory-*"))
        on_node = (match for match in found if match and match["node"] == _safe(node))
        return {int(one["vmid"]): int(one["bytes"]) for one in on_node if _is_taken(folder / one[0])}

    @contextmanager
    def _memory(self) -> Iterator[None]:
        """Nobody of this client's runs looks at the memory that is held, or takes some, in the meantime."""
        self._folder.mkdir(parents=True, exist_ok=True)
        with (self._folder.parent.parent / MEMORY_LOCK).open("a") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield

    def _take(self, name: str) -> int | None:
        """A lock on a file, as its open handle; None while another has it."""
        self._folder.mkdir(parents=True, exist_ok=True)
        handle = os.open(self._folder / name, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o640)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(handle)
            return None
        return handle


def _too_little(node: str, size: int, now: Memory, held: Mapping[int, int]) -> str:
    others = ", ".join(map(str, sorted({*held, *now.growth})))
    beside = f" beside copies of other drills (VMID {others})" if others else ""
    room = say_size(max(0, now.room(held)))
    return f"{node} has {room} of memory available{beside}; the copy is given {say_size(size)}"


def _is_taken(path: Path) -> bool:
    try:
        handle = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(handle)
    return False


def _safe(name: str) -> str:
    return re.sub(r"[^A-Za-z0-9._-]", "_", name)
