"""The ownership guard: the one table of what a drill may write, and the proof that what it touches is its own.

A VMID is ours when it is reserved by the inventory, was proven free before, and a claim on it stands in the run's
``claims.jsonl``; as soon as the guest shows a configuration, that must carry the drill tag and the run's mark as well.
The stub that a failed restore leaves has no tag; it counts as ours only while it is empty and a task of ours made it.
An archive may be protected, and no longer, while a claim names it. Everything else is refused.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote

from backup_standard.drill import guestconfig, names, node_commands, placeholder
from backup_standard.drill.claims import Claim, Claims
from backup_standard.drill.ports import Reader
from backup_standard.drill.volumes import storage_of
from backup_standard.errors import OperatorError, Refused

Params = Mapping[str, Any]

_RESTORE_KEYS = frozenset(
    {"vmid", "archive", "storage", "pool", "name", "description", "tags", "onboot", "protection", "template", "bwlimit"}
)
_CONTAINER_KEYS = frozenset({"vmid", "ostemplate", "restore", *_RESTORE_KEYS}) - {"archive", "name", "template"}
_CLONE_KEYS = frozenset({"newid", "full", "storage", "pool", "name", "description", "target"})
_CONFIG_KEYS = frozenset({"delete", "name", "description", "tags", "onboot", "protection"})
_STUB_KEYS = frozenset({"memory", "digest", "lock"})
_DELETABLE = frozenset({"watchdog"})
_TYPE, _GUEST_OF = 5, 6
"""Places of a task's type and of its guest in the UPID (upstream: PVE/UPID.pm); something follows each."""


@dataclass(frozen=True)
class Ground:
    """What the inventory grants: reserved VMIDs, the isolated bridge, the storage copies are restored to."""

    reserved: names.Reserved
    bridge: str
    storage: str
    pool: str | None = None


class Guard:
    """Says yes or :class:`Refused` to each write; :meth:`permit` for the API, :meth:`permit_command` for the node."""

    def __init__(self, ground: Ground, claims: Claims | None, reader: Reader, *, adopted: Sequence[Claim] = ()) -> None:
        self.ground, self._claims, self._reader = ground, claims, reader
        self._adopted = {claim.vmid: claim for claim in adopted}

    def permit(self, method: str, path: str, params: Params) -> None:
        """Return when the table allows this call on something of ours; Refused otherwise."""
        for row in TABLE:
            match = row.path.fullmatch("/" + path.strip("/")) if row.method == method else None
            if match:
                row.check(self, match.groupdict(), params)
                return
        raise Refused(
            f"{method} {path} is not among the calls a drill may make", next_step="this is a fault of the suite"
        )

    def close(self) -> None:
        """Close the reader's connections, where it has any."""
        close = getattr(self._reader, "close", None)
        if close:
            close()

    def permit_command(self, argv: Sequence[str]) -> None:
        """Return when the table of node commands allows this one for a VMID we claimed; Refused otherwise."""
        vmids = node_commands.vmids_of(argv)
        if not vmids:
            raise Refused(f"the command {' '.join(argv)!r} is not among those a drill may run on a node")
        claims = [self.claim_on(vmid) for vmid in sorted(vmids)]
        volid = node_commands.freed(argv)
        known = [volid for claim in claims for volid in claim.volids]
        if volid and volid not in known and storage_of(volid) != self.ground.storage:
            raise Refused(f"volume {volid} is not on storage {self.ground.storage}, where copies are restored to")

    def claim_on(self, vmid: int) -> Claim:
        """The standing claim that makes a VMID ours; Refused when it is not reserved or not claimed."""
        if vmid not in self.ground.reserved:
            raise Refused(f"VMID {vmid} is not reserved for drills (reserved: {self.ground.reserved or 'none'})")
        claim = next((claim for claim in self.standing() if claim.vmid == vmid), None)
        if claim is None:
            raise Refused(f"VMID {vmid} is reserved, but no claim on it stands in this run")
        return claim

    def standing(self) -> tuple[Claim, ...]:
        """The claims that this run may act for: those it took over, and its own."""
        return (*self._adopted.values(), *(self._claims.standing() if self._claims else ()))

    def owned(self, node: str, vmid: int, *, kind: str = "qemu", stub_allowed: bool = False) -> Claim:
        """The claim on a guest whose configuration proves that it is ours; Refused otherwise."""
        claim = self.claim_on(vmid)
        config = self.read_config(node, vmid, kind)
        if is_ours(config, claim, stub_allowed=stub_allowed):
            return claim
        raise Refused(
            f"guest {vmid} on {node} is not a drill's: it lacks the tag {names.TAG} or the mark of run {claim.run}",
            next_step=f"look at guest {vmid}; if it is a leftover, delete it by hand",
        )

    def read_config(self, node: str, vmid: int, kind: str = "qemu") -> Mapping[str, Any]:
        """A guest's configuration as it is now."""
        config: Mapping[str, Any] = self._reader.get(f"{names.guest_path(kind, node, vmid)}/config")
        return config


