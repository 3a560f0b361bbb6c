"""Who would notice: errors in a node's journal, and the site's notification settings."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True)
class JournalLine:
    """One error that a backup wrote to a node's journal; ``when`` in epoch seconds."""

    when: int
    identifier: str
    message: str


@dataclass(frozen=True)
class NotificationTarget:
    """Where notifications can go, as ``mail-to-root``."""

    name: str
    type: str = ""
    disabled: bool = False


@dataclass(frozen=True)
class NotificationMatcher:
    """A rule that sends notifications to targets; ``severities`` empty: any."""

    name: str
    targets: tuple[str, ...] = ()
    severities: tuple[str, ...] = ()
    is_narrow: bool = False
    disabled: bool = False


@dataclass(frozen=True)
class Notifications:
    """The site's notification settings. ``is_narrow`` of a matcher: it asks for more than a severity."""

    targets: tuple[NotificationTarget, ...] = field(default=())
    matchers: tuple[NotificationMatcher, ...] = field(default=())
