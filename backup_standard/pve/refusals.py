"""What the API's refusals mean to an operator: which privilege is missing and which command grants it."""

from __future__ import annotations

import re
from collections.abc import Mapping

from backup_standard.errors import ApiError, MissingPrivilege, OperatorError

UNAUTHORISED = 401
FORBIDDEN = 403
_PROXY_FAILURES = {
    595: "the node that should answer cannot be reached from the node that was asked",
    596: "the API's back end broke off",
    597: "the API's back end broke off",
    598: "the API's back end broke off",
    599: "the API's back end gave no answer",
}
"""Codes of the HTTP client inside pveproxy (upstream: AnyEvent::HTTP), when it cannot reach a daemon or node."""

FIRST_PROXY_FAILURE = 595
_NEED = re.compile(r"\((?P<path>/[^,)]*), (?P<privileges>[A-Za-z.|]+)\)")


def refusal(status: int, text: str, parameters: Mapping[str, str], *, where: str, token: str) -> OperatorError:
    """The error for an answer with a status of 400 or above; ``token`` is the token's id."""
    if status == UNAUTHORISED:
        return _not_let_in(text, where, token)
    if status == FORBIDDEN:
        return missing_privilege(text, where=where, token=token)
    if status in _PROXY_FAILURES:
        return ApiError(f"{_PROXY_FAILURES[status]} ({status} {text})", status=status, where=where)
    return ApiError(text, status=status, parameters=parameters, where=where)


def _not_let_in(text: str, where: str, token: str) -> OperatorError:
    user, _, name = token.partition("!")
    return OperatorError(
        f"the token {token} is not accepted ({text})",
        where=where,
        next_step=f"check its id and secret in the inventory; on a node: pveum user token list {user} "
        f"(a lost secret cannot be shown again: pveum user token remove {user} {name}, then add it anew)",
    )


def missing_privilege(text: str, *, where: str, token: str) -> MissingPrivilege:
    """A 403, with the command that would grant what it names (upstream: "Permission check failed (PATH, PRIV)")."""
    match = _NEED.search(text)
    if match is None:
        return MissingPrivilege(
            f"the token {token} may not do this: {text}",
            where=where,
            next_step="Proxmox VE reserves it for root@pam, or names no privilege; see pveum user permissions "
            f"'{token}'",
        )
    path, privileges = match["path"], match["privileges"]
    wanted = privileges.replace("|", " or ")
    return MissingPrivilege(
        f"the token {token} lacks {wanted} on {path}",
        privilege=privileges,
        path=path,
        where=where,
        next_step=grant(privileges.split("|")[0], path, token),
    )


def grant(privilege: str, path: str, token: str) -> str:
    """The command that gives a token (and its user: a token has no more than both) one privilege on a path."""
    user = token.partition("!")[0]
    if privilege.endswith(".Audit"):
        return f"pveum acl modify {path} --users {user} --tokens '{token}' --roles PVEAuditor"
    role = f"Suite-{privilege}"
    return (
        f"pveum role add {role} --privs {privilege}; "
        f"pveum acl modify {path} --users {user} --tokens '{token}' --roles {role}"
    )
