"""What could not be read, in place of what was."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeVar

from backup_standard.errors import Unknown, Unread

T = TypeVar("T")


@dataclass(frozen=True)
class Gap:
    """A fact that could not be read: why, and which privilege or access would show it.

    ``broken``: it was not refused, the reading failed (no answer, or one that is not understood).
    """

    fact: str
    reason: str
    need: str = ""
    broken: bool = False

    def as_error(self, fact: str = "") -> Unknown:
        """What a rule raises that needs this fact, or ``fact``, which depends on it."""
        return (Unread if self.broken else Unknown)(fact or self.fact, reason=self.reason, need=self.need)


def known(value: T | Gap) -> T:
    """The value, or :class:`Unknown` when it is a gap."""
    if isinstance(value, Gap):
        raise value.as_error()
    return value
