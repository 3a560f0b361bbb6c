"""Backup jobs over the API: what is accepted, converted, shown and refused."""

import json
from typing import Any

import pytest

from lab.pve.dispatch import Answer
from tests.lab_unit.pve.backupsite import BackupSite, make_site

BASE = {"storage": "backup-hdd", "mode": "snapshot", "compress": "zstd", "enabled": 1}


@pytest.fixture
def lab() -> BackupSite:
    return make_site()


def create(lab: BackupSite, job_id: str | None = "j1", who: str = "admin", **params: Any) -> Answer:
    given = {**BASE, "id": job_id, "vmid": "200", **params}
    return lab.ask("POST", "/cluster/backup", who, **{key: value for key, value in given.items() if value is not None})


def job(lab: BackupSite, job_id: str | None = "j1") -> dict[str, Any]:
    return lab.data("GET", f"/cluster/backup/{job_id}")


def test_the_lab_has_five_nightly_jobs(lab: BackupSite) -> None:
    listed = lab.data("GET", "/cluster/backup", "audit")
    assert [one["id"] for one in listed] == [f"nightly-vm{vmid}" for vmid in (100, 200, 210, 220, 230)]
    one = listed[1]
    assert one["prune-backups"] == {"keep-daily": "14"}
    assert (one["vmid"], one["enabled"], one["schedule"], one["type"]) == ("200", 1, "02:00", "vzdump")
    assert one["next-run"] > lab.site.now()


def test_the_next_run_is_in_the_list_alone_and_for_disabled_jobs_too(lab: BackupSite) -> None:
    lab.data("PUT", "/cluster/backup/nightly-vm200", enabled=0)
    listed = {one["id"]: one for one in lab.data("GET", "/cluster/backup")}
    assert "next-run" in listed["nightly-vm200"]
    assert "next-run" not in job(lab, "nightly-vm200")


def test_numbers_of_retention_are_text_except_keep_all(lab: BackupSite) -> None:
    create(lab, schedule="daily", prune__backups="keep-last=3,keep-weekly=2")
    assert job(lab)["prune-backups"] == {"keep-last": "3", "keep-weekly": "2"}
    create(
        lab,
        "j2",
        schedule="daily",
        prune__backups="keep-all=1",
        performance="max-workers=2",
        fleecing="enabled=1,storage=local",
    )
    shown = job(lab, "j2")
    assert shown["prune-backups"] == {"keep-all": 1}
    assert shown["performance"] == {"max-workers": "2"}
    assert shown["fleecing"] == {"enabled": 1, "storage": "local"}


def test_the_old_release_gives_the_switch_of_fleecing_as_text() -> None:
    old = make_site("8.4")
    create(old, schedule="daily", fleecing="enabled=1,storage=local", prune__backups="keep-all=1")
    assert job(old)["fleecing"] == {"enabled": "1", "storage": "local"}
    assert job(old)["prune-backups"] == {"keep-all": 1}


@pytest.mark.parametrize(
    ("days", "schedule"),
    [("mon,wed,fri", "mon,wed,fri 01:15"), (None, "01:15"), ("mon,tue,wed,thu,fri,sat,sun", "01:15")],
)
def test_days_and_start_time_become_a_schedule(lab: BackupSite, days: str | None, schedule: str) -> None:
    assert create(lab, dow=days, starttime="01:15").status == 200
    shown = job(lab)
    assert shown["schedule"] == schedule
    assert not {"dow", "starttime"} & shown.keys()
    lab.data("PUT", "/cluster/backup/j1", starttime="02:30", dow="mon,tue")
    assert job(lab)["schedule"] == "mon,tue 02:30"


def test_maxfiles_belongs_to_the_old_release(lab: BackupSite) -> None:
    refused = create(lab, schedule="daily", maxfiles=3)
    assert refused.status == 400
    assert "maxfiles" in refused.body["errors"]
    old = make_site("8.4")
    assert create(old, schedule="daily", maxfiles=3).status == 200
    assert job(old)["prune-backups"] == {"keep-last": "3"}
    assert "maxfiles" not in job(old)


@pytest.mark.parametrize(
    ("params", "status", "reason", "errors"),
    [
        (
            {"starttime": "01:15", "schedule": "daily"},
            400,
            "Parameter verification failed.",
            {"starttime": "'starttime' and 'schedule' cannot both be set"},
        ),
        ({}, 400, "Parameter verification failed.", {"schedule": "neither 'starttime' nor 'schedule' were set"}),
        (
            {"schedule": "every tuesday"},
            400,
            "Parameter verification failed.",
            {
                "schedule": "invalid format - invalid calendar event 'every tuesday' - "
                "unable to parse calendar event at 'every'"
                ' - Context("weekday")\n\n'
            },
        ),
        (
            {"schedule": "daily", "prune__backups": "keep-all=1,keep-last=2"},
            400,
            "Parameter verification failed.",
            {"prune-backups": "invalid format - keep-all cannot be set together with other options.\n"},
        ),
        (
            {"schedule": "daily", "compress": "xz"},
            400,
            "Parameter verification failed.",
            {"compress": "value 'xz' does not have a value in the enumeration '0, 1, gzip, lzo, zstd'"},
        ),
        ({"schedule": "daily", "all": 1}, 500, "400 Parameter verification failed.", None),
    ],
)
def test_refusals_read_as_recorded(
    lab: BackupSite, params: dict[str, Any], status: int, reason: str, errors: dict[str, str] | None
) -> None:
    refused = create(lab, **params)
    assert (refused.status, refused.reason) == (status, reason)
    assert refused.body.get("errors") == errors
    assert not [one for one in lab.data("GET", "/cluster/backup") if one["id"] == "j1"]


