"""Waiting for a condition: the only place that sleeps."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")

FIRST_PAUSE = 0.05
"""Seconds before the second look; each later pause is half as long again, up to ``longest_pause``."""


class NotReady(Exception):
    """The condition did not come true in time; the text names what was awaited and what was last seen."""


def until(
    look: Callable[[], T],
    *,
    ready: Callable[[T], bool] = bool,
    error: Callable[[T], str | None] | None = None,
    timeout: float,
    what: str,
    longest_pause: float = 2.0,
    tick: Callable[[T, float], None] | None = None,
) -> T:
    """Look until ``ready`` likes what it sees and return that.

    ``error`` may end the wait early by returning a reason; ``tick`` gets what was seen and the seconds elapsed, for
    progress. ``timeout`` in seconds. Raises NotReady with the last thing seen.
    """
    started, pause = time.monotonic(), FIRST_PAUSE
    while True:
        seen = look()
        elapsed = time.monotonic() - started
        if ready(seen):
            return seen
        reason = error(seen) if error else None
        if reason:
            raise NotReady(f"{what}: {reason}")
        if elapsed >= timeout:
            raise NotReady(f"{what}: not within {timeout:g} s; last seen: {seen!r}")
        if tick:
            tick(seen, elapsed)
        time.sleep(min(pause, max(0.0, timeout - elapsed) + 0.01))
        pause = min(pause * 1.5, longest_pause)
