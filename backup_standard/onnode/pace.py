"""Reading that gives way: a bandwidth limit, a deadline, and the I/O pressure that others feel."""

from __future__ import annotations

import re
import threading
import time

from backup_standard.onnode.stream import Aborted

LOOK_EVERY = 15.0
"""Seconds between two looks at the pressure."""
SETTLE, MEASURE = 1.0, 1.0
"""Seconds of rest before and while the pressure is measured: what we cause ourselves ends when we rest."""
CREDIT = 0.5
"""Seconds of reading that a late reader may catch up with."""
_SOME = re.compile(r"^some .*avg10=([\d.]+).* total=(\d+)", re.MULTILINE)


class Pace:
    """Says when to go on. ``rate`` in bytes per second, ``deadline`` in seconds from now, ``limit`` in percent.

    While ``avg10`` of the kernel's pressure file (upstream: Documentation/accounting/psi.rst) is over the limit,
    reading rests; what is left of the pressure then is that of others. If it stays over the limit for ``patience``
    seconds, reading is given up. Without such a file the pressure is not watched.
    """

    def __init__(self, rate: float, deadline: float, pressure: str, limit: float, patience: float) -> None:
        self._rate, self._pressure, self._limit, self._patience = rate, pressure, limit, patience
        self._next = time.monotonic()
        self._end, self._look = self._next + deadline, self._next
        self.watched = self._read() is not None

    def wait_for(self, size: int) -> None:
        """Return when so many bytes more may be read. Raises Aborted."""
        now = time.monotonic()
        if now >= self._end:
            raise Aborted("the next backup run is near")
        if self.watched and now >= self._look:
            self._give_way()
            now = time.monotonic()
            self._look = now + LOOK_EVERY
        self._next = max(self._next, now - CREDIT) + size / self._rate
        if self._next > now:
            rest(self._next - now)

    def _give_way(self) -> None:
        found = self._read()
        if found is None or found[0] <= self._limit:
            return
        began = time.monotonic()
        while True:
            others = self._of_others()
            if others <= self._limit:
                return
            if time.monotonic() - began >= self._patience:
                text = "I/O pressure on the node: %.0f %% of the time somebody waits for a disk (limit %.0f %%)"
                raise Aborted(text % (others, self._limit))
            if time.monotonic() >= self._end:
                raise Aborted("the next backup run is near")

    def _of_others(self) -> float:
        """The share of time, in percent, for which somebody waits for a disk while we rest."""
        rest(SETTLE)
        before, began = self._read(), time.monotonic()
        rest(MEASURE)
        after, span = self._read(), time.monotonic() - began
        if before is None or after is None:
            return 0.0
        return (after[1] - before[1]) / (span * 10_000)

    def _read(self) -> tuple[float, int] | None:
        """avg10 in percent and the total in microseconds."""
        try:
            with open(self._pressure, encoding="utf-8") as file:  # noqa: PTH123 - one import less on the node
                found = _SOME.search(file.read())
        except OSError:
            return None
        return (float(found.group(1)), int(found.group(2))) if found else None


def rest(seconds: float) -> None:
    """Let others have the disk."""
    threading.Event().wait(seconds)
