"""A clock for what the library waits with: as soon as something goes wrong, its time flies."""

from __future__ import annotations

import threading
import time

SHORTEST = 0.1
"""Seconds of real time that a pause takes at most while time flies."""


class FlyingClock:
    """Stands in for the module ``time``. ``step`` is how many seconds a pause counts for; 0: as many as it takes.

    A pause is still a pause, and a time limit of 300 s is still thirty looks: what is on its way gets there.
    """

    def __init__(self) -> None:
        self.step = 0.0
        self._ahead = 0.0
        self._lock = threading.Lock()

    def monotonic(self) -> float:
        """Seconds, the skipped ones included."""
        return time.monotonic() + self._ahead

    def sleep(self, seconds: float) -> None:
        """Pause."""
        if not self.step:
            threading.Event().wait(seconds)
            return
        threading.Event().wait(min(seconds, SHORTEST))
        with self._lock:
            self._ahead += self.step
