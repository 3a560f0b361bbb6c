"""Waiting ends with the value, the reason to give up, or the last thing seen."""

from __future__ import annotations

import time

import pytest

from lab.waiting import TimedOut, pause, until


def test_the_first_true_value_is_returned() -> None:
    values = iter((0, "", 7))
    assert until(lambda: next(values), interval=0.001) == 7


def test_an_error_ends_the_wait_at_once() -> None:
    began = time.monotonic()
    with pytest.raises(TimedOut, match="waiting for the guest was given up: it died"):
        until(lambda: False, error=lambda: "it died", timeout=10, what="the guest")
    assert time.monotonic() - began < 1


def test_the_end_names_what_was_awaited_and_what_was_seen() -> None:
    with pytest.raises(TimedOut, match=r"the port did not come within 0.01 s \(last seen: None\)"):
        until(lambda: None, timeout=0.01, what="the port", interval=0.001)


def test_a_pause_is_as_long_as_asked() -> None:
    began = time.monotonic()
    pause(0.02)
    pause(-1)
    assert 0.02 <= time.monotonic() - began < 1
