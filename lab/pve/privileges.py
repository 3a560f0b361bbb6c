"""The privilege checks a route's schema declares (upstream: PVE/RPCEnvironment.pm check_api2_permissions)."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from lab.pve.call import ApiError, Call


def check_permissions(call: Call, permissions: Mapping[str, Any]) -> None:
    """Raise 403 when the caller may not use the route."""
    user = permissions.get("user")
    if user == "world" or call.is_root:
        return
    if user == "all" and call.user:
        return
    check = permissions.get("check")
    if check is None:
        raise ApiError(403, "Permission check failed (user != root@pam)")
    evaluate(call, check, noerr=False)


def evaluate(call: Call, check: Sequence[Any], *, noerr: bool) -> bool:
    """One node of a check tree."""
    return KINDS[str(check[0])](call, list(check[1:]), noerr)


def fill(call: Call, template: str) -> str:
    """The ACL path with its variables filled in from the parameters."""

    def value(found: re.Match[str]) -> str:
        return str(call.params.get(found[1], ""))

    return re.sub(r"\{([^}]+)\}", value, template)


def _fail(noerr: bool, what: str = "") -> bool:  # noqa: FBT001
    if noerr:
        return False
    raise ApiError.perm(what)


def _perm(call: Call, rest: list[Any], noerr: bool) -> bool:  # noqa: FBT001
    template, privs, *options = rest
    given = dict(zip(options[::2], options[1::2], strict=True))
    needed = given.get("require_param")
    if needed and needed not in call.params:
        return _fail(noerr)
    return call.check(fill(call, template), *privs, any=bool(given.get("any")), noerr=noerr)


def _or(call: Call, rest: list[Any], noerr: bool) -> bool:  # noqa: FBT001
    return any(evaluate(call, check, noerr=True) for check in rest) or _fail(noerr)


def _and(call: Call, rest: list[Any], noerr: bool) -> bool:  # noqa: FBT001
    return all(evaluate(call, check, noerr=noerr) for check in rest)


def _userid_param(call: Call, rest: list[Any], noerr: bool) -> bool:  # noqa: FBT001
    userid = str(call.params.get("userid", ""))
    if rest[0] == "self":
        return call.user == userid or _fail(noerr)
    realm = userid.rpartition("@")[2]
    return call.check(f"/access/realm/{realm}", str(rest[0]), noerr=noerr)


def _userid_group(call: Call, rest: list[Any], noerr: bool) -> bool:  # noqa: FBT001
    privs = rest[0]
    if call.check("/access/groups", *privs, any=True, noerr=True):
        return True
    user = call.site.access.users.get(str(call.params.get("userid", "")))
    groups = user.groups if user else ()
    return any(call.check(f"/access/groups/{group}", *privs, any=True, noerr=True) for group in groups) or _fail(noerr)


def may_modify(call: Call, path: str, *, noerr: bool = False) -> bool:
    """Whether the caller may change the access list on a path (upstream: PVE/RPCEnvironment.pm check_perm_modify)."""
    privs = {"Permissions.Modify"}
    kind = path.strip("/").split("/")[0]
    privs |= {"storage": {"Datastore.Allocate"}, "vms": {"VM.Allocate"}, "pool": {"Pool.Allocate"}}.get(kind, set())
    return call.check(path or "/", *sorted(privs), any=True, noerr=noerr)


def _perm_modify(call: Call, rest: list[Any], noerr: bool) -> bool:  # noqa: FBT001
    return may_modify(call, fill(call, str(rest[0])), noerr=noerr)


KINDS: dict[str, Callable[[Call, list[Any], bool], bool]] = {
    "perm": _perm,
    "or": _or,
    "and": _and,
    "userid-param": _userid_param,
    "userid-group": _userid_group,
    "perm-modify": _perm_modify,
}
