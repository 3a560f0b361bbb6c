"""Routes of access control: tickets, permissions, access list, users, realms (upstream: PVE/API2/AccessControl.pm)."""

from __future__ import annotations

from typing import Any

from lab.pve.access import AclEntry, User, steps
from lab.pve.call import ApiError, Call, die, param_error
from lab.pve.formats import split_list
from lab.pve.privileges import may_modify

REALMS = [
    {"realm": "pam", "type": "pam", "comment": "Linux PAM standard authentication"},
    {"realm": "pve", "type": "pve", "comment": "Proxmox VE authentication server"},
]
PATHS = ("/", "/vms", "/storage", "/nodes", "/pool", "/sdn", "/access", "/access/groups")
"""What GET /access/permissions lists for everybody, before the members of pools and paths with an access list."""
CAPS = {
    "dc": "/",
    "nodes": "/nodes",
    "vms": "/vms",
    "storage": "/storage",
    "access": "/access",
    "sdn": "/sdn",
    "mapping": "/mapping",
}
_CAP_PREFIXES = {
    "dc": ("Sys.", "SDN."),
    "nodes": ("Sys.",),
    "vms": ("VM.",),
    "storage": ("Datastore.",),
    "sdn": ("SDN.",),
    "access": ("User.", "Group.", "Realm.", "Permissions."),
    "mapping": ("Mapping.",),
}


def get_ticket(_call: Call) -> None:
    """GET /access/ticket answers null to anybody."""


def create_ticket(call: Call) -> object:
    """POST /access/ticket: log in with a password, or renew with a ticket as the password."""
    access, params = call.site.access, call.params
    userid = str(params["username"])
    if "@" not in userid and params.get("realm"):
        userid = f"{userid}@{params['realm']}"
    if not access.login(userid, str(params["password"])):
        raise ApiError(401, "authentication failure")
    if path := params.get("path"):
        _check_login_path(call, userid, str(path))
    return {
        "username": userid,
        "ticket": access.ticket(userid),
        "CSRFPreventionToken": access.csrf(userid),
        "cap": _caps(call, userid),
    }


def _check_login_path(call: Call, userid: str, path: str) -> None:
    asked = Call(call.site, userid)
    if not asked.check(path, *split_list(str(call.params.get("privs", ""))), noerr=True):
        raise ApiError(401, "authentication failure")


def _caps(call: Call, userid: str) -> dict[str, dict[str, int]]:
    caps = {}
    for kind, path in CAPS.items():
        held = call.site.access.permissions(userid, path)
        caps[kind] = {priv: 1 for priv in sorted(held) if priv.startswith(_CAP_PREFIXES[kind])}
    return caps


def permissions(call: Call) -> object:
    """GET /access/permissions: own ones always, those of others with Sys.Audit on /access."""
    access = call.site.access
    authid = str(call.params.get("userid", call.user))
    if authid not in {call.user, call.userid}:
        call.check("/access", "Sys.Audit")
    userid, _, tokenid = authid.partition("!")
    if userid not in access.users or (tokenid and tokenid not in access.users[userid].tokens):
        die(f"no such user ('{authid}')")
    paths = [str(call.params["path"])] if "path" in call.params else _interesting_paths(call)
    found = {path: access.permissions(authid, path) for path in paths}
    if "path" in call.params:
        return found
    return {path: held for path, held in found.items() if held}


def _interesting_paths(call: Call) -> list[str]:
    site = call.site
    with site.lock:
        paths = dict.fromkeys(PATHS)
        paths |= dict.fromkeys(f"/vms/{guest.vmid}" for guest in site.guests.values() if guest.pool)
        paths |= dict.fromkeys(f"/storage/{storage}" for pool in site.pools.values() for storage in pool.storages)
        for entry in site.access.acl:
            paths |= dict.fromkeys(steps(entry.path))
    return list(paths)


def _acl_entry(entry: AclEntry) -> dict[str, Any]:
    return {
        "path": entry.path,
        "type": entry.kind,
        "ugid": entry.ugid,
        "roleid": entry.role,
        "propagate": entry.propagate,
    }


def get_acl(call: Call) -> object:
    """GET /access/acl: everything with Sys.Audit on /access, else the paths whose rights the caller may change."""
    everything = call.check("/access", "Sys.Audit", "Permissions.Modify", any=True, noerr=True)
    entries = sorted(call.site.access.acl, key=lambda entry: (entry.path, entry.ugid))
    return [_acl_entry(entry) for entry in entries if everything or may_modify(call, entry.path, noerr=True)]


