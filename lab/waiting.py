"""The only place in the lab that sleeps: wait until something is so, with an end and a reason."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


class TimedOut(Exception):
    """What was waited for did not come; the text names it and the last value seen."""


def until(
    ready: Callable[[], T],
    *,
    error: Callable[[], str | None] | None = None,
    timeout: float = 30.0,
    what: str = "a condition",
    interval: float = 0.05,
) -> T:
    """Return the first true value of ``ready()``.

    ``error`` is asked between looks: a text it returns ends the wait at once. ``timeout`` and ``interval`` are seconds;
    the interval grows by half at each look, up to one second. Raises TimedOut.
    """
    deadline = time.monotonic() + timeout
    pause = interval
    while True:
        value = ready()
        if value:
            return value
        reason = error() if error else None
        if reason:
            message = f"waiting for {what} was given up: {reason}"
            raise TimedOut(message)
        left = deadline - time.monotonic()
        if left <= 0:
            message = f"{what} did not come within {timeout:g} s (last seen: {value!r})"
            raise TimedOut(message)
        time.sleep(min(pause, left))
        pause = min(pause * 1.5, 1.0)


def pause(seconds: float) -> None:
    """Stand still; for a delay that is itself the behaviour to show (a refused login answers late)."""
    time.sleep(max(0.0, seconds))
