"""Waiting looks until it sees what it wants, ends early on a reason, and says what it saw last."""

from __future__ import annotations

import pytest

from backup_standard.waiting import NotReady, until


def test_what_is_ready_at_once_is_returned_without_waiting() -> None:
    assert until(lambda: 7, timeout=0, what="seven") == 7


def test_it_looks_again_and_tells_what_it_saw() -> None:
    seen = iter([0, 0, 3])
    ticks: list[int] = []
    assert until(lambda: next(seen), timeout=5, what="three", tick=lambda value, _seconds: ticks.append(value)) == 3
    assert ticks == [0, 0]


def test_a_reason_to_give_up_ends_it_early() -> None:
    with pytest.raises(NotReady, match="boot: the guest stopped"):
        until(
            lambda: "stopped",
            ready=lambda state: state == "up",
            error=lambda state: f"the guest {state}" if state == "stopped" else None,
            timeout=60,
            what="boot",
        )


def test_at_the_end_it_says_what_it_saw_last() -> None:
    with pytest.raises(NotReady, match=r"boot: not within 0\.1 s; last seen: 'starting'"):
        until(lambda: "starting", ready=lambda state: state == "up", timeout=0.1, what="boot")
