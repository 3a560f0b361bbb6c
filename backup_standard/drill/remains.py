"""What is left of a temporary guest, looked for on every side; what cannot be seen is not called gone."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass

from backup_standard import waiting
from backup_standard.drill import names, preflight, protection, tasklogs, volumes
from backup_standard.drill.claims import Claim
from backup_standard.drill.ports import Reader, Shell, Writer
from backup_standard.drill.volumes import Sight
from backup_standard.errors import ApiError, MissingPrivilege, OperatorError


@dataclass(frozen=True)
class Remains:
    """What is left of a temporary guest; false when all of it is gone. ``proof``: how that was seen.

    ``problem`` is what went wrong at the clean-up, ``volids`` are the volumes that are still there.
    """

    vmid: int
    left: tuple[str, ...]
    problem: str = ""
    proof: tuple[str, ...] = ()
    volids: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.left)

    def __str__(self) -> str:
        return f"VMID {self.vmid}: {'; '.join([*self.left, *([self.problem] if self.problem else [])])}"


@dataclass(frozen=True)
class Search:
    """Where to look: the API, the node (None where nobody may log in), and the storage that copies are restored to."""

    api: Writer
    shell: Shell | None
    storage: str

    def of(self, claim: Claim) -> Remains:
        """Everything of a claim that is still there. Never raises for what cannot be seen: it is named."""
        left: list[str] = []
        proof: list[str] = []
        volids: list[str] = []
        places: tuple[Callable[[Claim], Iterator[str]], ...] = (
            self._guest, lambda one: self._volumes(one, proof, volids), self._firewall, self._node, self._archive,
        )  # fmt: skip
        for place in places:
            try:
                left += place(claim)
            except (OperatorError, waiting.NotReady) as problem:
                left.append(f"whether anything is left could not be seen: {problem}")
        return Remains(claim.vmid, tuple(dict.fromkeys(left)), proof=tuple(proof), volids=tuple(volids))

    def _guest(self, claim: Claim) -> Iterator[str]:
        yield from preflight.taken(self.api, claim.vmid)
        yield from preflight.references(self.api, claim.vmid)
        yield from _job_references(self.api, claim.vmid)

    def _volumes(self, claim: Claim, proof: list[str], volids: list[str]) -> Iterator[str]:
        destroys = tasklogs.destroys(tasklogs.since(self.api, claim))
        kept: dict[str, str] = {}
        for upid in destroys:
            kept |= tasklogs.kept_by(self.api.log(upid), claim.vmid)
        held = {volumes.storage_of(volid) for volid in (*claim.volids, *kept) if ":" in volid}
        sight = volumes.look(self.api, claim.node, claim.vmid, held={self.storage, *held}, shell=self.shell)
        proof += sight.said()
        volids += sight.found
        for volid in sight.found:
            whys = [line for name, line in kept.items() if tasklogs.is_named(volid, name)]
            yield f"volume {volid}" + (f" ({whys[0]}; on the node: pvesm free {volid})" if whys else "")
        yield from sight.objections(claim.vmid)
        yield from _still_kept(kept, sight)
        if sight.blind:
            yield from self._unlisted(claim, sight, destroys, kept, proof)

    def _unlisted(
        self, claim: Claim, sight: Sight, destroys: list[str], kept: Collection[str], proof: list[str]
    ) -> Iterator[str]:
        """The copy's volumes on storages that nobody may list: gone by the account of the destroy, or not known."""
        known = {*claim.volids, *tasklogs.of_restores(self.api, claim)} - {volid for volid in kept if ":" in volid}
        for storage in sight.blind:
            own = sorted(volid for volid in known if volumes.storage_of(volid) == storage)
            if own and destroys:
                listed = ", ".join(own)
                proof.append(f"{storage}: {volumes.BLIND}; the log of {destroys[-1]} does not name {listed} as left")
            elif not own and not kept:
                proof.append(f"{storage}: {volumes.BLIND}; no volume is known to have been made there")
            for volid in own if not destroys else ():
                yield (
                    f"whether volume {volid} is left could not be seen: no destroy of VMID {claim.vmid} came to its"
                    f" end, and {volumes.BLIND}; on the node: pvesm list {storage} --vmid {claim.vmid}"
                )

    def _firewall(self, claim: Claim) -> Iterator[str]:
        """Rules of a firewall file that outlived its guest. Upstream answers for any VMID, from the file alone."""
        try:
            rules = self.api.get(f"{names.guest_path(claim.kind, claim.node, claim.vmid)}/firewall/rules")
        except (MissingPrivilege, ApiError):
            return
        if rules:
            yield f"{len(rules)} firewall rule(s)"

    def _node(self, claim: Claim) -> Iterator[str]:
        if self.shell:
            yield from preflight.node_leftovers(self.shell, claim.vmid)

    def _archive(self, claim: Claim) -> Iterator[str]:
        yield from protection.left(self.api, claim)


def _still_kept(kept: dict[str, str], sight: Sight) -> Iterator[str]:
    """The volumes that a destroy could not remove, until their own storage was looked into and shows none of them."""
    for name, line in kept.items():
        storage = volumes.storage_of(name) if ":" in name else ""
        looked = storage in sight.by if storage else not (sight.blind or sight.unseen)
        if not looked and not any(tasklogs.is_named(volid, name) for volid in sight.found):
            yield f"volume {name} was not removed ({line}), and whether it is still there could not be seen"


def _job_references(api: Reader, vmid: int) -> list[str]:
    try:
        jobs = api.get("/cluster/backup")
    except MissingPrivilege:
        return []
    return [f"job {job['id']} names it" for job in jobs if str(vmid) in str(job.get("vmid", "")).split(",")]
