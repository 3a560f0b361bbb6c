"""The archive of a drill, protected while it is restored, where the inventory wants that: no pruning takes it away.

Whoever may read an archive may protect it (upstream: PVE/API2/Storage/Content.pm updateattributes). The claim names the
archive before the first write, so a killed drill's protection is taken back by whoever sweeps; an archive that was
protected before is never claimed, and stays as it is. Proxmox VE does not say who protected an archive: somebody who
protects the very same one by hand between a drill's death and the next sweep is not told apart from the drill.
"""

from __future__ import annotations

from urllib.parse import quote

from backup_standard.drill.claims import Claim, Claims
from backup_standard.drill.ports import Reader, Writer
from backup_standard.drill.volumes import storage_of
from backup_standard.errors import ApiError, Refused

BEFORE = "it was protected before and stays so"
MEANWHILE = "protected for the drill, and no longer once it ends"


def path_of(node: str, volid: str) -> str:
    """The archive in the API."""
    return f"/nodes/{node}/storage/{storage_of(volid)}/content/{quote(volid, safe='')}"


def is_on(api: Reader, node: str, vmid: int, volid: str) -> bool:
    """Whether an archive of guest ``vmid`` is protected; one that is not there any more is not. ApiError otherwise."""
    try:
        shown = api.get(path_of(node, volid))
    except ApiError:
        listed = api.get(f"/nodes/{node}/storage/{storage_of(volid)}/content", content="backup", vmid=vmid)
        if any(item.get("volid") == volid for item in listed):
            raise
        return False
    return str(shown.get("protected") or "0") == "1"


def protect(api: Writer, claims: Claims, claim: Claim, volid: str) -> str:
    """Protect an archive for a claimed drill; returns what the evidence says. Refused where it does not come to be."""
    if is_on(api, claim.node, claim.source, volid):
        return BEFORE
    claims.protect(claim.vmid, volid)
    try:
        api.write("PUT", path_of(claim.node, volid), {"protected": 1})
    except ApiError as problem:
        raise Refused(
            f"archive {volid} could not be protected: {problem.text}",
            next_step="leave drill.protect_archive out of the inventory, or raise the storage's max-protected-backups",
        ) from None
    if not is_on(api, claim.node, claim.source, volid):
        raise Refused(f"archive {volid} was to be protected, and is not")
    return MEANWHILE


def lift(api: Writer, claims: Claims, claim: Claim) -> None:
    """Take a claim's protection back, where it is still there, and note that it is gone."""
    if not claim.protects:
        return
    if is_on(api, claim.node, claim.source, claim.protects):
        api.write("PUT", path_of(claim.node, claim.protects), {"protected": 0})
    if not is_on(api, claim.node, claim.source, claim.protects):
        claims.unprotect(claim.vmid)


def left(api: Reader, claim: Claim) -> list[str]:
    """The protection that is still there, in words."""
    if claim.protects and is_on(api, claim.node, claim.source, claim.protects):
        return [f"archive {claim.protects} is still protected"]
    return []
