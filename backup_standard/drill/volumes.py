"""The volumes of a temporary VMID: what is there, by whom that was seen, and where nobody could look.

A listing leaves out what its reader may not read, without a word: the disks of a VMID without a guest are shown only
with Datastore.Allocate on the storage, or Datastore.Audit on it and VM.Config.Disk on the VMID itself (upstream:
PVE/Storage.pm check_volume_access). Rights through a pool do not count then, so root on the node is asked instead.

Which storages matter: those that copies are restored to, because the guard lets a copy's disks onto no other. They must
be looked at, also when they are switched off. Any other storage for disks is looked at while it is active; one that is
off is none of the drill's business and only named, else every disused storage of a site would forbid its drills.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from backup_standard.drill.ports import Reader, Shell
from backup_standard.errors import ApiError, MissingPrivilege, OperatorError

DISKS = frozenset({"images", "rootdir"})
"""The kinds of content that a guest's volumes are."""
BY_API, BY_NODE = "the API", "pvesm list on the node"
BLIND = "this token is not shown the volumes of a VMID that has no guest, and nobody looked on the node"
"""Why a storage that answers proves nothing."""
_STORAGE = re.compile(r"[A-Za-z][\w.-]*")
_TYPE = 2
"""The column of a volume's kind in what ``pvesm list`` prints (upstream: PVE/CLI/pvesm.pm)."""


class Unlisted(OperatorError):
    """A storage could not be listed."""


@dataclass(frozen=True)
class Sight:
    """What was seen of a VMID's volumes on a node, archives left out: they belong to the guest they were made of.

    ``by``: storages that were really looked into, and by whom. ``unseen``: those that matter and could not be, and why.
    ``blind``: those that answered, but not about a VMID that has no guest. ``off``: the unrelated ones, and why not.
    """

    found: tuple[str, ...] = ()
    by: Mapping[str, str] = field(default_factory=dict)
    unseen: Mapping[str, str] = field(default_factory=dict)
    blind: tuple[str, ...] = ()
    off: Mapping[str, str] = field(default_factory=dict)

    def objections(self, vmid: int) -> list[str]:
        """What keeps anybody from saying that nothing of the VMID is left, apart from what was found."""
        return [
            f"whether a volume of VMID {vmid} is on {storage} could not be seen: {why}"
            for storage, why in self.unseen.items()
        ]

    def said(self) -> list[str]:
        """How it was seen, for the record."""
        told = [f"{storage}: listed by {who}" for storage, who in self.by.items()]
        return told + [f"{storage}: not looked at, it {why}" for storage, why in self.off.items()]


def storage_of(volid: str) -> str:
    """The storage of a volume id."""
    return volid.partition(":")[0]


def look(api: Reader, node: str, vmid: int, *, held: Iterable[str], shell: Shell | None) -> Sight:
    """List a VMID's volumes on every storage of a node that matters; ``held``: those that copies are restored to.

    OperatorError only where the node's storages, or the token's own rights, cannot be read at all.
    """
    shown = {str(item["storage"]): item for item in api.get(f"/nodes/{node}/storage")}
    matter = set(held)
    found: set[str] = set()
    by: dict[str, str] = {}
    unseen: dict[str, str] = {}
    blind: list[str] = []
    off: dict[str, str] = {}
    for storage in [*shown, *sorted(matter - set(shown))]:
        state = shown.get(storage)
        why = _why_not(state)
        if storage not in matter and (state is None or not _holds_disks(state)):
            continue
        if why:
            (unseen if storage in matter else off)[storage] = why
            continue
        try:
            volids, who = _listed(api, node, storage, vmid, shell)
        except Unlisted as problem:
            unseen[storage] = problem.what
            continue
        found |= set(volids)
        if who:
            by[storage] = who
        else:
            blind.append(storage)
    return Sight(tuple(sorted(found)), by, unseen, tuple(blind), off)


def _why_not(state: Mapping[str, Any] | None) -> str:
    """Why a storage cannot be looked at; "" where it can."""
    if state is None:
        return "is not among the storages that this token sees"
    if not _is_on(state.get("enabled", 1)):
        return "is disabled"
    return "" if _is_on(state.get("active")) else "is not active"


def _is_on(flag: object) -> bool:
    """A flag of the API, which may come as a number or as text."""
    return str(flag or 0) != "0"


def _holds_disks(state: Mapping[str, Any]) -> bool:
    return bool(DISKS & set(str(state.get("content", "")).split(",")))


def _listed(api: Reader, node: str, storage: str, vmid: int, shell: Shell | None) -> tuple[Collection[str], str]:
    """A VMID's volumes on a storage, and who saw them: "" where the token would not be shown any."""
    try:
        content = api.get(f"/nodes/{node}/storage/{storage}/content", vmid=vmid)
    except (MissingPrivilege, ApiError) as problem:
        raise Unlisted(problem.what) from None
    volids = {str(item["volid"]) for item in content if item.get("content") in DISKS}
    if _is_shown(api, storage, vmid):
        return volids, BY_API
    if shell is None:
        return volids, ""
    return volids | _on_node(shell, storage, vmid), BY_NODE


def _is_shown(api: Reader, storage: str, vmid: int) -> bool:
    """Whether a listing shows this token the volumes of a VMID whether or not it has a guest."""
    held = _rights(api, f"/storage/{storage}")
    if "Datastore.Allocate" in held:
        return True
    return "Datastore.Audit" in held and "VM.Config.Disk" in _rights(api, f"/vms/{vmid}")


def _rights(api: Reader, path: str) -> Collection[str]:
    return list(dict(api.get("/access/permissions", path=path)).get(path) or {})


def _on_node(shell: Shell, storage: str, vmid: int) -> set[str]:
    if not _STORAGE.fullmatch(storage):
        raise Unlisted(f"{storage!r} is no name of a storage")
    argv = ("pvesm", "list", storage, "--vmid", str(vmid))
    ran = shell(argv)
    if ran.rc != 0:
        raise Unlisted(f"{' '.join(argv)} failed on the node: {(ran.stderr or ran.stdout).strip()}")
    rows = [line.split() for line in ran.stdout.splitlines() if line.startswith(f"{storage}:")]
    return {row[0] for row in rows if len(row) > _TYPE and row[_TYPE] in DISKS}
