"""Disks that a destroy cannot remove, and root's own look at a storage."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests import labsite
from tests.labsite import LabSite


@pytest.fixture
def lab(tmp_path: Path) -> Iterator[LabSite]:
    with labsite.running(tmp_path, guests=False) as made:
        yield made


def destroy(lab: LabSite, kind: str, vmid: int) -> tuple[str, list[str]]:
    """Destroy a guest as root; the task's status and log."""
    upid = lab.data("DELETE", f"/nodes/pve1/{kind}/{vmid}", "root", purge=1, **{"destroy-unreferenced-disks": 1})
    done = lab.site.tasks.wait(upid)
    return str(done.status), list(done.log)


def pvesm(lab: LabSite, *arguments: str) -> tuple[int, str]:
    ran = lab.hypervisor.node.run(["pvesm", *arguments])
    return ran.rc, ran.stdout + ran.stderr


def test_a_virtual_machine_goes_and_its_disk_stays_with_a_line_in_the_log(lab: LabSite) -> None:
    own = next(volid for volid in lab.hypervisor.volumes() if "-210-" in volid)
    lab.hypervisor.faults.stuck_volumes.add(own)
    status, log = destroy(lab, "qemu", 210)
    assert status == "OK"
    assert any(line.startswith(f"Could not remove disk '{own}', check manually: lvremove") for line in log), log
    assert 210 not in lab.site.guests
    assert own in lab.hypervisor.volumes()


def test_a_disk_on_a_storage_that_is_switched_off_stays_too(lab: LabSite) -> None:
    own = next(volid for volid in lab.hypervisor.volumes() if "-210-" in volid)
    lab.site.storages["vmdata"] = dict(lab.site.storages["vmdata"]) | {"disable": 1}
    status, log = destroy(lab, "qemu", 210)
    assert status == "OK"
    assert f"Could not remove disk '{own}', check manually: storage 'vmdata' is disabled" in log
    assert pvesm(lab, "list", "vmdata", "--vmid", "210") == (255, "storage 'vmdata' is disabled\n")


def test_a_container_whose_volume_cannot_be_removed_stays(lab: LabSite) -> None:
    own = next(volid for volid in lab.hypervisor.volumes() if "-230-" in volid)
    lab.hypervisor.faults.stuck_volumes.add(own)
    status, _log = destroy(lab, "lxc", 230)
    assert status != "OK"
    assert 230 in lab.site.guests


def test_root_sees_and_frees_volumes_that_no_guest_has(lab: LabSite) -> None:
    lab.hypervisor.allocate("vmdata:vm-299-disk-0", 4 << 20)
    rc, text = pvesm(lab, "list", "vmdata", "--vmid", "299")
    assert (rc, text.splitlines()[1]) == (0, f"vmdata:vm-299-disk-0 raw images {4 << 20} 299")
    assert lab.data("GET", "/nodes/pve1/storage/vmdata/content", "drill", vmid=299) == []
    assert pvesm(lab, "free", "vmdata:vm-299-disk-0")[0] == 0
    assert pvesm(lab, "list", "vmdata", "--vmid", "299") == (0, "Volid Format Type Size VMID\n")
    assert pvesm(lab, "free", "vmdata:vm-299-disk-0")[0] == 255


def test_root_sees_archives_by_the_guest_in_their_name(lab: LabSite) -> None:
    _rc, text = pvesm(lab, "list", "backup-hdd", "--vmid", "210")
    assert " backup " in text.splitlines()[1]
    assert pvesm(lab, "alloc", "vmdata", "299", "x", "1G")[0] == 127
