"""Declared checks of a guest, looked at until each is as declared or its time is up."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TypeVar

from backup_standard import waiting
from backup_standard.drill.dialect import Unreadable
from backup_standard.errors import ConnectionFailed

T = TypeVar("T")

UNSEEN = (ConnectionFailed, Unreadable, waiting.NotReady)
"""What ends a look before it saw anything; :func:`why` says it."""


def why(problem: Exception) -> str:
    """What ended a look, in the words of its row."""
    return problem.what if isinstance(problem, ConnectionFailed) else str(problem)


def named(words: Iterable[str]) -> list[str]:
    """Each check in words; of several that read alike, the later ones with their number."""
    names: list[str] = []
    for number, word in enumerate(words, 1):
        names.append(word if word not in names else f"{word} (number {number})")
    return names


def settle(
    look: Callable[[], T], *, ready: Callable[[T], bool], timeout: float, what: str,
    tick: Callable[[T, float], None] | None = None,
) -> T:  # fmt: skip
    """Look until ``ready`` likes what it sees; when ``timeout`` seconds are over, what one more look sees."""
    try:
        return waiting.until(look, ready=ready, timeout=timeout, what=what, tick=tick)
    except waiting.NotReady:
        return look()
