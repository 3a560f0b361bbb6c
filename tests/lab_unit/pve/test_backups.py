"""Backups that run: their logs, locks, failures, and what they leave on the node."""

import os
import re
from typing import Any

import pytest

from lab.pve import seed, storages
from lab.pve.archives import find
from lab.pve.scheduler import Scheduler
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


@pytest.mark.parametrize(
    ("storage", "status"),
    [
        ("local", NOT_FOR_BACKUPS),
        (
            "nope",
            (
                "could not activate storage 'nope': storage 'nope' does not exist could not get storage information for"
                " 'nope': storage 'nope' does not exist"
            ),
        ),
        (None, NOT_FOR_BACKUPS),
    ],
)
def test_a_wrong_storage_is_the_tasks_whole_answer(lab: BackupSite, storage: str | None, status: Any) -> None:
    params = {"vmid": 210} | ({"storage": storage} if storage else {})
    ended, log = lab.task("POST", "/nodes/pve1/vzdump", **params)
    assert ended == status
    assert log == [f"TASK ERROR: {status}"]


def test_an_unmounted_storage_fails_the_task_before_any_guest(lab: BackupSite) -> None:
    lab.hypervisor.node.unplug_backup()
    status, log = lab.backup(210)
    assert status == NOT_MOUNTED
    assert log == [f"TASK ERROR: {NOT_MOUNTED}"]


def test_a_disabled_storage_fails_the_task(lab: BackupSite) -> None:
    lab.data("PUT", "/storage/backup-hdd", disable=1)
    assert lab.backup(210)[0] == "could not activate storage 'backup-hdd': storage 'backup-hdd' is disabled"


@pytest.mark.parametrize(
    ("params", "errors"),
    [
        ({"storage": "backup-hdd"}, {"vmid": "property is missing"}),
        ({"vmid": 210, "tmpdir": "/tmp"}, {"tmpdir": "Only root may set this option."}),
        ({"vmid": 210, "dumpdir": "/tmp"}, {"dumpdir": "Only root may set this option."}),
        (
            {"vmid": 210, "mode": "foo"},
            {"mode": "value 'foo' does not have a value in the enumeration 'snapshot, suspend, stop'"},
        ),
    ],
)
def test_requests_that_are_refused_at_once(
    lab: BackupSite, params: dict[str, Any], errors: dict[str, str] | None
) -> None:
    refused = lab.ask("POST", "/nodes/pve1/vzdump", **params)
    assert (refused.status, refused.body["errors"]) == (400, errors)


def test_who_may_back_up(lab: BackupSite) -> None:
    refused = lab.ask("POST", "/nodes/pve1/vzdump", "audit", vmid=210, storage="backup-hdd")
    assert refused.reason == "Permission check failed (/storage/backup-hdd, Datastore.AllocateSpace)"
    assert lab.backup(210, "drill")[0] == "OK"
    lab.add_guest(9000)
    status, _ = lab.backup(9000, "drill")
    assert status == "403 Permission check failed (/vms/9000, VM.Backup)"
    refused = lab.ask(
        "POST", "/nodes/pve1/vzdump", "drill", vmid=210, storage="backup-hdd", **{"prune-backups": "keep-last=1"}
    )
    assert refused.reason == "Permission check failed (/storage/backup-hdd, Datastore.Allocate)"
    assert lab.data("POST", "/nodes/pve1/vzdump", stop=1) == "OK"


def test_a_second_backup_waits_for_the_lock_of_the_node(lab: BackupSite) -> None:
    lab.hypervisor.pace = 0.2
    lab.hypervisor.disks["vmdata:vm-220-disk-0"].write_at(0, bytes(range(256)) * 2048)
    first = lab.data("POST", "/nodes/pve1/vzdump", vmid=220, storage="backup-hdd", compress="gzip")
    until(lambda: 220 in lab.site.prelaunch, timeout=5, what="the first backup")
    status = lab.data("GET", "/nodes/pve1/qemu/220/status/current")
    assert (status["status"], status["qmpstatus"], status["lock"]) == ("running", "prelaunch", "backup")
    second = lab.data("POST", "/nodes/pve1/vzdump", vmid=210, storage="backup-hdd")
    assert lab.site.tasks.wait(first).status == "OK"
    waited = lab.site.tasks.wait(second)
    assert waited.log[:2] == ["INFO: trying to get global lock - waiting...", "INFO: got global lock"]
    assert lab.data("GET", "/nodes/pve1/qemu/220/status/current")["status"] == "stopped"


