"""Backups that are refused, that wait, and that are cancelled."""

from typing import Any

import pytest

from lab.waiting import until
from tests.lab_unit.pve.backupsite import BackupSite, make_site
from tests.lab_unit.pve.test_backups import NOT_FOR_BACKUPS, NOT_MOUNTED, run_guest


@pytest.fixture
def lab() -> BackupSite:
    return make_site()


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
