"""What jobs cover: guests, volumes, and the guests left over."""

from typing import Any

import pytest

from tests.lab_unit.pve.backupsite import BackupSite, make_site


@pytest.fixture
def lab() -> BackupSite:
    return make_site()


def children(lab: BackupSite, job_id: str, who: str = "admin") -> list[dict[str, Any]]:
    return lab.data("GET", f"/cluster/backup/{job_id}/included_volumes", who)["children"]


def job(lab: BackupSite, job_id: str, **params: Any) -> None:
    lab.data("POST", "/cluster/backup", id=job_id, schedule="daily", storage="backup-hdd", **params)


def test_the_volumes_of_a_machine_and_of_a_container(lab: BackupSite) -> None:
    assert children(lab, "nightly-vm200", "audit") == [
        {
            "id": 200,
            "type": "qemu",
            "name": "docker-host",
            "leaf": 0,
            "children": [
                {"id": "200:virtio0", "name": "vmdata:vm-200-disk-0", "included": 1, "reason": "backup=yes", "leaf": 1}
            ],
        }
    ]
    assert children(lab, "nightly-vm230")[0]["children"] == [
        {"id": "230:rootfs", "name": "vmdata:vm-230-disk-0", "included": 1, "reason": "rootfs", "leaf": 1}
    ]


def test_what_is_left_out_of_a_machine(lab: BackupSite) -> None:
    lab.add_guest(
        300,
        scsi0="vmdata:vm-300-disk-0,size=1M",
        scsi1="vmdata:vm-300-disk-1,backup=0",
        scsi2="vmdata:vm-300-disk-2,backup=1",
        ide2="local:iso/x.iso,media=cdrom",
        efidisk0="vmdata:vm-300-disk-3,size=4M",
        unused0="vmdata:vm-300-disk-9",
    )
    job(lab, "odd", vmid="300")
    found = {one["id"]: (one["included"], one["reason"]) for one in children(lab, "odd")[0]["children"]}
    assert found == {
        "300:scsi0": (1, "backup=yes"),
        "300:scsi1": (0, "backup=no"),
        "300:scsi2": (1, "backup=no"),
        "300:efidisk0": (0, "efidisk but no OVMF BIOS"),
    }


def test_mount_points_of_a_container_must_ask(lab: BackupSite) -> None:
    config = lab.site.guests[230].config
    config |= {"mp0": "vmdata:vm-230-disk-1,mp=/a", "mp1": "vmdata:vm-230-disk-2,mp=/b,backup=1", "mp2": "/srv,mp=/c"}
    found = {one["id"]: (one["included"], one["reason"]) for one in children(lab, "nightly-vm230")[0]["children"]}
    assert found == {
        "230:rootfs": (1, "rootfs"),
        "230:mp0": (0, "disabled"),
        "230:mp1": (1, "enabled"),
        "230:mp2": (0, "not a volume"),
    }


def test_unknown_guests_and_guests_without_disks(lab: BackupSite) -> None:
    job(lab, "ghost", vmid="999")
    assert children(lab, "ghost") == [{"id": 999, "type": "unknown", "leaf": 1}]
    lab.add_guest(301)
    job(lab, "bare", vmid="301")
    assert children(lab, "bare") == [{"id": 301, "type": "qemu", "name": "vm301", "leaf": 1, "children": []}]


def test_selection_by_all_pool_and_node(lab: BackupSite) -> None:
    job(lab, "but-one", all=1, exclude="210")
    assert [one["id"] for one in children(lab, "but-one")] == [100, 200, 220, 230]
    lab.site.guests[220].pool = "drill"
    job(lab, "pooled", pool="drill")
    assert [one["id"] for one in children(lab, "pooled")] == [220]
    job(lab, "elsewhere", vmid="200", node="pve7")
    assert children(lab, "elsewhere") == []
    assert lab.ask("GET", "/cluster/backup/nope/included_volumes").body["errors"] == {"id": "No such job 'nope'"}


def test_guests_one_may_not_audit_are_left_out(lab: BackupSite) -> None:
    lab.site.access.grant("/vms/200", "audit@pve", "NoAccess")
    job(lab, "every", all=1)
    assert [one["id"] for one in children(lab, "every", "audit")] == [100, 210, 220, 230]


def test_disabled_jobs_count_as_coverage(lab: BackupSite) -> None:
    assert lab.data("GET", "/cluster/backup-info/not-backed-up", "audit") == []
    lab.data("PUT", "/cluster/backup/nightly-vm200", enabled=0)
    assert lab.data("GET", "/cluster/backup-info/not-backed-up", "audit") == []
    lab.data("DELETE", "/cluster/backup/nightly-vm200")
    assert lab.data("GET", "/cluster/backup-info/not-backed-up", "audit") == [
        {"vmid": 200, "name": "docker-host", "type": "qemu"}
    ]
    assert lab.ask("GET", "/cluster/backup-info/not-backed-up", "nobody").status == 403
