"""Where notifications go: a fresh installation's own settings, one mail target and one matcher for everything."""

from __future__ import annotations

from lab.pve.call import Call


def targets(_call: Call) -> object:
    """GET /cluster/notifications/targets."""
    comment = "Send mails to root@pam's email address"
    return [{"name": "mail-to-root", "type": "sendmail", "origin": "builtin", "comment": comment}]


def matchers(_call: Call) -> object:
    """GET /cluster/notifications/matchers."""
    comment = "Route all notifications to mail-to-root"
    matcher = {"name": "default-matcher", "mode": "all", "target": ["mail-to-root"], "origin": "builtin"}
    return [matcher | {"comment": comment}]
