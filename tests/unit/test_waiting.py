"""Waiting looks until it sees what it wants, ends early on a reason, and says what it saw last."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from backup_standard import waiting
from backup_standard.waiting import NotReady, until


@dataclass
class Clock:
    """A clock that only moves when somebody sleeps."""

    now: float = 0.0
    looks: int = 0

    def monotonic(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds

    def is_past(self, moment: float) -> bool:
        self.looks += 1
        return self.now >= moment


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    made = Clock()
    monkeypatch.setattr(waiting, "time", made)
    return made


@pytest.mark.parametrize("moment", [0.03, 0.4, 1.1, 2.9, 4.99])
def test_what_comes_soon_is_seen_within_a_tenth_of_a_second(clock: Clock, moment: float) -> None:
    until(lambda: clock.is_past(moment), timeout=60, what="it")
    assert clock.now - moment <= 0.1


@pytest.mark.parametrize("moment", [25.0, 80.0, 3600.0])
def test_a_short_pause_that_is_asked_for_holds_to_the_end(clock: Clock, moment: float) -> None:
    until(lambda: clock.is_past(moment), timeout=7200, what="it", longest_pause=0.1)
    assert clock.now - moment <= 0.101


def test_what_takes_long_is_not_asked_for_all_the_time(clock: Clock) -> None:
    until(lambda: clock.is_past(3600), timeout=7200, what="it")
    assert clock.now - 3600 <= 2
    assert clock.looks < 2100


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