def test_a_cancelled_backup_says_so_and_cleans_up(lab: BackupSite) -> None:
    run_guest(lab)
    lab.hypervisor.pace = 0.4
    upid = lab.data("POST", "/nodes/pve1/vzdump", vmid="200,210", storage="backup-hdd", compress="gzip")
    until(lambda: "INFO: resuming VM again" in lab.site.tasks.get(upid).log, timeout=5, what="the copying")
    lab.data("DELETE", f"/nodes/pve1/tasks/{upid}")
    done = lab.site.tasks.wait(upid)
    assert done.status == "interrupted by signal"
    tail = [line for line in done.log[-9:] if "Failed at" not in line]
    assert tail[-6:] == [
        "ERROR: interrupted by signal",
        "INFO: aborting backup job",
        "INFO: resuming VM again",
        "ERROR: Backup of VM 200 failed - interrupted by signal",
        "ERROR: Backup job failed - interrupted by signal",
        "TASK ERROR: interrupted by signal",
    ]
    assert all(name.endswith(".log") for name in lab.dump())
    assert "lock" not in lab.site.guests[200].config
    assert lab.hypervisor.agent(200, "guest-fsfreeze-status", {}, 1) == "thawed"
    assert lab.backup(210)[0] == "OK"


def test_pruning_at_the_end_removes_what_retention_says(lab: BackupSite) -> None:
    past = make_site(archives=True)
    before = {one["volid"] for one in past.content(vmid=210)}
    _, log = past.backup(210, prune__backups="keep-daily=14")
    removed = [line for line in log if "removing backup" in line]
    assert len(removed) <= 1
    today = [line for line in log if "pruned" in line]
    assert today == [
        f"INFO: pruned {len(removed)} backup(s)" + (" not covered by keep-retention policy" if removed else "")
    ]
    _, log = past.backup(220, prune__backups="keep-last=3")
    assert len(past.content(vmid=220)) == 3
    assert "INFO: pruned 12 backup(s) not covered by keep-retention policy" in log
    assert len({one["volid"] for one in past.content(vmid=210)} | before) == 15


def test_the_storages_retention_counts_when_the_job_says_nothing(lab: BackupSite) -> None:
    lab.data("PUT", "/storage/backup-hdd", **{"prune-backups": "keep-last=3,keep-weekly=2"})
    assert "INFO: prune older backups with retention: keep-last=3, keep-weekly=2" in lab.backup(210)[1]
    assert not [
        line
        for line in lab.backup(220, prune__backups="keep-all=1")[1]
        if "prun" in line.lower() and not line.startswith("INFO: starting new")
    ]


def test_without_pruning_the_sum_of_the_retention_is_a_limit() -> None:
    past = make_site(archives=True)
    status, log = past.backup(210, prune__backups="keep-daily=14", remove=0)
    assert status == "job errors"
    told = "ERROR: Backup of VM 210 failed - There is a max backup limit of 14"
    assert [line for line in log if line.startswith(told)]


def test_defaults_of_a_storage(lab: BackupSite) -> None:
    found = lab.data("GET", "/nodes/pve1/vzdump/defaults", "audit", storage="backup-hdd")
    assert (found["compress"], found["mode"], found["dumpdir"], found["prune-backups"]) == (
        "0",
        "snapshot",
        DUMP,
        "keep-all=1",
    )
    assert "ionice" in found
    assert "notification-policy" not in found
    assert make_site("8.4").data("GET", "/nodes/pve1/vzdump/defaults", storage="backup-hdd")["notification-policy"]
    refused = lab.ask("GET", "/nodes/pve1/vzdump/defaults")
    assert (refused.status, refused.reason) == (500, "can't use storage 'local' for backups - wrong content type")
    assert lab.ask("GET", "/nodes/pve1/vzdump/defaults", "nobody", storage="backup-hdd").status == 403


