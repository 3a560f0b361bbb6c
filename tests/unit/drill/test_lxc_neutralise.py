"""A container's copy: what is changed, what is refused by name, what is kept on purpose."""

from __future__ import annotations

from typing import Any

import pytest

from backup_standard.drill import guestconfig, names
from backup_standard.drill.lxc_neutralise import neutralise_container
from backup_standard.drill.neutralise import Neutralised

VOLID = "backup-hdd:backup/vzdump-lxc-230-2026_11_24-02_00_05.tar.zst"
PLAIN = """arch: amd64
cores: 1
hostname: files
memory: 128
net0: name=eth0,bridge=vmbr0,firewall=1,gw=10.0.0.1,hwaddr=BC:24:11:00:02:30,ip=10.0.0.230/24,rate=5,tag=12,type=veth
onboot: 1
ostype: debian
rootfs: vmdata:vm-230-disk-0,size=256M
unprivileged: 1
"""


def decide(more: str = "", **changes: Any) -> Neutralised:
    config = {**guestconfig.parse(PLAIN + more), **changes}
    return neutralise_container(
        {key: value for key, value in config.items() if value is not None},
        source=230, run="run-1", volid=VOLID, bridge="vmbr9", storage="vmdata",
    )  # fmt: skip


def test_a_plain_container_moves_to_the_isolated_bridge_and_bears_its_mark() -> None:
    decided = decide()

    assert decided.overrides == {
        "description": names.description("run-1", 230, VOLID),
        "tags": names.TAG,
        "onboot": "0",
        "net0": "name=eth0,bridge=vmbr9,hwaddr=BC:24:11:00:02:30,ip=10.0.0.230/24,gw=10.0.0.1,type=veth",
    }
    assert (decided.refusals, decided.removed, dict(decided.afterwards)) == ((), (), {})
    assert {change.key for change in decided.changes} == {"description", "tags", "onboot", "net0"}
    assert [text.partition(":")[0] for text in decided.kept] == ["hostname"]


def test_every_card_moves_whatever_its_addresses() -> None:
    decided = decide(
        net1="name=lan,bridge=vmbr1,hwaddr=BC:24:11:00:02:31,ip6=fd00:1:2:3:4::5/64,ip=dhcp,link_down=1,trunks=1;2",
        net12="name=bare",
    )

    assert decided.overrides["net1"] == (
        "name=lan,bridge=vmbr9,hwaddr=BC:24:11:00:02:31,ip=dhcp,ip6=fd00:1:2:3:4::5/64,type=veth"
    )
    assert decided.overrides["net12"] == "name=bare,bridge=vmbr9,type=veth"


def test_a_protected_container_becomes_deletable() -> None:
    assert decide(protection="1").overrides["protection"] == "0"
    assert "protection" not in decide(protection="0").overrides


@pytest.mark.parametrize("volume", ["/data/shared", "/dev/sdb1"])
@pytest.mark.parametrize("form", ["{},mp=/srv/shared", "volume={},mp=/srv/shared,backup=1"])
def test_mounts_of_the_node_do_not_come_back(volume: str, form: str) -> None:
    decided = decide(
        rootfs="volume=vmdata:vm-230-disk-0,acl=1,size=256M",
        mp0=form.format(volume),
        mp1="vmdata:vm-230-disk-1,mp=/srv/big,size=3G,backup=1",
    )

    assert decided.removed == ("mp0",)
    assert decided.overrides["rootfs"] == "vmdata:0.25,acl=1"
    assert decided.overrides["mp1"] == "vmdata:3,mp=/srv/big,backup=1"
    assert "mp0" not in decided.overrides
    assert any(f"would mount {volume} of the node" in str(change) for change in decided.changes)
    assert decided.refusals == ()


def test_volumes_are_left_to_the_archive_where_nothing_must_be_kept_out() -> None:
    decided = decide(
        mp0="vmdata:vm-230-disk-1,mp=/srv/big,size=3G,backup=1", mp1="vmdata:vm-230-disk-2,mp=/tmp/x,size=1G"
    )

    assert not {"rootfs", "mp0", "mp1"} & decided.overrides.keys()
    assert any(text.startswith("mp1: comes back empty, because /tmp/x") for text in decided.kept)
    assert not any(text.startswith("mp0") for text in decided.kept)


def test_a_volume_without_a_size_beside_a_bind_mount_is_refused() -> None:
    decided = decide(rootfs="vmdata:vm-230-disk-0", mp0="/data,mp=/data")

    assert decided.refusals == ("rootfs: 'vmdata:vm-230-disk-0' states no size, so its volume cannot be made",)


@pytest.mark.parametrize(
    "line", ["lxc.mount.entry: /data data none bind 0 0", "lxc.mount.entry = /data data none bind 0 0"]
)
def test_raw_settings_must_not_come_back(line: str) -> None:
    decided = decide(more=f"{line}\nlxc.cgroup2.devices.allow: c 226:0 rwm\n")

    assert decided.removed == ("lxc.mount.entry", "lxc.cgroup2.devices.allow")
    assert decided.refusals == ()


@pytest.mark.parametrize(
    ("key", "value", "why"),
    [
        ("hookscript", "local:snippets/h.sh", "runs a script on the node"),
        ("dev0", "/dev/ttyUSB0,gid=20", "would give the copy a device of the node"),
        ("dev255", "/dev/net/tun", "would give the copy a device of the node"),
        ("template", "1", "restores as a template, which cannot start"),
        ("rootfs", "/mnt/tank/230,size=0T", "is a folder or device of the node"),
    ],
)
def test_what_only_root_could_make_harmless_is_refused_by_name(key: str, value: str, why: str) -> None:
    (refusal,) = decide(**{key: value}).refusals

    assert refusal.startswith(f"{key}: ")
    assert why in refusal


def test_what_is_kept_is_said_with_its_reason() -> None:
    kept = decide(features="nesting=1,keyctl=1", startup="order=2", unprivileged=None, hostname=None).kept

    assert [text.split(":")[0].split(",")[0] for text in kept] == ["features", "privileged", "startup"]


@pytest.mark.parametrize("key", ["net0", "net31"])
def test_no_card_stays_where_it_was(key: str) -> None:
    decided = decide(**{key: "name=eth0,bridge=vmbr0,hwaddr=BC:24:11:00:02:30"})

    for value in (value for key, value in decided.overrides.items() if key.startswith("net")):
        assert "bridge=vmbr9" in value
        assert "vmbr0" not in value
