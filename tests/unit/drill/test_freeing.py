"""The one command that removes a volume: for claimed VMIDs alone, on the storage that copies are restored to."""

from __future__ import annotations

import pytest

from backup_standard.drill import node_commands
from backup_standard.drill.claims import Claims
from backup_standard.errors import Refused
from tests.unit.drill.test_guard import claims, guard

__all__ = ["claims"]


@pytest.mark.parametrize(
    ("volid", "saying"),
    [
        ("vmdata:vm-200-disk-0", "VMID 200 is not reserved"),
        ("vmdata:vm-9001-disk-0", "no claim on it stands"),
        ("vmdata:200/vm-201-disk-0.raw", "VMID 200 is not reserved"),
        ("vmdata:201/vm-200-disk-0.raw", "VMID 200 is not reserved"),
        ("other:vm-201-disk-0", "is not on storage vmdata"),
        ("backup-hdd:backup/vzdump-qemu-201-x.vma", "not among those a drill may run"),
        ("vmdata:vm-201-disk-0 --x", "not among those a drill may run"),
        ("vmdata:../vm-201-disk-0", "not among those a drill may run"),
        ("--help:vm-201-disk-0", "not among those a drill may run"),
    ],
)
def test_only_a_claimed_vmids_volume_on_the_drills_storage_is_freed(claims: Claims, volid: str, saying: str) -> None:
    allowed = guard(claims)
    allowed.permit_command(node_commands.free("vmdata:vm-201-disk-0"))
    allowed.permit_command(node_commands.free("vmdata:201/vm-201-disk-0.qcow2"))
    with pytest.raises(Refused, match=saying):
        allowed.permit_command(node_commands.free(volid))
    claims.add_volumes(201, ["elsewhere:vm-201-disk-1"])
    allowed.permit_command(node_commands.free("elsewhere:vm-201-disk-1"))
