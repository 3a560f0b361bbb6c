"""One line of progress at a time, with the seconds since the start."""

from __future__ import annotations

import sys
import threading
import time
from typing import TextIO

READY, FAILED = "READY", "FAILED: "
"""How the lab's service says that it is up, or why it is not."""


class Progress:
    """Prints ``[ 12.3 s] what happens`` lines; safe for use by several threads."""

    def __init__(self, stream: TextIO | None = None) -> None:
        self._stream = stream or sys.stdout
        self._start = time.monotonic()
        self._lock = threading.Lock()

    @property
    def seconds(self) -> float:
        """Seconds since the start."""
        return time.monotonic() - self._start

    def __call__(self, text: str) -> None:
        """Print one line."""
        with self._lock:
            self._stream.write(f"[{self.seconds:6.1f} s] {text}\n")
            self._stream.flush()
