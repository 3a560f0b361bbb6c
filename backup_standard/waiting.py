"""Waiting for a condition: the only place that sleeps."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")

FIRST_PAUSE = 0.05
"""Seconds between two looks at first."""
SHARE = 0.02
"""The part of the time waited so far that a later pause takes, up to ``longest_pause``: what comes true within five
seconds is seen within a tenth of one, and what takes minutes is not asked for all the time.
"""


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
    started = time.monotonic()
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
        pause = min(max(FIRST_PAUSE, SHARE * elapsed), longest_pause)
        time.sleep(min(pause, max(0.0, timeout - elapsed) + 0.01))
