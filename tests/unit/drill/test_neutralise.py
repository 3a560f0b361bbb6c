"""What must change before a copy may boot: every key that could reach out of the copy."""

from __future__ import annotations

import pytest

from backup_standard.drill import guestconfig, names
from backup_standard.drill.neutralise import Neutralised, neutralise
from lab.pve import schema

PLAIN = {
    "agent": "1", "boot": "order=scsi0", "cores": "1", "memory": "512", "name": "db-prod", "ostype": "l26",
    "net0": "virtio=BC:24:11:8B:C0:D6,bridge=vmbr0", "onboot": "1", "scsi0": "local:200/vm-200-disk-0.raw,size=2G",
    "serial0": "socket", "smbios1": "uuid=09c74029-a8cc-4bb5-859b-228e3ac438a2",
}  # fmt: skip


def decide(**changes: str) -> Neutralised:
    return neutralise(PLAIN | changes, source=200, run="run-1", volid="backup:x", bridge="vmbr9")


def test_a_plain_guest_is_renamed_marked_moved_and_kept_from_autostart() -> None:
    decided = decide()
    assert decided.overrides == {
        "name": "drill-200-db-prod",
        "description": names.description("run-1", 200, "backup:x"),
        "tags": names.TAG,
        "onboot": "0",
        "net0": "virtio=BC:24:11:8B:C0:D6,bridge=vmbr9",
    }
    assert decided.afterwards == {}
    assert decided.refusals == ()
    assert [change.key for change in decided.changes] == ["name", "description", "tags", "onboot", "net0"]
    assert str(decided.changes[3]) == "onboot: 1 → 0 (a node that restarts must not start it)"


def test_no_drive_key_is_overridden_because_a_restore_refuses_them() -> None:
    decided = decide(ide2="local:iso/debian.iso,media=cdrom,size=600M", efidisk0="local:200/vm-200-disk-1.raw")
    assert not set(decided.overrides) & {"ide2", "efidisk0", "scsi0"}


@pytest.mark.parametrize(
    ("card", "wanted"),
    [
        ("virtio=BC:24:11:00:00:01,bridge=vmbr0,tag=20,firewall=1", "virtio=BC:24:11:00:00:01,bridge=vmbr9"),
        ("e1000=BC:24:11:00:00:01,bridge=vmbr0,link_down=1,rate=10", "e1000=BC:24:11:00:00:01,bridge=vmbr9"),
        ("virtio=BC:24:11:00:00:01,bridge=vmbr0,mtu=9000,queues=4",
         "virtio=BC:24:11:00:00:01,bridge=vmbr9,mtu=9000,queues=4"),
        ("model=virtio,macaddr=BC:24:11:00:00:01,bridge=vmbr0", "virtio=BC:24:11:00:00:01,bridge=vmbr9"),
        ("virtio,bridge=vmbr0,trunks=1;2", "virtio,bridge=vmbr9"),
        ("virtio=BC:24:11:00:00:01", "virtio=BC:24:11:00:00:01,bridge=vmbr9"),
    ],
)  # fmt: skip
def test_every_card_goes_to_the_isolated_bridge_with_its_mac(card: str, wanted: str) -> None:
    decided = decide(net3=card)
    assert decided.overrides["net3"] == wanted
    assert guestconfig.cards(dict(decided.overrides))[0]["bridge"] == "vmbr9"


def test_a_template_becomes_an_ordinary_vm_and_protection_is_lifted() -> None:
    decided = decide(template="1", protection="1")
    assert decided.overrides["template"] == "0"
    assert decided.overrides["protection"] == "0"
    assert "template" not in decide(template="0").overrides


def test_media_are_taken_out_afterwards_but_the_cloud_init_drive_stays() -> None:
    decided = decide(
        ide2="local:iso/debian.iso,media=cdrom",
        sata1="none,media=cdrom",
        ide0="local:200/vm-200-cloudinit.qcow2,media=cdrom",
    )
    assert decided.afterwards == {"ide2": "none,media=cdrom"}
    assert decided.kept == ("ide0: the cloud-init drive, so that the guest does not take this for its first boot",)


def test_a_watchdog_is_removed() -> None:
    decided = decide(watchdog="i6300esb,action=reset", startup="order=1")
    assert decided.afterwards == {"watchdog": ""}
    assert decided.kept == ("startup: only used by autostart, which is off",)
    assert str(decided.changes[-1]) == "watchdog: i6300esb,action=reset → (removed) (a slow boot would be reset)"


