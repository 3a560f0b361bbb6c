"""Backup storage: where the archives lie. Subjects are pairs of node and storage."""

import pytest

from backup_standard.audit.guest import Guest
from backup_standard.audit.storage import BackupStorage
from backup_standard.evidence.notes import Evidence
from backup_standard.quantities import say_size


@pytest.mark.rule(id="STO-01", level="must", tag="standard")
def test_backup_storage_can_take_backups(backup_storage: BackupStorage, evidence: Evidence) -> None:
    """The backup storage is a directory, enabled and active on every node with mandatory guests, and takes backups.

    Rationale: a job that writes to a storage its node cannot use fails every night.
    Remedy: pvesm status --storage {backup_storage.storage}
    pvesm set {backup_storage.storage} --content backup --disable 0
    If it is restricted to other nodes: pvesm set {backup_storage.storage} --delete nodes
    """
    assert backup_storage.is_defined, f"the site has no storage {backup_storage.storage}"
    evidence(type=backup_storage.type, content=backup_storage.content, available_here=backup_storage.is_available)
    evidence(active_now=backup_storage.is_active)

    assert backup_storage.type == "dir", f"{backup_storage} is of type {backup_storage.type}; the policy demands dir"
    assert backup_storage.is_available, f"{backup_storage} is disabled, or restricted to other nodes"
    assert "backup" in backup_storage.content, f"{backup_storage} is not for backups, but for {backup_storage.content}"
    assert backup_storage.status.active, f"{backup_storage} is not active: Proxmox cannot use it now"


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


@pytest.mark.rule(id="STO-04", level="must", tag="standard")
def test_backup_storage_holds_backups_only(backup_storage: BackupStorage, evidence: Evidence) -> None:
    """The backup storage is for backups only, and no guest disk lives on it.

    Rationale: a guest whose disk lies beside its backups loses both together, and its growth fills the backup disk.
    Remedy: pvesm set {backup_storage.storage} --content backup
    Move the guest disks that are named above to another storage: qm disk move VMID DISK STORAGE --delete 1
    """
    assert backup_storage.is_defined, f"the site has no storage {backup_storage.storage}"
    evidence(content=backup_storage.content, guest_disks=backup_storage.guest_disks)

    assert backup_storage.content == ["backup"], f"{backup_storage} is for {', '.join(backup_storage.content)}"
    assert not backup_storage.guest_disks, (
        f"{backup_storage} holds guest disks: {', '.join(backup_storage.guest_disks)}"
    )
    backup_storage.prove_no_guest_disks()


@pytest.mark.rule(id="STO-05", level="must", tag="minimum")
def test_backups_lie_on_disks_of_their_own(backup_storage: BackupStorage, evidence: Evidence) -> None:
    """The physical disks of the backup storage hold no guest disk.

    Rationale: when the drive that holds the guests dies, the backups must not die with it.
    Remedy: lsblk -o NAME,TYPE,SIZE,SERIAL,MODEL,MOUNTPOINTS
    Attach a drive that holds nothing else, mount it at {backup_storage.expected_mount_point}, and move the archives.
    """
    assert backup_storage.is_defined, f"the site has no storage {backup_storage.storage}"
    separation = backup_storage.separation
    evidence(backups_on=separation.backup, guest_disks_on=separation.holders, undecided=separation.undecided)

    assert not separation.shared, "; ".join(separation.shared)
    separation.prove()


@pytest.mark.rule(id="STO-06", level="must", tag="standard")
def test_guest_is_backed_up_to_the_backup_storage(guest: Guest, evidence: Evidence) -> None:
    """Every mandatory guest has a job that writes to the backup storage.

    Rationale: backups on another storage escape everything that is demanded of this one.
    Remedy: pvesh set /cluster/backup/{guest.writing_job} --storage {guest.backup_storage}
    """
    evidence(demanded=guest.backup_storage, jobs_write_to=guest.targets)

    assert guest.writes_to_backup_storage, (
        f"no job of {guest} writes to storage {guest.backup_storage}: {guest.say_targets()}"
    )


@pytest.mark.rule(id="STO-07", level="must", tag="standard")
def test_backup_storage_is_healthy(backup_storage: BackupStorage, evidence: Evidence) -> None:
    """The backup storage is writable, without I/O errors since the last good backup, on disks that pass SMART.

    Rationale: a disk that fails takes the backups with it, mostly with warning.
    Remedy: journalctl --dmesg --priority err --since -14d
    smartctl -a {backup_storage.device}
    Save the archives, replace the disk, and mount the new one at {backup_storage.expected_mount_point}.
    """
    assert backup_storage.is_defined, f"the site has no storage {backup_storage.storage}"
    assert backup_storage.is_active is not False, f"{backup_storage} is not active: Proxmox cannot use it now"
    health = backup_storage.health
    evidence(mounted_from=health.mount.source, writable=health.is_writable)
    assert health.is_writable, f"the file system at {health.mount.target} is read-only: the kernel refuses every write"

    evidence(input_output_errors=health.errors, smart=health.smart)
    assert not health.errors, f"the kernel reports errors of the disk: {health.say_errors(backup_storage.now)}"
    assert not health.failing, "; ".join(health.failing)
    health.prove_smart()


@pytest.mark.rule(id="STO-08", level="must", tag="standard")
def test_backup_storage_has_room(backup_storage: BackupStorage, evidence: Evidence) -> None:
    """Free space holds the next nightly run, and the whole retention window fits the disk.

    Rationale: old archives are pruned only after the new one is written; a full disk ends the backups of all guests.
    Remedy: pvesm prune-backups {backup_storage.storage} --dry-run 1 --keep-daily 14
    Keep fewer restore points (never fewer than the policy demands), or mount a larger disk at \
{backup_storage.expected_mount_point}.
    """
    room = backup_storage.room
    evidence(free=say_size(room.status.avail), size=say_size(room.status.total), next_run=say_size(room.next_run))
    evidence(retention_window=say_size(room.window), room_for_it=say_size(room.capacity))
    evidence(growth=room.growth, full_on=room.full_on)
    evidence.advise(room.advice)

    assert not room.short_of, (
        f"the next nightly run writes {say_size(room.next_run)}, and {say_size(room.short_of)} lack on {backup_storage}"
    )
    assert room.window_fits, (
        f"the retention window takes {say_size(room.window)}, and {backup_storage} has {say_size(room.capacity)} "
        f"for it; the disk is full on {room.full_on}"
    )
