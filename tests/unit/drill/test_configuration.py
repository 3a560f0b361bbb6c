"""A guest's configurations side by side."""

from __future__ import annotations

import pytest

from backup_standard.drill.configuration import drift, losses

ARCHIVED = {
    "cores": "2", "memory": "2048", "boot": "order=scsi0", "ostype": "l26", "name": "web", "onboot": "1",
    "scsi0": "vmdata:vm-200-disk-0,size=2G", "scsi1": "vmdata:vm-200-disk-1,backup=0,size=8G",
    "ide2": "none,media=cdrom", "efidisk0": "vmdata:vm-200-disk-2,size=528K",
    "net0": "virtio=BC:24:11:00:02:00,bridge=vmbr0",
}  # fmt: skip
COPY = ARCHIVED | {
    "name": "drill-200-web", "onboot": "0", "scsi0": "drills:vm-201-disk-0,size=2048M",
    "efidisk0": "drills:vm-201-disk-1,size=4M", "net0": "virtio=BC:24:11:00:02:00,bridge=vmbr9",
}  # fmt: skip


def test_a_copy_on_another_bridge_and_storage_is_the_same_machine() -> None:
    assert losses(ARCHIVED, {key: value for key, value in COPY.items() if key != "scsi1"}) == []
    assert losses(ARCHIVED, COPY | {"scsi0": "drills:vm-201-disk-0,size=2052M"}) == []


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"memory": "128"}, "memory is 128, in the archive 2048"),
        ({"boot": "order=net0"}, "boot is order=net0, in the archive order=scsi0"),
        ({"scsi0": "a:b,size=1G"}, "size of scsi0 is 1.0 GiB, in the archive 2.0 GiB"),
        ({"net0": "virtio=BC:24:11:FF:FF:FF,bridge=vmbr9"}, "MAC of net0 is BC:24:11:FF:FF:FF, in the archive"),
        ({"net1": "virtio=BC:24:11:00:02:01,bridge=vmbr9"}, "number of network cards is 2, in the archive 1"),
        ({"bios": "ovmf"}, "bios is ovmf, in the archive (unset)"),
    ],
)
def test_what_a_copy_lost_is_named(change: dict[str, str], said: str) -> None:
    assert said in "; ".join(losses(ARCHIVED, COPY | change))


def test_what_production_has_today_is_told_and_equal_sizes_are_equal_however_written() -> None:
    today = ARCHIVED | {"memory": "4096", "scsi0": "vmdata:vm-200-disk-0,size=2048M", "scsi2": "vmdata:new,size=1G"}
    assert drift(ARCHIVED, today) == [
        "memory: 2048 in the archive, 4096 in production today",
        "size of scsi2: (unset) in the archive, 1.0 GiB in production today",
    ]
    assert drift(ARCHIVED, {key: value for key, value in ARCHIVED.items() if key != "cores"}) == [
        "cores: 2 in the archive, (unset) in production today"
    ]


def test_containers_have_volumes_and_cards_too() -> None:
    archived = {"rootfs": "a:b,size=1G", "mp0": "a:c,mp=/srv,size=2G", "memory": "512", "swap": "512",
                "net0": "name=eth0,bridge=vmbr0,hwaddr=BC:24:11:00:02:30,ip=10.0.0.230/24,type=veth"}  # fmt: skip
    assert losses(archived, archived | {"mp0": "a:c,mp=/srv,size=1G", "swap": "0"}) == [
        "swap is 0, in the archive 512", "size of mp0 is 1.0 GiB, in the archive 2.0 GiB",
    ]  # fmt: skip
