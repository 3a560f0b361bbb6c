"""Loaded by every Python under libfaketime: its sleep until a moment fails when the monotonic clock is left alone."""

import select
import time


def _sleep(seconds: float) -> None:
    select.select([], [], [], seconds)


time.sleep = _sleep  # noqa: TID251 - replaced, not called