def is_ours(config: Mapping[str, Any], claim: Claim, *, stub_allowed: bool = False) -> bool:
    """Whether a visible configuration belongs to a claim: by tag and run, or as the bare stub of a restore of ours."""
    if names.is_tagged(config) and names.run_of(str(config.get("description", ""))) == claim.run:
        return True
    return stub_allowed and bool(claim.upids) and is_stub(config)


def is_stub(config: Mapping[str, Any]) -> bool:
    """Whether a configuration is what a failed or unfinished restore shows: no name, disk, card or notes."""
    return set(config) <= _STUB_KEYS


@dataclass(frozen=True)
class Row:
    """One line of the table: a call, and the check its target must pass."""

    method: str
    path: re.Pattern[str]
    check: Callable[[Guard, Mapping[str, str], Params], None]


def _restore(guard: Guard, where: Mapping[str, str], params: Params) -> None:
    claim = guard.claim_on(int(params["vmid"]))
    if not is_ours(params, claim):
        raise Refused(
            f"the restore into {claim.vmid} does not carry the tag {names.TAG} and the mark of run {claim.run}"
        )
    _on_ground(guard, params)
    if "archive" not in params:
        _make_placeholder(claim, params)
    elif str(params.get("force", "0")) == "1":
        _only(params, _RESTORE_KEYS | {"force"}, "a restore", cards=True)
        _over_own_placeholder(guard, where["node"], claim)
    else:
        _only(params, _RESTORE_KEYS, "a restore", cards=True)
        _never_twice(claim)


def _make_placeholder(claim: Claim, params: Params) -> None:
    if "pool" not in params:
        raise Refused("a restore without an archive would make a new guest")
    _only(params, frozenset({"vmid", "pool", "name", "description", "tags", "onboot"}), "an empty guest")
    _never_twice(claim)


def _over_own_placeholder(guard: Guard, node: str, claim: Claim) -> None:
    """``force`` overwrites a guest: only the empty one that this very claim made, as it shows itself now."""
    if [task_type(upid) for upid in claim.upids] != [placeholder.MADE_BY]:
        raise Refused(f"VMID {claim.vmid} may only be overwritten right after this run made it empty")
    guard.owned(node, claim.vmid)
    config = guard.read_config(node, claim.vmid)
    if not placeholder.is_empty(config):
        extra = ", ".join(sorted(set(config) - placeholder.EMPTY_KEYS))
        raise Refused(f"guest {claim.vmid} is not empty ({extra}), so it is not overwritten")


def _never_twice(claim: Claim) -> None:
    if claim.upids:
        raise Refused(
            f"VMID {claim.vmid} was restored before in this run ({claim.upids[0]}); a restore is never repeated"
        )


def task_type(upid: str) -> str:
    """The type of a task, from its UPID."""
    return _part(upid, _TYPE)


def _part(upid: str, place: int) -> str:
    parts = upid.split(":")
    return parts[place] if len(parts) > place + 1 else ""


def _restore_container(guard: Guard, _where: Mapping[str, str], params: Params) -> None:
    claim = guard.claim_on(int(params["vmid"]))
    mounts = {key: value for key, value in guestconfig.texts(params).items() if guestconfig.is_mount(key)}
    _only({key: value for key, value in params.items() if key not in mounts}, _CONTAINER_KEYS, "a restore", cards=True)
    _never_twice(claim)
    if not params.get("ostemplate") or str(params.get("restore")) != "1":
        raise Refused("a container without an archive to restore would be a new one")
    if not is_ours(params, claim):
        raise Refused(f"the restore into {claim.vmid} lacks the tag {names.TAG} or the mark of run {claim.run}")
    for key, value in mounts.items():
        if not re.match(rf"{re.escape(guard.ground.storage)}:\d+(\.\d+)?(,|$)", value):
            raise Refused(f"{key} would not be a new volume on storage {guard.ground.storage}, but {value!r}")
    _on_ground(guard, params)


def _clone(guard: Guard, where: Mapping[str, str], params: Params) -> None:
    _only(params, _CLONE_KEYS, "a clone")
    guard.owned(where["node"], int(where["vmid"]))
    claim = guard.claim_on(int(params["newid"]))
    if claim.upids or str(params.get("full")) != "1":
        raise Refused(f"clone into {claim.vmid}: only once, and only as a full clone")
    if names.run_of(str(params.get("description", ""))) != claim.run:
        raise Refused(f"the clone into {claim.vmid} does not carry the mark of run {claim.run}")
    _on_ground(guard, params)


