"""STO: the backup storage is a disk of its own, and Proxmox notices when it is away."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from backup_standard.errors import Unknown
from backup_standard.evidence.notes import Evidence
from backup_standard.model import Facts, Gap, Mount
from tests.rules import builders as b
from tests_infra import test_sto_storage as sto

DISK = Mount("/mnt/backup", "/dev/sdb1", "ext4", "rw,relatime", persistent_by="fstab")
ROOT = Mount("/", "/dev/sda2", "ext4", "rw,relatime", persistent_by="fstab")


def own_disk(facts: Facts) -> Evidence:
    evidence = Evidence()
    sto.test_backup_storage_is_a_disk_of_its_own(b.backup_storage(facts), evidence)
    return evidence


def guarded(facts: Facts) -> Evidence:
    evidence = Evidence()
    sto.test_proxmox_refuses_to_write_without_the_disk(b.backup_storage(facts), evidence)
    return evidence


def test_a_mounted_disk_passes() -> None:
    observed = own_disk(b.facts()).observed
    assert observed["device"] == "/dev/sdb1"
    assert observed["mounted_at_boot_by"] == "fstab"


@pytest.mark.parametrize(
    ("source", "fstype", "by"),
    [
        ("tank/backup", "zfs", "zfs"),
        ("/dev/mapper/backup-data", "xfs", "mnt-backup.mount"),
        ("/dev/sdb[/@b]", "btrfs", "fstab"),
    ],
)
def test_other_local_file_systems_pass(source: str, fstype: str, by: str) -> None:
    own_disk(b.with_mount(Mount("/mnt/backup", source, fstype, "rw", fsroot="/", persistent_by=by)))


def test_an_unplugged_disk_leaves_the_root_file_system() -> None:
    with pytest.raises(
        AssertionError, match=r"no disk is mounted at /mnt/backup on pve1: .* lies on /dev/sda2, mounted at /"
    ):
        own_disk(b.with_mount(ROOT))


def test_a_missing_folder() -> None:
    with pytest.raises(AssertionError, match="/mnt/backup does not exist"):
        own_disk(b.with_mount(None))


def test_a_folder_on_another_mount_is_no_disk_of_its_own() -> None:
    with pytest.raises(AssertionError, match="mounted at /mnt"):
        own_disk(b.with_mount(replace(DISK, target="/mnt")))


def test_a_folder_below_the_mount_passes_where_the_definition_names_the_mount() -> None:
    facts = b.with_definition(path="/mnt/backup/pve", is_mountpoint="/mnt/backup")
    own_disk(facts)
    guarded(facts)


def test_the_root_file_system_is_never_a_disk_of_its_own() -> None:
    facts = b.with_definition(path="/backup", is_mountpoint="/")
    facts = replace(facts, mounts={b.KEY: ROOT})
    with pytest.raises(AssertionError, match="no disk is mounted at / on pve1"):
        own_disk(facts)


@pytest.mark.parametrize("fstype", ["nfs4", "cifs", "fuse.sshfs", "tmpfs", "overlay"])
def test_a_remote_or_memory_file_system_fails(fstype: str) -> None:
    with pytest.raises(AssertionError, match="no file system of a local disk"):
        own_disk(b.with_mount(replace(DISK, fstype=fstype)))


def test_a_network_block_device_fails() -> None:
    with pytest.raises(AssertionError, match="no file system of a local disk"):
        own_disk(b.with_mount(replace(DISK, source="/dev/nbd0")))


def test_a_bind_mount_of_a_folder_fails() -> None:
    with pytest.raises(AssertionError, match="part of the node's root file system"):
        own_disk(b.with_mount(replace(DISK, source="/dev/sda2[/srv/backup]", fsroot="/srv/backup")))


def test_a_subvolume_of_the_root_disk_fails() -> None:
    facts = b.with_mount(Mount("/mnt/backup", "/dev/sda2[/@backup]", "btrfs", "rw", "/@backup", "fstab"))
    with pytest.raises(AssertionError, match="part of the node's root file system"):
        own_disk(facts)


def test_a_mount_by_hand_does_not_survive_a_reboot() -> None:
    with pytest.raises(AssertionError, match="nothing mounts it again after a reboot"):
        own_disk(b.with_mount(replace(DISK, persistent_by=None)))


def test_without_ssh_the_mount_is_unknown() -> None:
    with pytest.raises(Unknown, match="SSH to node pve1"):
        own_disk(b.facts(mounts={}))
    with pytest.raises(Unknown, match="no ssh"):
        own_disk(b.with_mount(Gap("mounts", "no ssh", "nodes.pve1.ssh")))


@pytest.mark.parametrize("rule", [own_disk, guarded])
def test_an_undefined_storage_fails_both(rule: Callable[[Facts], Evidence]) -> None:
    with pytest.raises(AssertionError, match="the site has no storage backup-hdd"):
        rule(b.facts(storages={}))


@pytest.mark.parametrize("rule", [own_disk, guarded])
def test_an_empty_list_of_storages_may_be_a_blind_token(rule: Callable[[Facts], Evidence]) -> None:
    with pytest.raises(Unknown, match=r"Datastore.Audit"):
        rule(b.facts(storages={}, gaps=(Gap("storages", "filtered", "Datastore.Audit on /storage"),)))


def test_a_storage_that_is_no_directory() -> None:
    with pytest.raises(AssertionError, match="of type pbs, which is no directory"):
        own_disk(b.with_definition(type="pbs", path=None, is_mountpoint=""))


@pytest.mark.parametrize("option", ["yes", "/mnt/backup", "/mnt", "/mnt/"])
def test_the_guard_may_be_yes_or_a_path_that_covers_the_storage(option: str) -> None:
    assert guarded(b.with_definition(is_mountpoint=option)).observed["active_now"] is True


@pytest.mark.parametrize("option", ["", "no", "/", "/srv", "/mnt/back"])
def test_without_the_guard_backups_fill_the_root_disk(option: str) -> None:
    with pytest.raises(AssertionError, match="writes to /mnt/backup whether the disk is mounted there or not"):
        guarded(b.with_definition(is_mountpoint=option))