def test_the_configuration_in_an_archive_needs_both_rights(lab: BackupSite) -> None:
    lab.backup(210)
    volid = lab.content(vmid=210)[0]["volid"]
    config = lab.data("GET", "/nodes/pve1/vzdump/extractconfig", "drill", volume=volid)
    assert config.splitlines()[0] == "agent: 1"
    refused = lab.ask("GET", "/nodes/pve1/vzdump/extractconfig", "audit", volume=volid)
    assert refused.reason == "Permission check failed (/storage/backup-hdd, Datastore.AllocateSpace)"


def test_a_truncated_archive_still_shows_its_configuration(lab: BackupSite) -> None:
    lab.hypervisor.disks["vmdata:vm-210-disk-0"].write_at(0, bytes(range(256)) * 2048)
    lab.backup(210, compress="0")
    volid = lab.content(vmid=210)[0]["volid"]
    path = f"{DUMP}/{volid.rpartition('/')[2]}"
    lab.hypervisor.node.write(path, lab.hypervisor.node.read(path)[:-70_000])
    assert "name: dns" in lab.data("GET", "/nodes/pve1/vzdump/extractconfig", volume=volid)


@pytest.mark.parametrize(
    ("content", "words"),
    [(b"", "zstd: {path}: unexpected end of file"), (b"\1\2\3\4" * 100, "zstd: {path}: unsupported format")],
)
def test_an_archive_whose_header_cannot_be_read(lab: BackupSite, content: bytes, words: str) -> None:
    path = f"{DUMP}/vzdump-qemu-210-2026_01_01-00_00_01.vma.zst"
    lab.hypervisor.node.write(path, content)
    refused = lab.ask("GET", "/nodes/pve1/vzdump/extractconfig", volume=f"backup-hdd:backup/{path.rpartition('/')[2]}")
    assert refused.status == 500
    assert refused.reason.strip() == "Failed to extract config from VMA archive: " + words.format(path=path)
    missing = "backup-hdd:backup/vzdump-qemu-210-2020_01_01-00_00_00.vma.zst"
    refused = lab.ask("GET", "/nodes/pve1/vzdump/extractconfig", volume=missing)
    assert refused.reason == f"volume '{missing}' does not exist"
    assert lab.ask("GET", "/nodes/pve1/vzdump/extractconfig", volume="/mnt/x.vma").reason.startswith(
        "Only root can pass arbitrary filesystem paths."
    )


def test_the_journal_names_the_daemon_that_asked(lab: BackupSite) -> None:
    lab.backup("210,999")
    lines = [(entry.identifier, entry.message, entry.priority) for entry in lab.hypervisor.node.log.entries]
    assert ("pvedaemon", "INFO: Starting Backup of VM 210 (qemu)", 6) in lines
    assert ("pvedaemon", "ERROR: Backup of VM 999 failed - unable to find VM '999'", 3) in lines
    assert any(message.startswith("<root@pam!suite> end task UPID") for _, message, _ in lines)


def test_the_scheduler_runs_what_is_due_as_root_and_drops_what_was_missed(lab: BackupSite) -> None:
    for name in list(lab.site.jobs):
        lab.data("DELETE", f"/cluster/backup/{name}")
    lab.data(
        "POST",
        "/cluster/backup",
        id="often",
        vmid="210",
        storage="backup-hdd",
        schedule="*:*",
        compress="zstd",
        **{"prune-backups": "keep-last=2"},
    )
    scheduler = Scheduler(lab.site)
    lab.hypervisor.node.skew += 3600
    assert scheduler.tick() == []
    lab.hypervisor.node.skew += 90
    (upid,) = scheduler.tick()
    done = lab.site.tasks.wait(upid)
    assert (done.user, done.status) == ("root@pam", "OK")
    assert re.match(r"INFO: starting new backup job: vzdump 210 .*--quiet 1", done.log[0])
    assert scheduler.tick() == []
    lines = [(entry.identifier, entry.message) for entry in lab.hypervisor.node.log.entries]
    assert ("pvescheduler", "INFO: Backup job finished successfully") in lines
    assert not [message for _, message in lines if message.startswith("<root@pam> end task")]


def test_the_lab_s_own_folder_of_archives_is_where_its_storage_says(lab: BackupSite) -> None:
    assert storages.folder(lab.site.storage("backup-hdd"), "backup") == DUMP == seed.DUMP
    assert lab.hypervisor.volumes()["vmdata:vm-210-disk-0"] == DISK
