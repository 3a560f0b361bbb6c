"""Routes of API tokens, roles and groups (upstream: PVE/API2/User.pm, Role.pm, Group.pm)."""

from __future__ import annotations

import uuid
from typing import Any

from lab.pve.access import Token
from lab.pve.access_api import find_user
from lab.pve.call import Call, die, param_error
from lab.pve.formats import split_list


def _info(token: Token) -> dict[str, Any]:
    return {"privsep": token.privsep, "expire": token.expire, **({"comment": token.comment} if token.comment else {})}


def list_tokens(call: Call) -> object:
    """GET /access/users/{userid}/token."""
    user = find_user(call, call.params["userid"])
    return [{"tokenid": name, **_info(token)} for name, token in sorted(user.tokens.items())]


def _find(call: Call) -> Token:
    userid, tokenid = call.params["userid"], call.params["tokenid"]
    token = find_user(call, userid).tokens.get(tokenid)
    if token is None:
        die(f"no such token '{tokenid}' for user '{userid}'")
    return token


def get_token(call: Call) -> object:
    """GET /access/users/{userid}/token/{tokenid}."""
    return _info(_find(call))


def create_token(call: Call) -> object:
    """POST /access/users/{userid}/token/{tokenid}: the secret is shown this once."""
    params = call.params
    user = find_user(call, params["userid"])
    if params["tokenid"] in user.tokens:
        param_error("tokenid", "Token already exists.")
    secret = str(uuid.uuid4())
    user.tokens[params["tokenid"]] = Token(
        secret, params.get("privsep", 1), params.get("expire", 0), params.get("comment", "")
    )
    info = {key: str(params[key]) for key in ("comment", "expire", "privsep") if key in params}
    info.setdefault("privsep", "1")
    return {"full-tokenid": f"{user.userid}!{params['tokenid']}", "value": secret, "info": info}


def update_token(call: Call) -> object:
    """PUT /access/users/{userid}/token/{tokenid}."""
    token = _find(call)
    for key in ("comment", "expire", "privsep"):
        setattr(token, key, call.params.get(key, getattr(token, key)))
    return _info(token)


def delete_token(call: Call) -> None:
    """DELETE /access/users/{userid}/token/{tokenid}, with its lines of the access list."""
    _find(call)
    userid, tokenid = call.params["userid"], call.params["tokenid"]
    access = call.site.access
    del access.users[userid].tokens[tokenid]
    access.acl = [entry for entry in access.acl if entry.ugid != f"{userid}!{tokenid}"]


def list_roles(call: Call) -> object:
    """GET /access/roles."""
    access = call.site.access
    return [
        {"roleid": name, "privs": ",".join(sorted(privs)), "special": int(name in access.builtin)}
        for name, privs in sorted(access.roles.items())
    ]


def get_role(call: Call) -> object:
    """GET /access/roles/{roleid}."""
    name = call.params["roleid"]
    if name not in call.site.access.roles:
        die(f"role '{name}' does not exist")
    return dict.fromkeys(sorted(call.site.access.roles[name]), 1)


def _privs(call: Call) -> set[str]:
    privs = set(split_list(call.params.get("privs", "")))
    if unknown := privs - call.site.access.privileges:
        param_error("privs", f"invalid format - invalid privilege '{min(unknown)}'\n")
    return privs


def create_role(call: Call) -> None:
    """POST /access/roles; a privilege that the release does not have is refused."""
    name, privs = call.params["roleid"], _privs(call)
    if name in call.site.access.roles:
        die(f"create role failed: role '{name}' already exists")
    call.site.access.add_role(name, privs)


def update_role(call: Call) -> None:
    """PUT /access/roles/{roleid}: replace its privileges, or with ``append`` add to them."""
    name, privs = _own_role(call), _privs(call)
    roles = call.site.access.roles
    roles[name] = roles[name] | privs if call.params.get("append") else privs


def _own_role(call: Call) -> str:
    name: str = call.params["roleid"]
    access = call.site.access
    if name not in access.roles:
        die(f"role '{name}' does not exist")
    if name in access.builtin:
        die(f"auto-generated role '{name}' cannot be modified")
    return name


def delete_role(call: Call) -> None:
    """DELETE /access/roles/{roleid}, with its lines of the access list."""
    name = _own_role(call)
    access = call.site.access
    del access.roles[name]
    access.acl = [entry for entry in access.acl if entry.role != name]


def list_groups(call: Call) -> object:
    """GET /access/groups: those the caller may see."""
    access = call.site.access
    shown = []
    for name, comment in sorted(access.groups.items()):
        if call.check(f"/access/groups/{name}", "User.Modify", "Sys.Audit", "Group.Allocate", any=True, noerr=True):
            users = ",".join(sorted(user.userid for user in access.users.values() if name in user.groups))
            shown.append({"groupid": name, "users": users, **({"comment": comment} if comment else {})})
    return shown


def create_group(call: Call) -> None:
    """POST /access/groups."""
    name = call.params["groupid"]
    if name in call.site.access.groups:
        die(f"create group failed: group '{name}' already exists")
    call.site.access.groups[name] = call.params.get("comment", "")
