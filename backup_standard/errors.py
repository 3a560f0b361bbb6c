"""The errors an operator meets. Each says what is wrong, where, and what to do next; none is shown with a traceback."""

from __future__ import annotations

from collections.abc import Mapping


class OperatorError(Exception):
    """Something the operator can mend: ``what`` happened, ``where`` (file and line, host, guest), ``next_step``."""

    def __init__(self, what: str, *, where: str = "", next_step: str = "") -> None:
        self.what, self.where, self.next_step = what, where, next_step
        super().__init__(str(self))

    @property
    def said(self) -> str:
        """What happened and where, on one line."""
        return f"{self.where}: {self.what}" if self.where else self.what

    def __str__(self) -> str:
        cure = f"\n  Next: {self.next_step}" if self.next_step else ""
        return f"{self.said}{cure}"


class InventoryError(OperatorError):
    """The inventory cannot be used as written."""


class SecretError(OperatorError):
    """A secret's reference leads nowhere. The secret itself is never part of the text."""


class ConnectionFailed(OperatorError):
    """A host, its certificate or its host key could not be reached or trusted."""


class Unreachable(ConnectionFailed):
    """No answer came at all: nothing listens, the connection broke, or the time was over."""


class Untrusted(ConnectionFailed):
    """A certificate or a host key is not the one that was expected; nothing was sent."""


class LoginRefused(ConnectionFailed):
    """The host is there and is the right one, but does not accept this account with this credential."""


class ApiError(OperatorError):
    """The Proxmox VE API refused a request: ``status`` is HTTP's, ``text`` its own reason.

    ``parameters`` maps each parameter it complains of to what it says (status 400).
    """

    def __init__(
        self,
        text: str,
        *,
        status: int,
        parameters: Mapping[str, str] | None = None,
        where: str = "",
        next_step: str = "",
    ) -> None:
        self.status, self.text, self.parameters = status, text, dict(parameters or {})
        named = "; ".join(f"{name}: {reason.strip()}" for name, reason in self.parameters.items())
        super().__init__(f"{text} ({named})" if named else text, where=where, next_step=next_step)


class MissingPrivilege(OperatorError):
    """The token lacks a privilege; ``what`` names privilege and path, ``next_step`` the command that grants it.

    ``privilege`` is as Proxmox names it (alternatives as ``A|B``), ``path`` the ACL path; both empty where it does
    not say.
    """

    def __init__(self, what: str, *, privilege: str = "", path: str = "", where: str = "", next_step: str = "") -> None:
        self.privilege, self.path = privilege, path
        super().__init__(what, where=where, next_step=next_step)


class TaskFailed(OperatorError):
    """A Proxmox task ended otherwise than OK; carries its UPID and the tail of its log."""

    def __init__(
        self, what: str, *, upid: str, log_tail: tuple[str, ...] = (), where: str = "", next_step: str = ""
    ) -> None:
        self.upid, self.log_tail = upid, log_tail
        super().__init__(what, where=where, next_step=next_step)


class Refused(OperatorError):
    """The suite itself declines to do something that could harm production."""


class Unknown(Exception):
    """A fact could not be observed, so a rule cannot be decided: never a pass, never an assertion error.

    ``fact`` is what was wanted, ``reason`` why it is not known, ``need`` the privilege or access that would show it.
    """

    def __init__(self, fact: str, *, reason: str, need: str = "") -> None:
        self.fact, self.reason, self.need = fact, reason, need
        needs = f"; needed: {need}" if need else ""
        super().__init__(f"{fact} is unknown: {reason}{needs}")


class Unread(Unknown):
    """The reading itself failed: no answer came, or one that cannot be the API's or the node's.

    An error, not a matter of privileges: no attestation stands in for it.
    """

    def __init__(self, fact: str, *, reason: str, need: str = "") -> None:
        super().__init__(fact, reason=reason, need=need)
        self.args = (f"{fact} could not be read: {reason}",)


class NotApplicable(Exception):
    """A rule has nothing to judge, and the inventory declares why; the text is that reason."""


class NotRun(Exception):
    """A row cannot be judged because an earlier one of the same subject failed; the text names that one."""
