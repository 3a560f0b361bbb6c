"""What comes back of a container's configuration; derived from upstream's source, nothing of it was recorded."""

from __future__ import annotations

from typing import Any

import pytest

from lab.pve.guestconfig import render
from lab.pve.tasks import Task
from tests.lab_unit.pve.guestlab import CT, DRILLER, ROOT_TOKEN, Lab, make_lab

NET = "name=eth0,bridge=vmbr9,hwaddr=BC:24:11:00:02:30,ip=10.0.0.230/24,type=veth"
ROOT = "root@pam"


def archive(lab: Lab, raw: str = "", **keys: Any) -> None:
    """Write the container's archive anew, with other keys in its configuration."""
    config = {**lab.site.guests[230].config, **keys}
    text = render({key: value for key, value in config.items() if value is not None}) + raw
    path = f"/mnt/backup/dump/{CT.rpartition('/')[2]}"
    lab.hypervisor.write_container_archive(path, "vmdata:vm-230-disk-0", text, "zstd", lambda _done, _all: None)


def restore(lab: Lab, who: str = ROOT_TOKEN, **params: Any) -> Task:
    return lab.run("POST", "~/lxc", who, vmid=231, ostemplate=CT, restore=1, storage="vmdata", **params)


def config(lab: Lab) -> dict[str, Any]:
    found: dict[str, Any] = lab.data("GET", "~/lxc/231/config")
    return found


def test_every_volume_is_made_again_whether_it_was_in_the_backup_or_not(lab: Lab) -> None:
    archive(
        lab, mp0="vmdata:vm-230-disk-1,mp=/srv/big,size=8M,backup=1", mp1="vmdata:vm-230-disk-2,mp=/scratch,size=4M"
    )
    assert restore(lab, net0=NET).status == "OK"

    found = config(lab)
    assert found["rootfs"] == "vmdata:vm-231-disk-0,size=4M"
    assert found["mp0"] == "vmdata:vm-231-disk-1,backup=1,mp=/srv/big,size=8M"
    assert found["mp1"] == "vmdata:vm-231-disk-2,mp=/scratch,size=4M"


@pytest.mark.parametrize(("volume", "kind"), [("/data/shared", "bind"), ("/dev/sdb1", "device")])
def test_bind_mounts_come_back_for_root_alone_unless_the_root_is_given(lab: Lab, volume: str, kind: str) -> None:
    archive(lab, mp0=f"{volume},mp=/srv/shared")
    refused = restore(lab, net0=NET)
    assert refused.status == f"unable to restore CT 231 - restoring 'mp0' to {kind} mount is only possible for root"
    assert 231 not in lab.site.guests
    assert not [volid for volid in lab.hypervisor.volumes() if "-231-" in volid]

    assert restore(lab, net0=NET, rootfs="vmdata:0.25").status == "OK"
    found = config(lab)
    assert found["rootfs"] == "vmdata:vm-231-disk-0,size=256M"
    assert "mp0" not in found


def test_root_gets_the_bind_mount_back(lab: Lab) -> None:
    archive(lab, mp0="/data/shared,mp=/srv/shared")
    assert restore(lab, ROOT, net0=NET).status == "OK"
    assert config(lab)["mp0"] == "/data/shared,mp=/srv/shared"


def test_raw_settings_are_left_out_with_a_warning_unless_root_restores(lab: Lab) -> None:
    raw = "lxc.cgroup2.devices.allow: c 226:0 rwm\nlxc.mount.entry = /dev/dri dev/dri none bind 0 0\n"
    archive(lab, raw)
    warned = restore(lab, net0=NET)
    assert warned.status == "WARNINGS: 1"
    assert "lxc.mount.entry: /dev/dri dev/dri none bind 0 0" in warned.log
    assert "lxc" not in config(lab)

    assert lab.run("DELETE", "~/lxc/231").status == "OK"
    assert restore(lab, ROOT, net0=NET).status == "OK"
    assert ["lxc.mount.entry", "/dev/dri dev/dri none bind 0 0"] in config(lab)["lxc"]


def test_other_keys_come_back_as_they_were(lab: Lab) -> None:
    archive(lab, hookscript="local:snippets/x.sh", dev0="/dev/ttyUSB0", protection=1, features="nesting=1", template=1)
    assert restore(lab, net0=NET, onboot=0).status == "OK"

    found = config(lab)
    assert {
        key: found.get(key) for key in ("hookscript", "dev0", "protection", "features", "onboot", "unprivileged")
    } == {
        "hookscript": "local:snippets/x.sh",
        "dev0": "/dev/ttyUSB0",
        "protection": 1,
        "features": "nesting=1",
        "onboot": 0,
        "unprivileged": 1,
    }
    assert "template" not in found


def test_what_a_driller_may_not_set_is_refused(lab: Lab) -> None:
    assert lab.refused("POST", "~/lxc", DRILLER, vmid=231, ostemplate=CT, restore=1, storage="vmdata", pool="drill",
                       hookscript="local:snippets/x.sh") == (500, "only root can set 'hookscript' config")  # fmt: skip


@pytest.mark.parametrize(("version", "status"), [("9.2", "Permission check failed (/, Sys.Modify)"), ("8.4", "OK")])
def test_a_privileged_container_asks_for_more_since_9(version: Any, status: str) -> None:
    lab = make_lab(version)
    archive(lab, unprivileged=None)
    done = restore(lab, DRILLER, net0=NET, pool="drill")

    assert done.status.removeprefix("unable to restore CT 231 - ").strip() == status
