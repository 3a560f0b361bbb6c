"""One API request as a handler sees it, and the errors a handler may raise."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NoReturn

if TYPE_CHECKING:
    from lab.pve.site import Site


class ApiError(Exception):
    """An answer that is not a success: status, reason phrase (one line) and errors by parameter.

    ``text`` is the whole message; the reason phrase is its first line (upstream: PVE/APIServer/Formatter/Standard.pm).
    """

    def __init__(self, status: int, text: str, errors: dict[str, str] | None = None, *, empty: bool = False) -> None:
        """``empty`` sends no body at all, as for a refused ticket."""
        super().__init__(text)
        self.status, self.text, self.errors, self.empty = status, text, errors, empty

    @property
    def reason(self) -> str:
        """The first line of the text."""
        return self.text.split("\n", 1)[0]

    @classmethod
    def param(cls, errors: dict[str, str]) -> ApiError:
        """400 "Parameter verification failed." with one message per parameter."""
        return cls(400, "Parameter verification failed.", errors)

    @classmethod
    def perm(cls, what: str = "") -> ApiError:
        """403 "Permission check failed (WHAT)"."""
        return cls(403, f"Permission check failed ({what})" if what else "Permission check failed")


def die(text: str) -> NoReturn:
    """Fail as Perl's die does: status 500 with the text as reason."""
    raise ApiError(500, text)


def param_error(name: str, text: str) -> NoReturn:
    """Refuse one parameter with 400."""
    raise ApiError.param({name: text})


def perm_error(what: str = "") -> NoReturn:
    """Refuse with 403; ``what`` reads "PATH, PRIV|PRIV"."""
    raise ApiError.perm(what)


@dataclass
class Call:
    """One checked request.

    ``params`` holds path variables and parameters: integers as int, booleans as 0 or 1, numbers as float, arrays as
    lists, everything else as text. Defaults are not filled in.
    """

    site: Site
    user: str
    method: str = "GET"
    path: str = "/"
    params: dict[str, Any] = field(default_factory=dict)
    ticket: bool = False
    route: str = ""
    total: int | None = None
    changes: str | None = None
    client: str = "127.0.0.1"

    def check(self, path: str, *privs: str, any: bool = False, noerr: bool = False) -> bool:  # noqa: A002
        """Whether the caller holds all privileges (or, with ``any``, one of them) on an ACL path; 403 when not.

        The text names the path and the first missing privilege, or with ``any`` all of them joined by "|"
        (upstream: PVE/RPCEnvironment.pm check, check_any).
        """
        held = self.site.access.permissions(self.user, path)
        if any:
            missing = None if held.keys() & set(privs) else "|".join(privs)
        else:
            missing = next((priv for priv in privs if priv not in held), None)
        if missing is None:
            return True
        if noerr:
            return False
        raise ApiError.perm(f"{path}, {missing}")

    @property
    def is_root(self) -> bool:
        """Only root@pam itself, never a token of it."""
        return self.user == "root@pam"

    @property
    def userid(self) -> str:
        """The user without the token's name."""
        return self.user.split("!", 1)[0]
