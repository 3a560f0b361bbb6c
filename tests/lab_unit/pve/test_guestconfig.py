"""Configuration files against texts and digests recorded from Proxmox VE 9.2.11 and 8.4.21."""

from __future__ import annotations

import pytest

from lab.pve import guestconfig as gc

RECORDED = """#database server
agent: 1
boot: order=scsi0
cores: 1
cpu: qemu64
kvm: 0
memory: 512
meta: creation-qemu=10.2.2,ctime=1795466299
name: db-prod
net0: virtio=BC:24:11:FF:7D:ED,bridge=vmbr0
onboot: 1
ostype: l26
scsi0: local:201/vm-201-disk-0.raw,size=2G
scsihw: virtio-scsi-pci
serial0: socket
smbios1: uuid=af5d1d4f-cd6c-44bd-b2f5-3f5fc7726ff1
vmgenid: cb6d1e29-4ad9-4b5c-b742-def3611977fa
"""


def test_a_recorded_file_gives_the_recorded_digest_and_survives_a_round_trip() -> None:
    parsed = gc.parse(RECORDED)

    assert gc.render(parsed.config) == RECORDED
    assert gc.digest(gc.render(parsed.config)) == "5af051f6cc23cfd150896bae2a66729d58d2e225"


@pytest.mark.parametrize(
    ("config", "digest"),
    [
        ({}, "da39a3ee5e6b4b0d3255bfef95601890afd80709"),
        ({"memory": "128"}, "d80cf9efe61493ebd6c6b36f2fea2f9b0a552524"),
    ],
)
def test_the_stub_of_a_failed_restore_has_the_recorded_digest(config: gc.Config, digest: str) -> None:
    assert gc.digest(gc.render_file(config)) == digest


def test_numbers_are_integers_and_property_strings_stay_text() -> None:
    config = gc.parse(RECORDED).config

    assert (config["kvm"], config["onboot"], config["cores"]) == (0, 1, 1)
    assert (config["memory"], config["agent"]) == ("512", "1")
    assert gc.typed("memory", "512", "lxc") == 512
    assert gc.shown("cpulimit", "0.5") == 0.5


def test_a_description_of_several_lines_is_escaped_and_read_back() -> None:
    text = gc.render({"description": "first: 100%\nünicode", "memory": "64"})

    assert text.splitlines()[0] == "#first%3A 100%25"
    assert gc.parse(text).config["description"] == "first: 100%\nünicode"


def test_pending_changes_and_snapshots_live_in_sections_of_their_own() -> None:
    text = gc.render_file({"memory": "64", "parent": "a"}, {"memory": "128"}, {"a": {"memory": "32", "snaptime": 5}})
    parsed = gc.parse(text)

    assert parsed.config["memory"] == "64"
    assert parsed.pending == {"memory": "128"}
    assert parsed.snapshots == {"a": {"memory": "32", "snaptime": 5}}
    assert gc.digest(text) != gc.digest(gc.render_file({"memory": "64", "parent": "a"}))


def test_network_cards_keep_model_address_and_options() -> None:
    nic = gc.Nic.parse("virtio=BC:24:11:00:00:01,link_down=1,bridge=vmbr9")

    assert (nic.model, nic.mac, nic.bridge) == ("virtio", "BC:24:11:00:00:01", "vmbr9")
    assert str(nic) == "virtio=BC:24:11:00:00:01,bridge=vmbr9,link_down=1"
    assert gc.Nic.parse("model=e1000,macaddr=AA:BB:CC:00:00:01,bridge=v").model == "e1000"
    assert gc.Nic.parse("virtio,bridge=vmbr9").mac is None


def test_drives_leave_cdroms_and_empty_ones_out() -> None:
    config: gc.Config = {
        "ide2": "local:iso/x.iso,media=cdrom",
        "scsi0": "vmdata:vm-200-disk-0,size=2G",
        "scsihw": "virtio-scsi-pci",
        "virtio1": "none",
        "efidisk0": "vmdata:vm-200-disk-1,size=528K",
    }

    assert gc.drives(config) == {"scsi0": "vmdata:vm-200-disk-0", "efidisk0": "vmdata:vm-200-disk-1"}


@pytest.mark.parametrize(
    ("text", "size"), [("2G", 2 << 30), ("528K", 528 << 10), ("1.5G", 3 << 29), ("17", 17), ("x", 0)]
)
def test_sizes_are_read(text: str, size: int) -> None:
    assert gc.parse_size(text) == size


def test_sizes_are_written_in_the_largest_even_unit() -> None:
    assert [gc.format_size(size) for size in (2 << 30, 528 << 10, 1536 << 20, 513)] == ["2G", "528K", "1536M", "513"]


def test_boot_order_falls_back_to_the_boot_disk() -> None:
    assert gc.boot_order({"boot": "order=scsi0;net0"}) == ["scsi0", "net0"]
    assert gc.boot_order({"bootdisk": "ide0"}) == ["ide0"]
    assert gc.boot_order({"boot": " "}) == []