def update_acl(call: Call) -> None:
    """PUT /access/acl: add lines, or with ``delete`` take them away."""
    access, params = call.site.access, call.params
    path = "/" + params["path"].strip("/")
    names = [
        (name, key == "groups") for key in ("users", "groups", "tokens") for name in split_list(params.get(key, ""))
    ]
    if not params.get("delete") and not access.knows_path(path):
        param_error("path", f"invalid ACL path '{params['path']}'")
    if not names:
        param_error("users", "At least one user, group or token is required")
    for role in split_list(params["roles"]):
        if role not in access.roles:
            die(f"role '{role}' does not exist")
        for name, group in names:
            _known(call, name, group=group)
            if params.get("delete"):
                access.revoke(path, name, role)
            else:
                access.grant(path, name, role, propagate=params.get("propagate", 1), group=group)


def _known(call: Call, name: str, *, group: bool) -> None:
    access = call.site.access
    userid, _, tokenid = name.partition("!")
    if group:
        if name not in access.groups:
            die(f"group '{name}' does not exist")
    elif userid not in access.users:
        die(f"user '{userid}' does not exist")
    elif tokenid and tokenid not in access.users[userid].tokens:
        die(f"no such token '{tokenid}' for user '{userid}'")


def domains(_call: Call) -> object:
    """GET /access/domains, open to anybody."""
    return [dict(realm) for realm in REALMS]


def find_user(call: Call, userid: str) -> User:
    """The user; 500 when there is none."""
    user = call.site.access.users.get(userid)
    if user is None:
        die(f"no such user ('{userid}')")
    return user


def _shown(user: User) -> dict[str, Any]:
    shown: dict[str, Any] = {"enable": user.enable, "expire": user.expire}
    if user.comment:
        shown["comment"] = user.comment
    if user.comment or user.email:  # an empty field of user.cfg counts when another one follows it
        shown["email"] = user.email
    return shown


def list_users(call: Call) -> object:
    """GET /access/users: all with User.Modify or Sys.Audit on /access/groups, else the caller alone."""
    everybody = call.check("/access/groups", "User.Modify", "Sys.Audit", any=True, noerr=True)
    users = [user for userid, user in sorted(call.site.access.users.items()) if everybody or userid == call.user]
    enabled = call.params.get("enabled")
    return [
        {"userid": user.userid, "realm-type": user.userid.rpartition("@")[2], **_shown(user)}
        for user in users
        if enabled is None or bool(user.enable) == bool(enabled)
    ]


def get_user(call: Call) -> object:
    """GET /access/users/{userid}."""
    user = find_user(call, call.params["userid"])
    tokens = {name: {"privsep": token.privsep, "expire": token.expire} for name, token in user.tokens.items()}
    return {**_shown(user), "groups": sorted(user.groups), **({"tokens": tokens} if tokens else {})}


def create_user(call: Call) -> None:
    """POST /access/users."""
    params, access = call.params, call.site.access
    userid = params["userid"]
    if userid in access.users:
        die(f"create user failed: user '{userid}' already exists")
    if userid.rpartition("@")[2] not in {realm["realm"] for realm in REALMS}:
        die(f"create user failed: domain '{userid.rpartition('@')[2]}' does not exist")
    access.add_user(userid, params.get("password", ""))
    _change_user(call, access.users[userid])


def update_user(call: Call) -> None:
    """PUT /access/users/{userid}."""
    _change_user(call, find_user(call, call.params["userid"]))


def _change_user(call: Call, user: User) -> None:
    for key in ("enable", "expire", "comment", "email"):
        setattr(user, key, call.params.get(key, getattr(user, key)))
    if "groups" in call.params:
        user.groups = set(split_list(call.params["groups"]))


def delete_user(call: Call) -> None:
    """DELETE /access/users/{userid}, with its tokens and its lines of the access list."""
    user = find_user(call, call.params["userid"])
    access = call.site.access
    if user.userid == "root@pam":
        die("delete user failed: unable to remove root@pam")
    del access.users[user.userid]
    access.acl = [entry for entry in access.acl if entry.ugid.partition("!")[0] != user.userid]


def change_password(call: Call) -> None:
    """PUT /access/password; tokens may not."""
    if not call.ticket:
        raise ApiError(403, "API tokens are not allowed to access this endpoint")
    find_user(call, call.params["userid"]).password = call.params["password"]
