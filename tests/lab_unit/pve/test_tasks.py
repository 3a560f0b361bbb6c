"""Tasks: their life, their list and its filters, their log and its pages."""

from __future__ import annotations

import threading

import pytest

from lab.pve.site import Site
from lab.pve.tasks import UPID, TaskError, TaskLog
from tests.lab_unit.pve.stubs import ROOT, ask, bare_site, data

TOKEN = "PVEAPIToken=drill@pve!suite=s"
USER = "root@pam!suite"


@pytest.fixture
def site() -> Site:
    site = bare_site()
    site.access.add_user("drill@pve")
    site.access.add_token("drill@pve", "suite", "s")
    return site


def ran(site: Site, worker: object, user: str = USER, kind: str = "qmstart") -> str:
    upid = site.tasks.start(user, kind, 100, worker)  # type: ignore[arg-type]
    site.tasks.wait(upid, 5)
    return upid


def status(site: Site, upid: str) -> str:
    shown = data(site, "GET", f"/nodes/pve1/tasks/{upid}/status")
    assert shown["status"] == "stopped"
    return str(shown["exitstatus"])


def lines(site: Site, upid: str, **params: object) -> list[str]:
    return [line["t"] for line in data(site, "GET", f"/nodes/pve1/tasks/{upid}/log", **params)]


def failing(_log: TaskLog) -> None:
    raise TaskError("VM is locked (backup)")


def warning(log: TaskLog) -> None:
    log.warning("could not add notes")


def test_a_task_ends_with_what_happened(site: Site) -> None:
    good = ran(site, lambda log: log("hello"))
    assert UPID.fullmatch(good)
    assert (status(site, good), lines(site, good)) == ("OK", ["hello", "TASK OK"])
    bad = ran(site, failing)
    assert (status(site, bad), lines(site, bad)) == ("VM is locked (backup)", ["TASK ERROR: VM is locked (backup)"])
    warned = ran(site, warning)
    assert (status(site, warned), lines(site, warned)[-1]) == ("WARNINGS: 1", "TASK WARNINGS: 1")


def test_the_exit_status_is_one_line(site: Site) -> None:
    def worker(_log: TaskLog) -> None:
        raise TaskError("first\nsecond\n")

    assert status(site, ran(site, worker)) == "first second"


def test_a_stopped_task_is_interrupted_by_signal(site: Site) -> None:
    begun, go = threading.Event(), threading.Event()

    def worker(log: TaskLog) -> None:
        log("begun")
        begun.set()
        go.wait(5)
        log("never seen")

    upid = site.tasks.start(USER, "vzdump", 200, worker)
    assert begun.wait(5)
    running = data(site, "GET", f"/nodes/pve1/tasks/{upid}/status")
    assert running["status"] == "running"
    assert "exitstatus" not in running
    active = data(site, "GET", "/nodes/pve1/tasks", source="active")
    assert [(task["upid"], task["status"], task["user"]) for task in active] == [(upid, "RUNNING", "root@pam!suite")]
    assert data(site, "GET", "/nodes/pve1/tasks") == []
    site.tasks.stop(upid)
    go.set()
    site.tasks.wait(upid, 5)
    assert status(site, upid) == "interrupted by signal"
    assert lines(site, upid) == ["begun", "TASK ERROR: interrupted by signal"]


def test_start_and_end_stand_in_the_journal(site: Site) -> None:
    upid = ran(site, lambda log: log("x"))
    site.tasks.wait(upid)
    assert (
        site.hypervisor.node.lines
        == [  # type: ignore[attr-defined]
            ("pvedaemon", f"<{USER}> starting task {upid}"),
            ("pvedaemon", f"<{USER}> end task {upid} OK"),
        ]
        or site.hypervisor.node.lines[0][0] == "pvescheduler"
    )  # type: ignore[attr-defined]


def test_a_log_is_read_in_pages(site: Site) -> None:
    upid = ran(site, lambda log: [log(f"line {number}") for number in range(1, 101)])
    assert len(lines(site, upid)) == 50
    assert len(lines(site, upid, limit=0)) == 101
    got = ask(site, "GET", f"/nodes/pve1/tasks/{upid}/log", start=99, limit=5)
    assert got.body == {"data": [{"n": 100, "t": "line 100"}, {"n": 101, "t": "TASK OK"}], "total": 101}


