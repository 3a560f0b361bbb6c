"""Templates, clones and snapshots."""

from __future__ import annotations

import pytest

from lab.pve.guestconfig import Nic
from tests.lab_unit.pve.guestlab import DRILLER, Lab, drill_role


def test_conversion_makes_the_disk_a_base_volume(lab: Lab) -> None:
    lab.restore()
    task = lab.run("POST", "~/qemu/201/template")

    assert (task.type, task.status) == ("qmtemplate", "OK")
    assert lab.config(201)["virtio0"] == "vmdata:base-201-disk-0,size=4M"
    assert lab.config(201)["template"] == 1
    assert lab.refused("POST", "~/qemu/201/template") == (500, "you can't convert a template to a template")


def test_a_running_guest_cannot_become_a_template(lab: Lab) -> None:
    lab.run("POST", "~/qemu/200/status/start")

    assert lab.refused("POST", "~/qemu/200/template")[0] == 500


def test_a_full_clone_of_a_template_is_a_guest_of_its_own_that_starts(lab: Lab) -> None:
    task = lab.run("POST", "~/qemu/100/clone", newid=102, full=1, name="drill-100", storage="vmdata")
    old, new = lab.config(100), lab.config(102)

    assert (task.type, task.id, task.status) == ("qmclone", "100", "OK")
    assert task.log[:2] == [
        "creating a clone of VM 100 with ID 102",
        "create full clone of drive virtio0 (vmdata:base-100-disk-0)",
    ]
    assert "allocated target volume 'vmdata:vm-102-disk-0'" in task.log
    assert task.log[-2].startswith("transferred 4.0 MiB of 4.0 MiB (100.00%)")
    assert (new["name"], new["virtio0"], new["tags"]) == ("drill-100", "vmdata:vm-102-disk-0,size=4M", "prod")
    assert "template" not in new
    assert Nic.parse(new["net0"]).mac != Nic.parse(old["net0"]).mac
    assert new["smbios1"] != old["smbios1"]
    assert new["vmgenid"] != old["vmgenid"]
    assert lab.run("POST", "~/qemu/102/status/start").status == "OK"


def test_a_templates_clone_is_linked_unless_full_is_asked_for(lab: Lab) -> None:
    assert lab.refused("POST", "~/qemu/100/clone", newid=205, storage="vmdata") == (
        500, "parameter 'storage' not allowed for linked clones",
    )  # fmt: skip
    assert lab.refused("POST", "~/qemu/100/clone", newid=205) == (
        500, "Linked clone feature for drive 'virtio0' is not available",
    )  # fmt: skip


def test_an_existing_target_is_refused(lab: Lab) -> None:
    assert lab.refused("POST", "~/qemu/100/clone", newid=200, full=1) == (
        500, "unable to create VM 200: config file already exists",
    )  # fmt: skip


def test_a_linked_clone_on_files_keeps_its_base_in_use(lab: Lab) -> None:
    lab.run("POST", "~/qemu/220/template")
    task = lab.run("POST", "~/qemu/220/clone", newid=221, name="linked")
    linked = "local:220/base-220-disk-0.qcow2/221/vm-221-disk-0.qcow2"

    assert "create linked clone of drive virtio0 (local:220/base-220-disk-0.qcow2)" in task.log
    assert lab.config(221)["virtio0"] == f"{linked},size=4M"
    assert lab.run("DELETE", "~/qemu/220", purge=1).status == (
        "base volume 'local:220/base-220-disk-0.qcow2' is still in use by linked cloned"
    )
    assert lab.run("POST", "~/qemu/221/status/start").status == "OK"
    lab.run("POST", "~/qemu/221/status/stop")
    assert lab.run("DELETE", "~/qemu/221").status == "OK"
    assert lab.run("DELETE", "~/qemu/220").status == "OK"


def test_a_clone_asks_for_the_bridge_too(lab: Lab) -> None:
    drill_role(lab.site, without="SDN.Use")

    assert lab.refused("POST", "~/qemu/100/clone", DRILLER, newid=102, full=1) == (
        403, "Permission check failed (/sdn/zones/localnetwork/vmbr0, SDN.Use)",
    )  # fmt: skip


def test_release_8_says_less_while_cloning(lab8: Lab) -> None:
    task = lab8.run("POST", "~/qemu/100/clone", newid=102, full=1)

    assert task.log[0] == "create full clone of drive virtio0 (vmdata:base-100-disk-0)"
    assert not [line for line in task.log if line.startswith("allocated")]
    assert lab8.config(102)["name"] == "Copy-of-web-template"


def test_a_snapshot_is_listed_and_goes_again(lab: Lab) -> None:
    assert lab.data("GET", "~/qemu/220/snapshot") == [
        {
            "name": "current",
            "description": "You are here!",
            "running": 0,
            "digest": lab.data("GET", "~/qemu/220/config")["digest"],
        }
    ]
    task = lab.run("POST", "~/qemu/220/snapshot", snapname="snap1", description="d")
    listed = lab.data("GET", "~/qemu/220/snapshot")

    assert (task.type, task.status) == ("qmsnapshot", "OK")
    assert listed[0].keys() == {"name", "description", "vmstate", "snaptime"}
    assert (listed[0]["name"], listed[0]["description"], listed[0]["vmstate"]) == ("snap1", "d", 0)
    assert listed[1]["parent"] == "snap1"
    assert lab.config(220)["parent"] == "snap1"
    assert lab.data("GET", "~/qemu/220/snapshot/snap1/config")["memory"] == "256"
    assert lab.run("DELETE", "~/qemu/220/snapshot/snap1").type == "qmdelsnapshot"
    assert "parent" not in lab.config(220)
    assert not [volid for volid in lab.hypervisor.volumes() if "@" in volid]


def test_a_rollback_brings_the_configuration_back(lab: Lab) -> None:
    lab.run("POST", "~/qemu/220/snapshot", snapname="snap1")
    lab.data("PUT", "~/qemu/220/config", memory=512)
    assert lab.run("POST", "~/qemu/220/snapshot/snap1/rollback").status == "OK"

    assert lab.config(220)["memory"] == "256"
    assert lab.run("DELETE", "~/qemu/220").status == "OK"
    assert not [volid for volid in lab.hypervisor.volumes() if "220" in volid]


@pytest.mark.parametrize(
    ("vmid", "status"),
    [(100, "you can't take a snapshot if it's a template"), (200, "snapshot feature is not available")],
)
def test_templates_and_thick_volumes_refuse_snapshots(lab: Lab, vmid: int, status: str) -> None:
    assert lab.run("POST", f"~/qemu/{vmid}/snapshot", snapname="a1").status == status
    assert lab.data("GET", f"~/qemu/{vmid}/feature", feature="snapshot") == {"hasFeature": 0, "nodes": ["pve1"]}


def test_current_is_no_name_for_a_snapshot(lab: Lab) -> None:
    assert lab.refused("POST", "~/qemu/220/snapshot", snapname="current")[1] == (
        "unable to use snapshot name 'current' (reserved name)"
    )
