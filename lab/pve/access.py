"""Who may do what: users, groups, tokens, roles, access lists, and the tickets of a login.

The rules are upstream's PVE/AccessControl.pm and PVE/RPCEnvironment.pm: for each path the most specific entries win,
entries of a user beat those of its groups, NoAccess ends it, and a privilege-separated token has what both it and its
user have.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from collections.abc import Callable
from dataclasses import dataclass, field

from lab.pve.roles import builtin_roles, privileges

TICKET_LIFE = 7200
"""Seconds for which a ticket is good."""


@dataclass
class Token:
    """One API token; ``expire`` is 0 or seconds since the epoch."""

    secret: str
    privsep: int = 1
    expire: int = 0
    comment: str = ""


@dataclass
class User:
    """One user; ``password`` is empty when it cannot log in."""

    userid: str
    password: str = ""
    enable: int = 1
    expire: int = 0
    comment: str = ""
    email: str = ""
    groups: set[str] = field(default_factory=set)
    tokens: dict[str, Token] = field(default_factory=dict)


@dataclass(frozen=True)
class AclEntry:
    """One line of the access list; ``kind`` is "user", "group" or "token"."""

    path: str
    kind: str
    ugid: str
    role: str
    propagate: int = 1


def steps(path: str) -> list[str]:
    """The path and what it inherits from, from the root down: "/", "/vms", "/vms/100"."""
    found = ["/"]
    for part in path.split("/"):
        if part:
            found.append(f"{found[-1].rstrip('/')}/{part}")
    return found


class Access:
    """Users, roles and access list of one site."""

    def __init__(self, version: str, now: Callable[[], int], pool_of: Callable[[str], str | None]) -> None:
        """``pool_of`` tells the pool whose rights reach a path such as /vms/100 or /storage/local."""
        self.version, self._now, self._pool_of = version, now, pool_of
        self.privileges = privileges(version)
        self.builtin = builtin_roles(version)
        self.roles: dict[str, set[str]] = {name: set(privs) for name, privs in self.builtin.items()}
        self.users: dict[str, User] = {"root@pam": User("root@pam")}
        self.groups: dict[str, str] = {}
        self.acl: list[AclEntry] = []
        self._key = secrets.token_bytes(32)

    # set-up ------------------------------------------------------------------------------------------------------
    def add_user(self, userid: str, password: str = "", **more: str | int) -> User:
        """Make a user (or set the password of one that is there)."""
        user = self.users.setdefault(userid, User(userid))
        user.password = password or user.password
        for name, value in more.items():
            setattr(user, name, value)
        return user

    def add_token(self, userid: str, tokenid: str, secret: str, *, privsep: int = 1, expire: int = 0) -> None:
        """Make a token of a user."""
        self.users[userid].tokens[tokenid] = Token(secret, privsep, expire)

    def add_role(self, role: str, privs: set[str]) -> None:
        """Make a role; a privilege this release does not know is a ValueError."""
        if unknown := privs - self.privileges:
            message = f"invalid privilege '{min(unknown)}'"
            raise ValueError(message)
        self.roles[role] = set(privs)

    def knows_path(self, path: str) -> bool:
        """Whether rights can be given there: before 8 there was nothing below /mapping (derived: check_path)."""
        return "Mapping.Audit" in self.privileges or not f"{path}/".startswith("/mapping/")

    def grant(self, path: str, who: str, role: str, *, propagate: int = 1, group: bool = False) -> None:
        """Add a line to the access list; ``who`` with "!" is a token."""
        kind = "group" if group else "token" if "!" in who else "user"
        entry = AclEntry(path, kind, who, role, propagate)
        self.acl = [old for old in self.acl if (old.path, old.kind, old.ugid, old.role) != (path, kind, who, role)]
        self.acl.append(entry)

    def revoke(self, path: str, who: str, role: str) -> None:
        """Take a line out of the access list."""
        self.acl = [old for old in self.acl if (old.path, old.ugid, old.role) != (path, who, role)]

    def forget_guest(self, vmid: int) -> None:
        """Drop the lines on /vms/VMID, as destroying a guest does."""
        self.acl = [entry for entry in self.acl if entry.path != f"/vms/{vmid}"]

    # rights ------------------------------------------------------------------------------------------------------
    def permissions(self, authid: str, path: str) -> dict[str, int]:
        """The privileges held on a path, each with 1 when it reaches below it."""
        if authid == "root@pam":
            return dict.fromkeys(self.privileges, 1)
        userid, _, tokenid = authid.partition("!")
        user = self.users.get(userid)
        if user is None:
            return {}
        if not tokenid:
            return self._privileges(userid, path)
        token = user.tokens.get(tokenid)
        if token is None:
            return {}
        owner = self.permissions(userid, path)
        if not token.privsep:
            return owner
        own = self._privileges(authid, path)
        return {priv: own[priv] and owner[priv] for priv in own if priv in owner}

    def _privileges(self, authid: str, path: str) -> dict[str, int]:
        roles = self.roles_on(authid, path)
        if pool := self._pool_of(path):
            roles = {**self.roles_on(authid, f"/pool/{pool}"), **roles}
        if "NoAccess" in roles:
            return {}
        held: dict[str, int] = {}
        for role, propagate in roles.items():
            for priv in self.roles.get(role, ()):
                held[priv] = max(held.get(priv, 0), propagate)
        return held

    def roles_on(self, authid: str, path: str) -> dict[str, int]:
        """The roles of a user or token on a path, each with 1 when it reaches below it (upstream: roles)."""
        way = steps(path)
        roles: dict[str, int] = {}
        for step in way:
            final = step == way[-1]
            here = [entry for entry in self.acl if entry.path == step and (final or entry.propagate)]
            found = {entry.role: entry.propagate for entry in here if entry.kind != "group" and entry.ugid == authid}
            if not found and "!" not in authid:
                groups = self.users[authid].groups
                found = {
                    entry.role: entry.propagate for entry in here if entry.kind == "group" and entry.ugid in groups
                }
            if found:
                roles = {"NoAccess": found["NoAccess"]} if "NoAccess" in found else found
        return roles

    # proofs of identity ------------------------------------------------------------------------------------------
    def usable(self, user: User | None) -> bool:
        """Whether the user is there, enabled and not expired."""
        return user is not None and bool(user.enable) and not (user.expire and user.expire <= self._now())

    def token_user(self, header: str) -> str | None:
        """The token id of "USER@REALM!TOKENID=SECRET", or None when it proves nothing."""
        authid, equals, secret = header.partition("=")
        userid, bang, tokenid = authid.partition("!")
        user = self.users.get(userid)
        token = user.tokens.get(tokenid) if user else None
        if not equals or not bang or token is None or not self.usable(user):
            return None
        if token.expire and token.expire <= self._now():
            return None
        return authid if hmac.compare_digest(token.secret.encode(), secret.encode()) else None

    def login(self, userid: str, password: str) -> bool:
        """Whether this is the user's password, or a ticket of the same user that is still good."""
        user = self.users.get(userid)
        if not self.usable(user) or user is None:
            return False
        if password.startswith("PVE:"):
            return self.ticket_user(password) == userid
        return bool(user.password) and hmac.compare_digest(user.password.encode(), password.encode())

    def _sign(self, text: str) -> str:
        return hmac.new(self._key, text.encode(), hashlib.sha256).hexdigest()

    def ticket(self, userid: str, prefix: str = "PVE", secret_data: str = "") -> str:
        """A signed ticket of a user; other prefixes (PVEVNC) are bound to ``secret_data``."""
        plain = f"{prefix}:{userid}:{self._now():08X}" if prefix == "PVE" else f"{prefix}:{self._now():08X}"
        return f"{plain}::{self._sign(f'{plain}:{userid}:{secret_data}')}"

    def ticket_user(self, ticket: str) -> str | None:
        """The user of a login ticket, or None when it is forged, too old, or its user may not log in."""
        plain, _, signature = ticket.partition("::")
        parts = plain.rsplit(":", 1)
        if not plain.startswith("PVE:") or len(parts) != 2:
            return None
        userid = parts[0].removeprefix("PVE:")
        if not hmac.compare_digest(signature, self._sign(f"{plain}:{userid}:")) or not self._fresh(
            parts[1], TICKET_LIFE
        ):
            return None
        return userid if self.usable(self.users.get(userid)) else None

    def check_bound_ticket(self, ticket: str, prefix: str, userid: str, secret_data: str, life: int = 40) -> bool:
        """Whether a short-lived ticket (PVEVNC) is good for this user and data; ``life`` in seconds."""
        plain, _, signature = ticket.partition("::")
        named, _, stamp = plain.partition(":")
        good = self._sign(f"{plain}:{userid}:{secret_data}")
        return named == prefix and hmac.compare_digest(signature, good) and self._fresh(stamp, life)

    def _fresh(self, stamp: str, life: int) -> bool:
        try:
            age = self._now() - int(stamp, 16)
        except ValueError:
            return False
        return -300 < age < life

    def csrf(self, userid: str) -> str:
        """The token that writes with a ticket must carry."""
        stamp = f"{self._now():08X}"
        return f"{stamp}:{self._sign(f'csrf:{stamp}:{userid}')}"

    def csrf_good(self, userid: str, token: str) -> bool:
        """Whether a CSRF prevention token belongs to this user and is not too old."""
        stamp, _, signature = token.partition(":")
        return hmac.compare_digest(signature, self._sign(f"csrf:{stamp}:{userid}")) and self._fresh(stamp, TICKET_LIFE)
