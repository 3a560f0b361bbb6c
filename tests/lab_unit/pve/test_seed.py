"""The lab's own site and its past."""

import itertools
import json
import re
from datetime import datetime
from typing import Any, get_args
from zoneinfo import ZoneInfo

import pytest

from lab.pve import archive_names, seed, tasks
from lab.pve.releases import Version
from lab.pve.seed_access import Secrets
from lab.pve.site import Site

BERLIN = ZoneInfo("Europe/Berlin")
NOON = int(datetime(2026, 11, 24, 12, 0, tzinfo=BERLIN).timestamp())
SECRETS = Secrets("audit-secret", "drill-secret", "root-secret")


class Clock:
    """A node of which only the clock is asked."""

    name = "pve1"

    def __init__(self, now: int) -> None:
        self._now = now

    def now(self) -> int:
        return self._now


class Machinery:
    """Machinery that only has a clock."""

    def __init__(self, now: int) -> None:
        self.node = Clock(now)


def seeded(now: int = NOON, version: Version = "9.2") -> Site:
    site = Site(Machinery(now), version)
    seed.seed(site, now, SECRETS)
    return site


def nights(now: int, count: int = 16) -> list[str]:
    found = seed.past(BERLIN).nights(now, count)
    return [datetime.fromtimestamp(moment, BERLIN).strftime("%m-%d %H:%M") for moment in found]


@pytest.mark.parametrize(
    ("clock", "last"),
    [
        ("2026-11-24T12:00", "11-24 02:00"),
        ("2026-11-24T02:30", "11-23 02:00"),
        ("2026-11-24T03:00", "11-24 02:00"),
        ("2026-12-01T01:00", "11-30 02:00"),
        ("2026-03-29T12:00", "03-28 02:00"),
        ("2026-10-25T12:00", "10-25 02:00"),
    ],
)
def test_the_past_ends_with_the_last_settled_night(clock: str, last: Any) -> None:
    assert nights(int(datetime.fromisoformat(clock).replace(tzinfo=BERLIN).timestamp()))[-1] == last


def test_sixteen_nights_of_tasks_and_fourteen_of_archives() -> None:
    runs = [task for task in seeded().tasks.all() if task.type == "vzdump"]
    archives = [file for file in seed.node_files(NOON) if file.archive is not None]
    assert len(runs) == 16 * 5
    assert len(archives) == 14 * 5
    assert {task.id for task in runs} == {"100", "200", "210", "220", "230"}
    assert {(task.user, task.status) for task in runs} == {("root@pam", "OK")}


def test_a_task_of_the_past_reads_like_a_scheduled_one() -> None:
    newest = next(task for task in seeded().tasks.all() if task.id == "210")
    assert tasks.UPID.fullmatch(newest.upid)
    assert newest.tokenid == ""
    start = next(line for line in newest.log if line.startswith("INFO: starting new backup job"))
    assert re.search(r"vzdump 210 .*--quiet 1.*--prune-backups 'keep-daily=14'", start)
    assert newest.log[-1] == "TASK OK"
    assert "INFO: issuing guest-agent 'fs-freeze' command" in newest.log


def test_backups_of_a_night_wait_for_each_other() -> None:
    night = list(seed.past(BERLIN).runs(NOON, seed.subjects()))[-5:]
    assert len({run.start for run in night}) == 1
    assert all(later.begin > earlier.end for earlier, later in itertools.pairwise(night))
    assert night[1].log[0][1] == "INFO: trying to get global lock - waiting..."


def test_the_log_names_the_archives_that_retention_removed_that_night() -> None:
    files = {file.path.rpartition("/")[2] for file in seed.node_files(NOON)}
    newest = next(task for task in seeded().tasks.all() if task.id == "100")
    removed = [line for line in newest.log if "removing backup" in line]
    assert len(removed) == 1
    name = archive_names.read(removed[0].rpartition("/")[2].rstrip("'"), BERLIN)
    assert name is not None
    assert name.vmid == 100
    assert name.file not in files


def test_every_archive_has_its_log_and_notes_and_ends_after_it_began() -> None:
    files = {file.path: file for file in seed.node_files(NOON)}
    for path, file in files.items():
        if file.archive is None:
            continue
        name = archive_names.read(path.rpartition("/")[2], BERLIN)
        assert name.ctime < file.mtime < NOON
        assert archive_names.log_of(path) in files
        assert files[f"{path}.notes"].data.decode() in {"golden-template", "docker-host", "dns", "monitoring", "files"}


def test_state_files_name_the_last_task() -> None:
    site = seeded()
    state = next(file for file in seed.node_files(NOON) if file.path.endswith("vzdump-nightly-vm200.json"))
    assert site.tasks.get(json.loads(state.data)["upid"]).status == "OK"


def test_the_journal_has_no_end_of_scheduled_tasks() -> None:
    lines = seed.journal(NOON)
    assert {line.identifier for line in lines} == {"pvescheduler"}
    assert not [line for line in lines if "end task" in line.message]
    assert sum("starting task UPID" in line.message for line in lines) == 80
    assert [line.when for line in lines] == sorted(line.when for line in lines)


def test_a_week_later_the_past_has_moved_on() -> None:
    week = NOON + 7 * 86400
    old = {file.path for file in seed.node_files(NOON) if file.archive}
    new = {file.path for file in seed.node_files(week) if file.archive}
    assert len(old & new) == 7 * 5
    assert nights(week)[-1] == "12-01 02:00"


@pytest.mark.parametrize("version", get_args(Version))
def test_the_auditor_can_write_nothing(version: Version) -> None:
    held = seeded(version=version).access.permissions("audit@pve!suite", "/vms/200")
    assert {"VM.Audit", "Sys.Audit", "Datastore.Audit"} <= held.keys()
    assert not {priv for priv in held if priv.endswith((".Modify", ".Allocate", ".AllocateSpace", ".Backup"))}


@pytest.mark.parametrize("version", get_args(Version))
def test_the_driller_may_not_touch_production(version: Version) -> None:
    access = seeded(version=version).access
    for vmid in (100, 200, 210, 220, 230):
        assert set(access.permissions("drill@pve!suite", f"/vms/{vmid}")) == {"VM.Audit", "VM.Backup"}
    assert "VM.Allocate" not in access.permissions("drill@pve!suite", "/vms/101"), "rights on a VMID go with its guest"
    assert {"VM.Allocate", "VM.PowerMgmt"} <= access.permissions("drill@pve!suite", "/pool/drill").keys()
    agent = "VM.GuestAgent.Unrestricted" if version == "9.2" else "VM.Monitor"
    assert agent in access.permissions("drill@pve!suite", "/pool/drill")
    asks_for_bridges = version != "7.4"
    assert ("SDN.Use" in access.permissions("drill@pve!suite", "/sdn/zones/localnetwork/vmbr9")) is asks_for_bridges
    assert "SDN.Use" not in access.permissions("drill@pve!suite", "/sdn/zones/localnetwork/vmbr5")


def test_configurations_are_written_in_the_order_of_their_files() -> None:
    files = {file.path: file.data.decode() for file in seed.config_files(NOON)}
    keys = [line.partition(":")[0] for line in files["/etc/pve/qemu-server/200.conf"].splitlines()]
    assert keys == sorted(keys)
    assert "virtio0: vmdata:vm-200-disk-0,size=" in files["/etc/pve/qemu-server/200.conf"]
    assert "template: 1" in files["/etc/pve/qemu-server/100.conf"]
    assert files["/etc/pve/jobs.cfg"].count("vzdump: nightly-vm") == 5
    assert "\tis_mountpoint 1\n" in files["/etc/pve/storage.cfg"]