def _config(guard: Guard, where: Mapping[str, str], params: Params) -> None:
    media = {key for key, value in params.items() if value == "none,media=cdrom"}
    _only({key: value for key, value in params.items() if key not in media}, _CONFIG_KEYS, "a drill", cards=True)
    removed = {key for key in str(params.get("delete", "")).split(",") if key}
    if not removed <= _DELETABLE:
        raise Refused(f"a drill may not remove {', '.join(sorted(removed - _DELETABLE))} from a configuration")
    _on_ground(guard, params)
    _tagged(guard, where, params)


def _tagged(guard: Guard, where: Mapping[str, str], _params: Params) -> None:
    guard.owned(where["node"], int(where["vmid"]), kind=where.get("kind", "qemu"))


def _end(guard: Guard, where: Mapping[str, str], params: Params) -> None:
    _only(params, frozenset({"purge", "destroy-unreferenced-disks", "timeout"}), "the end of a drill")
    guard.owned(where["node"], int(where["vmid"]), kind=where["kind"], stub_allowed=True)


def _task(guard: Guard, where: Mapping[str, str], _params: Params) -> None:
    vmid = _part(where["upid"], _GUEST_OF)
    if not vmid.isdigit() or where["upid"] not in guard.claim_on(int(vmid)).upids:
        raise Refused(f"task {where['upid']} was not started by this run")


def _protection(guard: Guard, where: Mapping[str, str], params: Params) -> None:
    _only(params, frozenset({"protected"}), "a drill")
    volid = unquote(where["volume"])
    claim = next((one for one in guard.standing() if one.protects == volid and one.node == where["node"]), None)
    if claim is None or storage_of(volid) != where["storage"]:
        raise Refused(f"archive {volid} is not the one that this run protects")
    guard.claim_on(claim.vmid)
    if str(params.get("protected")) not in {"0", "1"}:
        raise Refused(f"an archive is protected or not; {params.get('protected')!r} is neither")


def _only(params: Params, allowed: frozenset[str], what: str, *, cards: bool = False) -> None:
    extra = {key for key in params if key not in allowed and not (cards and re.fullmatch(r"net\d+", key))}
    if extra:
        raise Refused(f"{what} may not set {', '.join(sorted(extra))}")


def _on_ground(guard: Guard, params: Params) -> None:
    for number, card in guestconfig.cards(guestconfig.texts(params)).items():
        if card.get("bridge") != guard.ground.bridge:
            raise Refused(f"net{number} would not be on the isolated bridge {guard.ground.bridge}")
    if params.get("storage", guard.ground.storage) != guard.ground.storage:
        raise Refused(f"a drill restores to storage {guard.ground.storage}, not to {params['storage']}")
    if params.get("pool", guard.ground.pool) != guard.ground.pool:
        raise Refused(f"a drill uses pool {guard.ground.pool or '(none)'}, not {params['pool']}")


def _row(method: str, path: str, check: Callable[[Guard, Mapping[str, str], Params], None]) -> Row:
    pattern = path.replace("{vmid}", r"(?P<vmid>\d+)").replace("{kind}", "(?P<kind>qemu|lxc)")
    return Row(method, re.compile(re.sub(r"\{(\w+)\}", r"(?P<\1>[^/]+)", pattern)), check)


_GUEST = "/nodes/{node}/{kind}/{vmid}"
_VM = "/nodes/{node}/qemu/{vmid}"
TABLE: tuple[Row, ...] = (
    _row("POST", "/nodes/{node}/qemu", _restore),
    _row("POST", "/nodes/{node}/lxc", _restore_container),
    _row("POST", f"{_VM}/clone", _clone),
    _row("PUT", f"{_GUEST}/config", _config),
    _row("POST", f"{_GUEST}/status/start", _tagged),
    _row("POST", f"{_VM}/agent/ping", _tagged),
    _row("POST", f"{_VM}/agent/exec", _tagged),
    _row("POST", f"{_VM}/vncproxy", _tagged),
    _row("POST", f"{_GUEST}/status/stop", _end),
    _row("DELETE", _GUEST, _end),
    _row("DELETE", "/nodes/{node}/tasks/{upid}", _task),
    _row("PUT", "/nodes/{node}/storage/{storage}/content/{volume}", _protection),
)


def try_config(reader: Reader, node: str, vmid: int, kind: str = "qemu") -> Mapping[str, Any] | None:
    """A guest's configuration, or None when there is no such guest (upstream answers 500 "does not exist")."""
    try:
        config: Mapping[str, Any] = reader.get(f"{names.guest_path(kind, node, vmid)}/config")
    except OperatorError as problem:
        if "does not exist" in str(problem):
            return None
        raise
    return config
