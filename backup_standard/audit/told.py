"""Who is told when a backup fails, by the job's settings and the site's.

Upstream: PVE/VZDump.pm send_notification. A job sends mail itself (``legacy-sendmail``, or ``auto`` with an address),
or hands its message to the notification system, whose matchers choose targets. Before release 8.1 there is mail only.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from backup_standard.errors import Unknown
from backup_standard.model import Facts, NotificationMatcher, Notifications
from backup_standard.model.facts import known

_FIRST_NOTIFICATIONS = (8, 1)
"""The first release with a notification system."""


@dataclass(frozen=True)
class Told:
    """Who is told, in words; ``nobody`` says why nobody is, empty when somebody is."""

    by: str = ""
    nobody: str = ""


def judge(settings: Mapping[str, str], defaults: Mapping[str, str], facts: Facts) -> Told:
    """One job's settings and the node's vzdump defaults. Unknown when the site's settings decide and were not read."""
    mode = settings.get("notification-mode") or defaults.get("notification-mode") or "auto"
    address = settings.get("mailto") or defaults.get("mailto", "")
    if mode == "legacy-sendmail" or (mode == "auto" and address) or _has_mail_only(facts):
        return Told(f"mail to {address}") if address else Told(nobody="it sends mail, and no address is set (mailto)")
    if facts.notifications is None:
        raise Unknown("who gets notifications", reason="they were not read")
    return _by_site(known(facts.notifications))


def remedy(facts: Facts, job: str) -> str:
    """The commands by which somebody is told: of the notification system, or of mail where there is no other way."""
    if _has_mail_only(facts):
        return f"pvesh set /cluster/backup/{job} --mailto root"
    return (
        f"pvesh set /cluster/backup/{job} --notification-mode notification-system\n"
        "pvesh create /cluster/notifications/matchers --name errors --match-severity error --target mail-to-root"
    )


def _has_mail_only(facts: Facts) -> bool:
    release = facts.site_release
    return release is not None and release < _FIRST_NOTIFICATIONS


def _by_site(site: Notifications) -> Told:
    usable = {target.name for target in site.targets if not target.disabled}
    for matcher in site.matchers:
        reached = [name for name in matcher.targets if name in usable]
        if reached and _takes_errors(matcher):
            return Told(f"matcher {matcher.name} to {', '.join(reached)}")
    if any(not matcher.disabled and matcher.is_narrow for matcher in site.matchers):
        return Told(nobody="only matchers with conditions of their own are left, which may let a failed backup through")
    return Told(nobody="no enabled matcher of the site brings errors to an enabled target")


def _takes_errors(matcher: NotificationMatcher) -> bool:
    if matcher.disabled or matcher.is_narrow:
        return False
    return not matcher.severities or "error" in matcher.severities
