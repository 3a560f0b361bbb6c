"""Backups that run: their logs, locks, failures, and what they leave on the node."""

import os
import re

import pytest

from lab.pve.archives import find
from lab.scripted.image import GuestImage
from lab.waiting import until
from tests.lab_unit.pve.backupsite import DISK, DUMP, BackupSite, make_site

NOT_MOUNTED = (
    "could not activate storage 'backup-hdd': unable to activate storage 'backup-hdd' - directory is"
    " expected to be a mount point but is not mounted: '/mnt/backup'"
)
NOT_FOR_BACKUPS = (
    "could not get storage information for 'local': can't use storage 'local' for backups - wrong content type"
)


@pytest.fixture
def lab() -> BackupSite:
    return make_site()


def run_guest(lab: BackupSite, vmid: int = 200) -> None:
    """Boot a guest with an agent."""
    config = {key: str(value) for key, value in lab.site.guests[vmid].config.items()}
    volid = config["virtio0"].split(",")[0]
    GuestImage(hostname=config["name"]).write(lab.hypervisor.disks[volid])
    lab.hypervisor.start(vmid, config, {"virtio0": volid})
    until(lambda: _answers(lab, vmid), timeout=5, what="the agent")


def _answers(lab: BackupSite, vmid: int) -> bool:
    try:
        lab.hypervisor.agent(vmid, "guest-ping", {}, 1)
    except Exception:  # noqa: BLE001 - it is only asked until it answers
        return False
    return True


