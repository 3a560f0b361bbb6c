"""Configurations over the API."""

from __future__ import annotations

import pytest

from lab.pve.guestconfig import digest, render
from tests.lab_unit.pve.guestlab import DRILLER, Lab, drill_role


def test_values_have_the_recorded_types_and_the_digest_is_that_of_the_file(lab: Lab) -> None:
    config = lab.data("GET", "~/qemu/200/config")

    assert (config["agent"], config["memory"], config["onboot"], config["cores"]) == ("1", "256", 1, 1)
    assert config["digest"] == digest(render(lab.site.guests[200].config))


def test_any_change_changes_the_digest_and_undoing_it_brings_it_back(lab: Lab) -> None:
    before = lab.data("GET", "~/qemu/200/config")["digest"]
    lab.data("PUT", "~/qemu/200/config", onboot=0)
    changed = lab.data("GET", "~/qemu/200/config")["digest"]
    lab.data("PUT", "~/qemu/200/config", onboot=1)

    assert changed != before
    assert lab.data("GET", "~/qemu/200/config")["digest"] == before


def test_a_card_without_an_address_gets_one(lab: Lab) -> None:
    assert lab.data("PUT", "~/qemu/200/config", net0="virtio,bridge=vmbr9,link_down=1") is None
    net0 = lab.config(200)["net0"]

    assert net0.startswith("virtio=BC:24:11:")
    assert net0.endswith(",bridge=vmbr9,link_down=1")


def test_a_bad_address_is_refused_in_the_recorded_words(lab: Lab) -> None:
    answer = lab.ask("PUT", "~/qemu/200/config", net0="virtio=00:11:22:33:44:55:66,bridge=vmbr9")

    assert answer.status == 400
    assert answer.body is not None
    assert answer.body["errors"] == {
        "net0": "invalid format - format error\nnet0.macaddr: invalid format - "
        "value does not look like a valid unicast MAC address\n\n"
    }


def test_the_same_as_a_task(lab: Lab) -> None:
    task = lab.run("POST", "~/qemu/200/config", net0="virtio,bridge=vmbr9,link_down=1")

    assert (task.type, task.status) == ("qmconfig", "OK")
    assert "vmbr9" in lab.config(200)["net0"]


def test_a_digest_that_does_not_match_refuses(lab: Lab) -> None:
    assert lab.refused("PUT", "~/qemu/200/config", memory=512, digest="0" * 40) == (
        500, "checksum mismatch (file change by other user?)",
    )  # fmt: skip


def test_a_locked_guest_refuses_changes(lab: Lab) -> None:
    lab.site.guests[200].config["lock"] = "backup"

    assert lab.refused("PUT", "~/qemu/200/config", memory=512) == (500, "VM is locked (backup)")
    assert lab.config(200)["lock"] == "backup"


def test_only_root_touches_locks(lab: Lab) -> None:
    assert lab.refused("PUT", "~/qemu/200/config", lock="backup") == (500, "only root can set 'lock' config")
    answer = lab.ask("PUT", "~/qemu/200/config", delete="lock", skiplock=1)
    assert answer.body is not None
    assert (answer.status, answer.body["errors"]) == (400, {"skiplock": "Only root may use this option."})
    lab.site.guests[200].config["lock"] = "backup"
    lab.data("PUT", "~/qemu/200/config", "root@pam", delete="lock", skiplock=1)
    assert "lock" not in lab.config(200)


@pytest.mark.parametrize(
    ("missing", "key", "value"),
    [
        ("VM.Config.Network", "net0", "virtio,bridge=vmbr9"),
        ("VM.Config.Options", "onboot", 0),
        ("VM.Config.Options", "name", "drill"),
        ("VM.Config.Memory", "memory", 384),
    ],
)
def test_each_key_asks_for_its_privilege(lab: Lab, missing: str, key: str, value: object) -> None:
    drill_role(lab.site, without=missing)

    assert lab.refused("PUT", "~/qemu/200/config", DRILLER, **{key: value}) == (
        403, f"Permission check failed (/vms/200, {missing})",
    )  # fmt: skip


def test_a_card_asks_for_the_bridge_it_leaves_and_the_one_it_joins(lab: Lab) -> None:
    drill_role(lab.site, without="SDN.Use")
    lab.site.access.add_role("Bridge", {"SDN.Use"})
    for who in ("driller@pve", DRILLER):
        lab.site.access.grant("/sdn/zones/localnetwork/vmbr9", who, "Bridge")

    assert lab.refused("PUT", "~/qemu/200/config", DRILLER, net0="virtio,bridge=vmbr9") == (
        403, "Permission check failed (/sdn/zones/localnetwork/vmbr0, SDN.Use)",
    )  # fmt: skip


def test_reading_needs_vm_audit(lab: Lab) -> None:
    drill_role(lab.site, without="VM.Audit")

    assert lab.refused("GET", "~/qemu/200/config", DRILLER) == (403, "Permission check failed (/vms/200, VM.Audit)")


def test_pending_of_a_stopped_guest_lists_current_values_only(lab: Lab) -> None:
    pending = {entry["key"]: entry for entry in lab.data("GET", "~/qemu/200/pending")}

    assert pending["memory"] == {"key": "memory", "value": "256"}
    assert pending["vmgenid"]["value"] == "00000000-0000-0000-0000-000000000000"
    assert pending["digest"]["value"] == lab.data("GET", "~/qemu/200/config")["digest"]
    assert not [entry for entry in pending.values() if entry.keys() & {"pending", "delete"}]


def test_a_running_guest_takes_some_changes_at_once_and_others_at_the_next_start(lab: Lab) -> None:
    lab.run("POST", "~/qemu/200/status/start")
    lab.data("PUT", "~/qemu/200/config", memory=512, description="now", delete="serial0")
    pending = {entry["key"]: entry for entry in lab.data("GET", "~/qemu/200/pending")}

    assert pending["description"] == {"key": "description", "value": "now"}
    assert pending["memory"] == {"key": "memory", "value": "256", "pending": "512"}
    assert pending["serial0"] == {"key": "serial0", "value": "socket", "delete": 1}
    assert lab.config(200)["memory"] == "512"
    assert lab.data("GET", "~/qemu/200/config", current=1)["memory"] == "256"
    lab.run("POST", "~/qemu/200/status/stop")
    assert lab.data("GET", "~/qemu/200/config", current=1)["memory"] == "512"
    assert "serial0" not in lab.config(200)


def test_removing_a_drive_keeps_its_volume_until_that_is_removed_too(lab: Lab) -> None:
    lab.restore()
    lab.data("PUT", "~/qemu/201/config", delete="virtio0")
    assert lab.config(201)["unused0"] == "vmdata:vm-201-disk-0"
    lab.data("PUT", "~/qemu/201/config", virtio1="vmdata:vm-201-disk-0")
    assert lab.config(201)["virtio1"] == "vmdata:vm-201-disk-0,size=4M"
    lab.data("PUT", "~/qemu/201/config", delete="virtio1")
    lab.data("PUT", "~/qemu/201/config", delete="unused0")

    assert "vmdata:vm-201-disk-0" not in lab.hypervisor.volumes()
