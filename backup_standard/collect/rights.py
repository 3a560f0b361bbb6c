"""Proof that nothing was hidden: listings of the API leave out, without a word, what the token may not see.

A listing is complete where the token's privilege propagates from the root and no narrower path takes it away. What is
visible counts anyway; only conclusions from absence need this proof.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from backup_standard.collect.reader import Reader
from backup_standard.collect.shapeless import record
from backup_standard.inventory.schema import Inventory
from backup_standard.model import Gap

_PRIVILEGES = {"/vms": "VM.Audit", "/storage": "Datastore.Audit", "/nodes": "Sys.Audit"}
Rights = Mapping[str, Mapping[str, int]]


@dataclass(frozen=True)
class Completeness:
    """A gap for each kind of listing that may be incomplete, None where it is proven complete."""

    guests: Gap | None
    storages: Gap | None
    tasks: Mapping[str, Gap | None]

    def gaps(self) -> list[Gap]:
        """Every gap."""
        return [gap for gap in (self.guests, self.storages, *self.tasks.values()) if gap]


def read_completeness(reader: Reader, inventory: Inventory, nodes: list[str]) -> Completeness:
    """Ask for the token's own rights (always allowed), in general and on the paths that matter.

    ``nodes`` are the names of those that run. What could not be read proves nothing complete.
    """
    paths = ["", "/", "/vms", "/storage", f"/storage/{inventory.policy.storage}", *(f"/nodes/{node}" for node in nodes)]
    found: dict[str, Mapping[str, int]] = {}
    for answer in reader.each(lambda path: _on(reader, path), paths):
        if isinstance(answer, Gap):
            return _unproven(answer, nodes)
        found |= answer
    return judge(found, nodes, reader)


def _on(reader: Reader, path: str) -> Rights | Gap:
    """The rights on a path; on all that are set anywhere for an empty one."""

    def read() -> Rights:
        answer = reader.record("/access/permissions", **({"path": path} if path else {}))
        rights = {one: {name: int(value) for name, value in record(given).items()} for one, given in answer.items()}
        return {path: rights.get(path, {})} if path else rights

    return reader.attempt("the token's own rights", read)


def _unproven(gap: Gap, nodes: list[str]) -> Completeness:
    """Nothing is proven complete where the rights could not be read."""
    return Completeness(
        guests=replace(gap, need=_PRIVILEGES["/vms"]),
        storages=replace(gap, need=_PRIVILEGES["/storage"]),
        tasks=dict.fromkeys(nodes, replace(gap, need=_PRIVILEGES["/nodes"])),
    )


def judge(rights: Rights, nodes: list[str], reader: Reader) -> Completeness:
    """What these rights leave open; ``rights`` maps path to privilege to "propagates"."""

    def gap(fact: str, root: str, lacking: list[str]) -> Gap:
        privilege = _PRIVILEGES[root]
        target = "/" if lacking == ["/"] else lacking[0]
        return Gap(
            fact,
            f"the token {reader.pve.token.id} has no {privilege} on {', '.join(lacking)}, so some may be hidden",
            f"{privilege} on {target}: {reader.pve.grant(privilege, target)}",
        )

    vms, storages = _lacking(rights, "/vms"), _lacking(rights, "/storage")
    return Completeness(
        guests=gap("the list of guests", "/vms", vms) if vms else None,
        storages=gap("the list of storages", "/storage", storages) if storages else None,
        tasks={
            node: None
            if "Sys.Audit" in rights.get(f"/nodes/{node}", {})
            else gap(f"the tasks of node {node}", "/nodes", [f"/nodes/{node}"])
            for node in nodes
        },
    )


def _lacking(rights: Rights, root: str) -> list[str]:
    """The paths at or under a root where its privilege is missing, or "/" when it does not propagate from there."""
    privilege = _PRIVILEGES[root]
    if not int(rights.get("/", {}).get(privilege, 0)) and not int(rights.get(root, {}).get(privilege, 0)):
        return ["/"]
    return sorted(
        path
        for path, privileges in rights.items()
        if (path == root or path.startswith(f"{root}/")) and privilege not in privileges
    )