@pytest.mark.parametrize(
    ("key", "value", "saying"),
    [
        ("args", "-device x", "args: '-device x' passes arguments of its own to QEMU on the node"),
        ("hookscript", "local:snippets/hook.pl", "hookscript: 'local:snippets/hook.pl' runs a script on the node"),
        ("hostpci0", "0000:01:00.0", "hostpci0: '0000:01:00.0' would take a PCI device away from production"),
        ("hostpci1", "mapping=gpu", "hostpci1: 'mapping=gpu' would take a PCI device"),
        ("usb0", "host=1234:5678", "usb0: 'host=1234:5678' would take a USB device"),
        ("usb1", "mapping=dongle", "usb1: 'mapping=dongle' would take a USB device"),
        ("parallel0", "/dev/parport0", "parallel0: '/dev/parport0' is a device of the node"),
        ("serial1", "/dev/ttyS0", "serial1: '/dev/ttyS0' is a device of the node"),
        ("virtiofs0", "shared", "virtiofs0: 'shared' shares a directory of the node"),
        ("ivshmem", "size=1", "ivshmem: 'size=1' shares memory"),
        ("scsi1", "/dev/sdb,size=1T", "scsi1: '/dev/sdb' is a raw device or file of the node"),
    ],
)
def test_what_reaches_out_of_the_guest_is_refused_by_name(key: str, value: str, saying: str) -> None:
    (refusal,) = decide(**{key: value}).refusals
    assert refusal.startswith(saying)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("usb0", "spice"), ("usb1", "host=spice,usb3=1"), ("serial1", "socket"), ("scsi1", "/dev/sdb,backup=0"),
        ("rng0", "source=/dev/urandom"), ("audio0", "device=ich9-intel-hda"),
        ("tpmstate0", "local:200/vm-200-disk-2.raw"),
        ("ciuser", "admin"), ("ipconfig0", "ip=10.0.0.20/24"), ("cpu", "host"), ("machine", "q35"),
    ],
)  # fmt: skip
def test_what_stays_inside_the_guest_is_left_alone(key: str, value: str) -> None:
    decided = decide(**{key: value})
    assert decided.refusals == ()
    assert key not in decided.overrides


def settings() -> set[str]:
    """Every setting of a virtual machine that the published API schemas name, with a number where one belongs."""
    control = {
        "node", "vmid", "archive", "storage", "force", "unique", "pool", "bwlimit", "live-restore", "start",
        "ha-managed", "import-working-storage",
    }  # fmt: skip
    found = set[str]()
    for version in ("8.4", "9.2"):
        route = schema.load(version).find("POST", "/nodes/pve1/qemu")
        assert route
        found |= {name.replace("[n]", "7") for name in route[0].parameters} - control
    return found


def test_every_setting_of_the_api_is_judged() -> None:
    strange = {key for key in settings() if any("not known here" in text for text in decide(**{key: "x"}).refusals)}
    assert strange == set()


def test_a_setting_that_nobody_knows_is_refused() -> None:
    (refusal,) = decide(**{"takes-over-the-node": "1"}).refusals
    assert refusal == "takes-over-the-node: '1' is a setting that is not known here"


def test_every_card_of_a_guest_with_all_of_them_is_moved() -> None:
    cards = {f"net{number}": f"virtio=BC:24:11:00:00:{number:02X},bridge=vmbr{number}" for number in range(32)}
    decided = decide(**cards)
    bridges = {card["bridge"] for card in guestconfig.cards(dict(decided.overrides)).values()}
    assert bridges == {"vmbr9"}
    assert sum(key.startswith("net") for key in decided.overrides) == 32


@pytest.mark.parametrize(("archived", "name"), [({"name": "web"}, "web"), ({}, "VM200")])
def test_with_a_cloud_init_drive_the_host_name_stays(archived: dict[str, str], name: str) -> None:
    plain = {key: value for key, value in PLAIN.items() if key != "name"} | archived
    plain |= {"ide0": "local:200/vm-200-cloudinit.qcow2,media=cdrom"}
    decided = neutralise(plain, source=200, run="run-1", volid="backup:x", bridge="vmbr9")
    assert decided.overrides["name"] == name
    assert decided.overrides["tags"] == names.TAG


def test_every_refusal_is_listed_at_once() -> None:
    assert len(decide(args="-x", hookscript="y", hostpci0="z").refusals) == 3


def test_a_configuration_is_read_without_comments_and_snapshots() -> None:
    text = "#database\nagent: 1\nname: x\nscsi0: a:b,size=2G\n#qmdump#map:scsi0:drive-scsi0:local:raw:\n"
    text += "\n[snap]\nname: y\n"
    assert guestconfig.parse(text) == {"agent": "1", "name": "x", "scsi0": "a:b,size=2G"}


def test_sizes_and_disks() -> None:
    config = {
        "scsi0": "a:vm-1-disk-0,size=2G", "scsi1": "a:vm-1-disk-1,size=512M", "ide2": "none,media=cdrom",
        "virtio0": "a:vm-1-disk-2,size=1.5K", "sata0": "a:vm-1-disk-3,size=odd",
    }  # fmt: skip
    assert guestconfig.disk_bytes(config) == (2 << 30) + (512 << 20) + 1536
    assert set(guestconfig.disks(config)) == {"scsi0", "scsi1", "virtio0", "sata0"}
    assert guestconfig.cards({"net0": "virtio=AA:BB:CC:00:11:22,bridge=b"}) == {
        0: {"model": "virtio", "macaddr": "AA:BB:CC:00:11:22", "bridge": "b"}
    }


def test_names_are_dns_labels() -> None:
    assert names.guest_name(200, "Büro_PC 1.example") == "drill-200-b-ro-pc-1-example"
    assert len(names.guest_name(200, "x" * 90)) == 63
    assert names.run_of(names.description("run-7", 200, "v")) == "run-7"
    assert names.run_of("nothing") is None
    assert names.is_tagged({"tags": f"a;{names.TAG}"})
    assert not names.is_tagged({"tags": names.TAG + "x"})
    assert [names.vmid_of_port(port) for port in ("tap201i0", "dg9", "fwpr201p0", "veth230i1", "eno1", "vmbr0")] == [
        201, 9, 201, 230, None, None,
    ]  # fmt: skip