def test_a_conflict_inside_the_lock_says_400_in_a_500(lab: BackupSite) -> None:
    refused = create(lab, schedule="daily", all=1)
    assert refused.body["message"] == "400 Parameter verification failed.\nall: option conflicts with option 'vmid'\n"


def test_what_need_not_exist(lab: BackupSite) -> None:
    assert create(lab, "job-a", storage="nope", schedule="daily").status == 200
    assert create(lab, "job-b", storage="local", schedule="daily").status == 200
    assert create(lab, "job-c", vmid="999", schedule="daily").status == 200
    assert create(lab, "job-d", node="pve7", schedule="daily").status == 200
    assert create(lab, "job-e", schedule="2020-01-01 00:00").status == 200
    listed = {one["id"]: one for one in lab.data("GET", "/cluster/backup")}
    assert "next-run" not in listed["job-e"]


def test_missing_and_double_jobs(lab: BackupSite) -> None:
    assert lab.ask("GET", "/cluster/backup/nope").body["errors"] == {"id": "No such job 'nope'"}
    assert lab.ask("GET", "/cluster/backup/nope").status == 400
    put = lab.ask("PUT", "/cluster/backup/nope", enabled=1)
    assert (put.status, put.reason) == (500, "no such vzdump job")
    gone = lab.ask("DELETE", "/cluster/backup/nope")
    assert (gone.status, gone.reason) == (500, "400 Parameter verification failed.")
    assert gone.body["message"] == "400 Parameter verification failed.\nid: No such job 'nope'\n"
    create(lab, schedule="daily")
    again = create(lab, schedule="daily")
    assert (again.status, again.reason) == (500, "Job 'j1' already exists")


def test_a_job_without_an_id_gets_one_and_the_answer_does_not_tell_it(lab: BackupSite) -> None:
    assert create(lab, None, schedule="sat 04:00").body["data"] is None
    new = lab.data("GET", "/cluster/backup")[-1]
    assert len(new["id"]) == 36


def test_selecting_otherwise_replaces_the_selection(lab: BackupSite) -> None:
    create(lab, schedule="daily")
    lab.data("PUT", "/cluster/backup/j1", all=1, exclude="210")
    assert (job(lab)["all"], job(lab)["exclude"]) == (1, "210")
    assert "vmid" not in job(lab)
    lab.data("PUT", "/cluster/backup/j1", vmid="100")
    assert not {"all", "exclude"} & job(lab).keys()
    lab.data("PUT", "/cluster/backup/j1", comment="x")
    lab.data("PUT", "/cluster/backup/j1", delete="comment")
    assert "comment" not in job(lab)


@pytest.mark.parametrize(
    ("method", "path", "who", "reason"),
    [
        ("GET", "/cluster/backup", "nobody", "Permission check failed (/, Sys.Audit)"),
        ("GET", "/cluster/backup/nightly-vm200/included_volumes", "nobody", "Permission check failed (/, Sys.Audit)"),
        ("DELETE", "/cluster/backup/nightly-vm200", "audit", "Permission check failed (/, Sys.Modify)"),
    ],
)
def test_who_may_not(lab: BackupSite, method: str, path: str, who: str, reason: str) -> None:
    refused = lab.ask(method, path, who)
    assert (refused.status, refused.reason) == (403, reason)


def test_options_for_root_alone(lab: BackupSite) -> None:
    refused = create(lab, schedule="daily", tmpdir="/tmp")
    assert refused.body["errors"] == {"tmpdir": "Only root may set this option."}


def test_the_node_sees_the_jobs_as_files(lab: BackupSite) -> None:
    create(lab, schedule="21:00")
    assert "vzdump: j1\n\tschedule 21:00\n" in lab.hypervisor.node.read("/etc/pve/jobs.cfg").decode()
    path = "/var/lib/pve-manager/jobs/vzdump-j1.json"
    state = json.loads(lab.hypervisor.node.read(path))
    assert state["state"] == "created"
    lab.data("PUT", "/cluster/backup/j1", schedule="22:00")
    state = json.loads(lab.hypervisor.node.read(path))
    assert state["updated"]
    assert state["config"] == {"enabled": 1, "schedule": "22:00"}
    lab.data("DELETE", "/cluster/backup/j1")
    with pytest.raises(FileNotFoundError):
        lab.hypervisor.node.read(path)


def test_purging_a_guest_takes_it_out_of_jobs(lab: BackupSite) -> None:
    create(lab, "both", vmid="9001,9002", schedule="daily")
    create(lab, "alone", vmid="9001", schedule="daily")
    lab.add_guest(9001)
    status, _ = lab.task("DELETE", "/nodes/pve1/qemu/9001", purge=1)
    assert status == "OK"
    assert job(lab, "both")["vmid"] == "9002"
    assert lab.ask("GET", "/cluster/backup/alone").status == 400


def test_schedules_are_analyzed_in_the_zone_of_the_node(lab: BackupSite) -> None:
    lab.site.timezone = "Europe/Berlin"
    found = lab.data(
        "GET", "/cluster/jobs/schedule-analyze", "nobody", schedule="02:00", starttime=1_774_604_800, iterations=3
    )
    assert [one["utc"] for one in found] == [
        "Sat Mar 28 01:00:00 2026",
        "Mon Mar 30 00:00:00 2026",
        "Tue Mar 31 00:00:00 2026",
    ]
    assert len(lab.data("GET", "/cluster/jobs/schedule-analyze", schedule="daily")) == 10
    assert lab.ask("GET", "/cluster/jobs/schedule-analyze", schedule="daily", iterations=101).status == 400