def shape(log: list[str]) -> list[str]:
    """The lines with what differs from run to run taken out."""
    text = "\n".join(log)
    for pattern, mark in (
        (r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d", "WHEN"),
        (r"\d{4}_\d\d_\d\d-\d\d_\d\d_\d\d", "STAMP"),
        (r"[0-9a-f]{8}-[0-9a-f-]{27}", "UUID"),
        (r"\(00:00:\d\d\)", "(TOOK)"),
        (r"in \d+ ?s(econds)?(?=[ ,])", "in N"),
        (r"[\d.]+ [KMG]?i?B/s", "RATE"),
        (r"size: \d+[KM]B", "size: SIZE"),
    ):
        text = re.sub(pattern, mark, text)
    return text.split("\n")


def test_a_running_guest_is_frozen_and_its_log_reads_as_recorded(lab: BackupSite) -> None:
    run_guest(lab)
    status, log = lab.backup(200, mode="snapshot", notes__template="{{guestname}} on {{node}} ({{vmid}})")
    assert status == "OK"
    assert shape(log) == [
        (
            "INFO: starting new backup job: vzdump 200 --mode snapshot --notes-template '{{guestname}} on {{node}}"
            " ({{vmid}})' --storage backup-hdd --compress zstd --node pve1"
        ),
        "INFO: Starting Backup of VM 200 (qemu)",
        "INFO: Backup started at WHEN",
        "INFO: status = running",
        "INFO: VM Name: docker-host",
        "INFO: include disk 'virtio0' 'vmdata:vm-200-disk-0' 1M",
        "INFO: backup mode: snapshot",
        "INFO: ionice priority: 7",
        "INFO: creating vzdump archive '/mnt/backup/dump/vzdump-qemu-200-STAMP.vma.zst'",
        "INFO: issuing guest-agent 'fs-freeze' command",
        "INFO: starting backup via QMP command",
        "INFO: issuing guest-agent 'fs-thaw' command",
        "INFO: started backup task 'UUID'",
        "INFO: resuming VM again",
        "INFO: 100% (1.0 MiB of 1.0 MiB) in N, read: RATE, write: RATE",
        "INFO: backup is sparse: 1020.00 KiB (99%) total zero data",
        "INFO: transferred 1.00 MiB in N (RATE)",
        "INFO: archive file size: SIZE",
        "INFO: adding notes to backup",
        "INFO: Finished Backup of VM 200 (TOOK)",
        "INFO: Backup finished at WHEN",
        "INFO: Backup job finished successfully",
        "TASK OK",
    ]
    assert lab.hypervisor.agent(200, "guest-fsfreeze-status", {}, 1) == "thawed"
    assert lab.content(vmid=200)[0]["notes"] == "docker-host on pve1 (200)"


def test_a_stopped_guest_is_backed_up_in_stop_mode_whatever_is_asked(lab: BackupSite) -> None:
    status, log = lab.backup(210, mode="snapshot", prune__backups="keep-last=3,keep-weekly=2")
    assert status == "OK"
    told = shape(log)
    assert told[3:8] == [
        "INFO: status = stopped",
        "INFO: backup mode: stop",
        "INFO: ionice priority: 7",
        "INFO: VM Name: dns",
        "INFO: include disk 'virtio0' 'vmdata:vm-210-disk-0' 1M",
    ]
    assert "INFO: starting kvm to execute backup task" in told
    assert "INFO: stopping kvm after backup task" in told
    assert "INFO: prune older backups with retention: keep-last=3, keep-weekly=2" in told
    assert "INFO: pruned 0 backup(s)" in told


def test_the_old_release_says_less(lab: BackupSite) -> None:
    old = make_site("8.4")
    _, log = old.backup(210)
    assert "INFO: starting backup via QMP command" not in log
    run_guest(old)
    old.hypervisor.faults.dead_agents.add(200)
    _, log = old.backup(200)
    assert "INFO: skipping guest-agent 'fs-freeze', agent configured but not running?" in log


def test_a_dead_agent_does_not_fail_the_backup(lab: BackupSite) -> None:
    run_guest(lab)
    lab.hypervisor.faults.dead_agents.add(200)
    status, log = lab.backup(200)
    assert status == "OK"
    assert "INFO: skipping guest filesystem freeze - agent configured but not running?" in log
    assert "paused" not in lab.hypervisor.monitor(200, "info status")


def test_excluded_disks_are_named_and_not_in_the_archive(lab: BackupSite) -> None:
    lab.add_guest(300, scsi0="vmdata:vm-300-disk-0,size=1M", scsi1="vmdata:vm-300-disk-1,backup=0,size=1M")
    _, log = lab.backup(300)
    assert "INFO: exclude disk 'scsi1' 'vmdata:vm-300-disk-1' (backup=no)" in log
    header = lab.hypervisor.read_archive_header(DUMP + "/" + lab.content(vmid=300)[0]["volid"].rpartition("/")[2])
    assert [disk.device for disk in header.disks] == ["drive-scsi0"]
    assert "#qmdump#map:scsi0:drive-scsi0:vmdata:raw:" in header.config
    assert "lock" not in header.config


def test_a_guest_without_disks_backs_up(lab: BackupSite) -> None:
    lab.add_guest(301)
    status, log = lab.backup(301)
    assert status == "OK"
    assert "INFO: backup contains no disks" in log
    assert [one for one in log if one.startswith("INFO: /usr/bin/vma create -v -c ")]
    assert lab.content(vmid=301)


def test_a_container_falls_back_to_suspend(lab: BackupSite) -> None:
    container = lab.site.guests[230]
    lab.hypervisor.start(
        230, {key: str(value) for key, value in container.config.items()}, {"rootfs": "vmdata:vm-230-disk-0"}
    )
    status, log = lab.backup(230)
    assert status == "OK"
    assert "INFO: trying 'suspend' mode instead" in log
    one = lab.content(vmid=230)[0]
    assert (one["subtype"], one["format"]) == ("lxc", "tar.zst")
    config = lab.data("GET", "/nodes/pve1/vzdump/extractconfig", volume=one["volid"])
    assert "hostname: files" in config


def test_what_lies_beside_the_archive(lab: BackupSite) -> None:
    lab.backup(210, protected=1, notes__template="one\\ntwo")
    archive = lab.content(vmid=210)[0]
    name = archive["volid"].rpartition("/")[2]
    base = name.removesuffix(".vma.zst")
    assert lab.dump() == {name, f"{name}.notes", f"{name}.protected", f"{base}.log"}
    assert find(lab.site, archive["volid"]).notes == "one\ntwo"
    assert archive["notes"] == "one"
    log = lab.hypervisor.node.read(f"{DUMP}/{base}.log").decode()
    assert log.splitlines()[0].endswith("INFO: Starting Backup of VM 210 (qemu)")
    assert re.match(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d INFO: ", log)
    assert "Backup started at" not in log
    assert lab.hypervisor.node.read("/var/log/vzdump/qemu-210.log").decode() == log


def test_one_task_for_several_guests_has_no_guest_in_its_id(lab: BackupSite) -> None:
    upid = lab.data("POST", "/nodes/pve1/vzdump", vmid="210,220", storage="backup-hdd", compress="zstd")
    assert ":vzdump::root@pam!suite:" in upid
    assert lab.site.tasks.wait(upid).status == "OK"


def test_a_missing_guest_fails_the_job_and_not_the_others(lab: BackupSite) -> None:
    status, log = lab.backup("210,999")
    assert status == "job errors"
    assert shape(log)[-4:] == [
        "ERROR: Backup of VM 999 failed - unable to find VM '999'",
        "INFO: Failed at WHEN",
        "INFO: Backup job finished with errors",
        "TASK ERROR: job errors",
    ]
    assert len(lab.content(vmid=210)) == 1


def test_a_locked_guest_leaves_its_log_alone(lab: BackupSite) -> None:
    lab.site.guests[210].config["lock"] = "backup"
    status, log = lab.backup(210)
    assert status == "job errors"
    assert "ERROR: Backup of VM 210 failed - VM is locked (backup)" in log
    assert lab.site.guests[210].config["lock"] == "backup"
    (name,) = lab.dump()
    kept = lab.hypervisor.node.read(f"{DUMP}/{name}").decode().splitlines()
    assert [line[20:] for line in kept] == [
        "INFO: Starting Backup of VM 210 (qemu)",
        "INFO: status = stopped",
        "ERROR: Backup of VM 210 failed - VM is locked (backup)",
    ]


def test_a_full_disk_reads_as_a_broken_pipe_and_leaves_the_log(lab: BackupSite) -> None:
    lab.hypervisor.disks["vmdata:vm-210-disk-0"].write_at(0, os.urandom(DISK))
    lab.hypervisor.node.backup_disk.size = DISK // 2
    status, log = lab.backup(210)
    assert status == "job errors"
    assert "zstd: error 70 : Write error : cannot write block : No space left on device " in log
    assert "ERROR: Backup of VM 210 failed - vma_queue_write: write error - Broken pipe" in log
    assert log.index("ERROR: vma_queue_write: write error - Broken pipe") < log.index("INFO: aborting backup job")
    assert all(name.endswith(".log") for name in lab.dump())
    assert "lock" not in lab.site.guests[210].config
