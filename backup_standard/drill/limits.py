"""How much drills do at once, however many processes run them: restores by storage, running copies by memory.

Every hold is a lock on a file in the run's folder, which the kernel releases when its process dies.
"""

from __future__ import annotations

import fcntl
import os
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from backup_standard import waiting

FOLDER = "limits"
PATIENCE = 24 * 3600.0
"""Seconds that a turn is waited for; the drills before it have limits of their own."""
PAUSE = 1.0
"""Seconds between two looks for a turn."""
_MEMORY = re.compile(r"memory-(?P<node>.+)-(?P<vmid>\d+)-(?P<bytes>\d+)")

Tick = Callable[[float], None]


class Limits:
    """The limits of one run; ``restores`` at once for each storage."""

    def __init__(self, folder: Path, restores: int = 1) -> None:
        self._folder, self._restores = folder / FOLDER, restores
        self._running: dict[int, int] = {}

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

    def hold_memory(self, node: str, vmid: int, size: int, measure: Callable[[], int], tick: Tick) -> None:
        """Wait until a copy of ``size`` bytes has room beside those that run, and hold it until :meth:`give_back`.

        ``measure`` tells what the node has available; it is asked while no copy runs. From that, running copies take
        all that they were given, though they may not use it yet. A copy that is alone has its turn at once: whether the
        node has room for it was looked at before.
        """

        def look() -> bool:
            with self._locked("memory"):
                held = self.held(node)
                if not held:
                    self._baseline(node).write_text(str(measure()), encoding="ascii")
                elif held + size > int(self._baseline(node).read_text(encoding="ascii")):
                    return False
                self.take_memory(node, vmid, size)
            return True

        waiting.until(
            look, timeout=PATIENCE, what=f"{size} bytes of memory on {node}", longest_pause=PAUSE,
            tick=lambda _none, elapsed: tick(elapsed),
        )  # fmt: skip

    def take_memory(self, node: str, vmid: int, size: int) -> None:
        """Hold memory without waiting: for guests that are only of use together."""
        handle = self._take(f"memory-{_safe(node)}-{vmid}-{size}")
        if handle is not None:
            self._running[vmid] = handle

    def _baseline(self, node: str) -> Path:
        return self._folder / f"available-{_safe(node)}"

    def give_back(self, vmid: int) -> None:
        """The copy does not run any more."""
        handle = self._running.pop(vmid, None)
        if handle is not None:
            os.close(handle)

    def held(self, node: str) -> int:
        """The bytes of memory that running copies hold on a node."""
        names = (path.name for path in self._folder.glob("memory-*")) if self._folder.exists() else ()
        found = (match for match in map(_MEMORY.fullmatch, names) if match and match["node"] == _safe(node))
        return sum(int(match["bytes"]) for match in found if self._is_taken(match[0]))

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

    def _is_taken(self, name: str) -> bool:
        handle = self._take(name)
        if handle is not None:
            os.close(handle)
        return handle is None

    @contextmanager
    def _locked(self, name: str) -> Iterator[None]:
        self._folder.mkdir(parents=True, exist_ok=True)
        with (self._folder / f"{name}.lock").open("a") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield


def _safe(name: str) -> str:
    return re.sub(r"[^A-Za-z0-9._-]", "_", name)
