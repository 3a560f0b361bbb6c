"""What could not be read, in place of what was."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeVar

from backup_standard.errors import Unknown

T = TypeVar("T")


@dataclass(frozen=True)
class Gap:
    """A fact that could not be read: why, and which privilege or access would show it."""

    fact: str
    reason: str
    need: str = ""


def known(value: T | Gap) -> T:
    """The value, or :class:`Unknown` when it is a gap."""
    if isinstance(value, Gap):
        raise Unknown(value.fact, reason=value.reason, need=value.need)
    return value