def test_an_unknown_task(site: Site) -> None:
    upid = "UPID:pve1:000004B0:393AB996:6B052B2D:qmstart:100:root@pam:"
    gone = ask(site, "GET", f"/nodes/pve1/tasks/{upid}/status")
    assert gone.body
    assert (gone.status, gone.body["errors"]) == (400, {"upid": "no such task"})
    assert lines(site, upid) == ["unable to open file - No such file or directory"]
    bad = ask(site, "GET", "/nodes/pve1/tasks/UPID:nonsense/status")
    assert bad.body
    assert (bad.status, bad.body["errors"]) == (400, {"upid": "unable to parse worker upid"})


@pytest.fixture
def past(site: Site) -> Site:
    now = site.now()
    for index, outcome in enumerate(("OK", "job errors", "WARNINGS: 2", "unexpected status")):
        site.tasks.add_history(
            "root@pam", "vzdump", "210", span=(now - 1000 + index, now - 900 + index), status=outcome, log=["INFO: x"]
        )
    site.tasks.add_history("drill@pve!suite", "qmrestore", "201", span=(now - 10, now - 5), status="OK", log=[])
    site.tasks.add_history("drill@pve", "vzdump", "", span=(now - 4, now - 3), status="OK", log=[])
    return site


def found(site: Site, token: str = "", **params: object) -> list[str]:
    tasks = data(site, "GET", "/nodes/pve1/tasks", token or ROOT, **params)
    return [f"{task['type']}:{task['id']}:{task['status']}" for task in tasks]


def test_filters_of_the_list(past: Site) -> None:
    assert found(past)[:2] == ["vzdump::OK", "qmrestore:201:OK"]
    assert len(found(past, vmid=210)) == 4
    assert found(past, errors=1) == ["vzdump:210:unexpected status", "vzdump:210:WARNINGS: 2", "vzdump:210:job errors"]
    assert found(past, statusfilter="warning,unknown") == ["vzdump:210:unexpected status", "vzdump:210:WARNINGS: 2"]
    assert found(past, typefilter="qmrestore") == ["qmrestore:201:OK"]
    assert len(found(past, userfilter="DRILL")) == 2
    assert len(found(past, since=past.now() - 10)) == 2
    assert found(past, until=past.now() - 1000) == ["vzdump:210:OK"]


def test_total_counts_matches_and_is_missing_when_there_are_none(past: Site) -> None:
    got = ask(past, "GET", "/nodes/pve1/tasks", limit=1, start=1, typefilter="vzdump")
    assert got.body
    assert (len(got.body["data"]), got.body["total"]) == (1, 5)
    assert found(past, limit=0) == []
    none = ask(past, "GET", "/nodes/pve1/tasks", typefilter="qmclone")
    assert none.body == {"data": []}


def test_a_token_sees_only_what_it_started_itself(past: Site) -> None:
    assert found(past, TOKEN) == ["qmrestore:201:OK"]
    past.access.add_token("drill@pve", "other", "o", privsep=0)
    assert found(past, "PVEAPIToken=drill@pve!other=o") == []
    for who in ("drill@pve", "drill@pve!suite"):
        past.access.grant("/nodes", who, "PVEAuditor")
    assert len(found(past, TOKEN)) == 6


def test_a_finished_task_of_a_token_shows_user_and_token_apart(past: Site) -> None:
    task = data(past, "GET", "/nodes/pve1/tasks", typefilter="qmrestore")[0]
    assert (task["user"], task["tokenid"]) == ("drill@pve", "suite")


def test_foreign_tasks_need_sys_audit(past: Site) -> None:
    upid = data(past, "GET", "/nodes/pve1/tasks", vmid=210)[0]["upid"]
    for what in ("status", "log"):
        got = ask(past, "GET", f"/nodes/pve1/tasks/{upid}/{what}", TOKEN)
        assert (got.status, got.reason) == (403, "Permission check failed (/nodes/pve1, Sys.Audit)")
    got = ask(past, "DELETE", f"/nodes/pve1/tasks/{upid}", TOKEN)
    assert (got.status, got.reason) == (403, "Permission check failed (/nodes/pve1, Sys.Modify)")
