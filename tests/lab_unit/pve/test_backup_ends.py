"""What follows a backup: pruning, defaults, what its archive shows, the journal, the scheduler."""

import re

import pytest

from lab.pve import seed, storages
from lab.pve.scheduler import Scheduler
from tests.lab_unit.pve.backupsite import DISK, DUMP, BackupSite, make_site


@pytest.fixture
def lab() -> BackupSite:
    return make_site()


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
