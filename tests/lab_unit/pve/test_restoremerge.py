"""What a restore makes of an archived configuration."""

from __future__ import annotations

import random

import pytest

from lab.pve import restoremerge as rm
from lab.pve.guestconfig import Nic

ARCHIVED = """#database server
agent: 1
boot: order=scsi0
ide2: local:iso/setup.iso,media=cdrom
lock: backup
memory: 512
name: db-prod
net0: virtio=BC:24:11:8B:C0:D6,bridge=vmbr0
net1: virtio=BC:24:11:8B:C0:D7,bridge=vmbr0,tag=5
onboot: 1
parent: snap1
protection: 1
scsi0: local:200/vm-200-disk-0.raw,cache=writeback,format=raw,size=2G
scsi1: local:200/vm-200-disk-1.raw,backup=0,size=1G
smbios1: uuid=09c74029-a8cc-4bb5-859b-228e3ac438a2
template: 1
unused0: local:200/vm-200-disk-9.raw
vmgenid: dfc16b6f-3865-4d0a-8876-2029c4c1fdef
#qmdump#map:scsi0:drive-scsi0:local:raw:
"""
PLACED = {"scsi0": rm.Placed("vmdata:vm-201-disk-0", 2 << 30)}


@pytest.fixture
def fresh() -> rm.Fresh:
    return rm.Fresh(random.Random(1))  # noqa: S311 - repeatable on purpose


def test_hints_name_drive_storage_and_format() -> None:
    assert rm.hints(ARCHIVED) == {"drive-scsi0": rm.Hint("scsi0", "drive-scsi0", "local", "raw")}


def test_lock_snapshot_parent_and_unused_volumes_are_dropped(fresh: rm.Fresh) -> None:
    config = rm.restored_config(ARCHIVED, PLACED, fresh, unique=False)

    assert not {"lock", "parent", "unused0"} & config.keys()


def test_a_disk_gets_its_new_volume_and_keeps_its_options(fresh: rm.Fresh) -> None:
    config = rm.restored_config(ARCHIVED, PLACED, fresh, unique=False)

    assert config["scsi0"] == "vmdata:vm-201-disk-0,cache=writeback,size=2G"


def test_a_disk_without_backup_becomes_part_of_the_description(fresh: rm.Fresh) -> None:
    config = rm.restored_config(ARCHIVED, PLACED, fresh, unique=False)

    assert "scsi1" not in config
    assert config["description"] == "database server\nscsi1: local:200/vm-200-disk-1.raw,backup=0,size=1G"


def test_everything_else_is_kept_verbatim(fresh: rm.Fresh) -> None:
    config = rm.restored_config(ARCHIVED, PLACED, fresh, unique=False)

    assert config["ide2"] == "local:iso/setup.iso,media=cdrom"
    assert (config["onboot"], config["protection"], config["template"]) == (1, 1, 1)
    assert config["net0"] == "virtio=BC:24:11:8B:C0:D6,bridge=vmbr0"
    assert config["smbios1"] == "uuid=09c74029-a8cc-4bb5-859b-228e3ac438a2"


def test_the_generation_id_is_always_new_unless_switched_off(fresh: rm.Fresh) -> None:
    config = rm.restored_config(ARCHIVED, PLACED, fresh, unique=False)

    assert config["vmgenid"] != "dfc16b6f-3865-4d0a-8876-2029c4c1fdef"
    assert rm.restored_config("vmgenid: 0\n", {}, fresh, unique=True)["vmgenid"] == "0"
    assert "vmgenid" not in rm.restored_config("memory: 1\n", {}, fresh, unique=True)


def test_unique_changes_every_address_and_the_machine_uuid(fresh: rm.Fresh) -> None:
    config = rm.restored_config(ARCHIVED, PLACED, fresh, unique=True)
    nics = [Nic.parse(str(config[key])) for key in ("net0", "net1")]

    assert all(nic.mac and nic.mac.startswith("BC:24:11:") for nic in nics)
    assert {nic.mac for nic in nics} & {"BC:24:11:8B:C0:D6", "BC:24:11:8B:C0:D7"} == set()
    assert nics[1].options == {"bridge": "vmbr0", "tag": "5"}
    assert config["smbios1"] != "uuid=09c74029-a8cc-4bb5-859b-228e3ac438a2"


def test_overrides_replace_keys_and_cannot_remove_any(fresh: rm.Fresh) -> None:
    config = rm.restored_config(ARCHIVED, PLACED, fresh, unique=True)
    merged = rm.merge_overrides(config, {"template": 0, "net0": "virtio,link_down=1,bridge=vmbr9", "onboot": 0}, fresh)

    assert (merged["template"], merged["onboot"]) == (0, 0)
    assert Nic.parse(str(merged["net0"])).options == {"bridge": "vmbr9", "link_down": "1"}
    assert Nic.parse(str(merged["net0"])).mac
    assert merged["net1"] == config["net1"]


def test_the_description_is_overridden_as_a_whole(fresh: rm.Fresh) -> None:
    config = rm.restored_config(ARCHIVED, PLACED, fresh, unique=True)

    assert rm.merge_overrides(config, {"description": "drill 7"}, fresh)["description"] == "drill 7"
