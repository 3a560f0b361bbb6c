"""Backup storage: where the archives lie. Subjects are pairs of node and storage."""

import pytest

from backup_standard.audit.storage import BackupStorage
from backup_standard.evidence.notes import Evidence


@pytest.mark.rule(id="STO-02", level="must", tag="minimum")
def test_backup_storage_is_a_disk_of_its_own(backup_storage: BackupStorage, evidence: Evidence) -> None:
    """The backup storage is the mount point of its own file system on a local disk, mounted now and after a reboot.

    Rationale: backups on the disk that holds the guests are lost together with the guests.
    Remedy: findmnt --target {backup_storage.path}
    mount {backup_storage.expected_mount_point}
    If the disk is not attached, attach it first; /etc/fstab needs a line for {backup_storage.expected_mount_point}.
    """
    assert backup_storage.is_defined, f"the site has no storage {backup_storage.storage}"
    assert backup_storage.path, f"{backup_storage} is of type {backup_storage.type}, which is no directory on a disk"
    place = backup_storage.expected_mount_point
    evidence(path=backup_storage.path, mounted_now=backup_storage.is_mounted, device=backup_storage.device)
    evidence(file_system=backup_storage.file_system, mounted_at_boot_by=backup_storage.persistent_by)

    assert backup_storage.is_mounted, (
        f"no disk is mounted at {place} on {backup_storage.node}: {backup_storage.missing}"
    )
    assert backup_storage.is_local, (
        f"{place} holds {backup_storage.file_system}, which is no file system of a local disk"
    )
    assert not backup_storage.shares_root, f"{place} is a part of the node's root file system, not a disk of its own"
    assert backup_storage.persistent_by, f"{place} is mounted now, and nothing mounts it again after a reboot"


@pytest.mark.rule(id="STO-03", level="must", tag="standard")
def test_proxmox_refuses_to_write_without_the_disk(backup_storage: BackupStorage, evidence: Evidence) -> None:
    """Proxmox refuses to write to the backup storage when its disk is missing.

    Rationale: without this check the nightly backups silently fill the node's root disk while the backup disk is away.
    Remedy: pvesm set {backup_storage.storage} --is_mountpoint yes
    """
    assert backup_storage.is_defined, f"the site has no storage {backup_storage.storage}"
    evidence(type=backup_storage.type, path=backup_storage.path, is_mountpoint=backup_storage.is_mountpoint)
    evidence(active_now=backup_storage.is_active)

    assert backup_storage.is_guarded, (
        f"{backup_storage} has is_mountpoint {backup_storage.is_mountpoint or 'unset'}: "
        f"Proxmox writes to {backup_storage.path} whether the disk is mounted there or not"
    )
