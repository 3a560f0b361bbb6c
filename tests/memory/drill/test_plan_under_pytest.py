"""``pytest drills --plan`` and ``--restore-point`` as an operator runs them, against the site in memory."""

from __future__ import annotations

import itertools
import json

import pytest

from tests.drillground import Ground
from tests.memory.drill.conftest import run

pytest_plugins = ["pytester"]


def test_a_plan_says_everything_and_touches_nothing(ground: Ground, project: pytest.Pytester) -> None:
    site = ground.lab.site
    before = (len(site.tasks.all()), {vmid: dict(guest.config) for vmid, guest in site.guests.items()})
    done = run(ground, project, "--plan")
    assert done.ret == 0, done.stdout.str()
    text = done.stdout.str()
    for said in (
        "drill  guest 210 (dns) → 211 on pve1 from vzdump-qemu-210-",
        "archive   backup-hdd:backup/vzdump-qemu-210-",
        "1.0 GiB of disks on vmdata",
        "256 MiB on pve1",
        "assumed 30 MB/s",
        "as root   ip netns add drill211",
        "changes   net0: virtio=BC:24:11:00:02:10,bridge=vmbr0",
        "next backup run:",
        "drills begin until",
    ):
        assert said in text, said
    assert "AGAINST" not in text
    assert (len(site.tasks.all()), {vmid: dict(guest.config) for vmid, guest in site.guests.items()}) == before
    assert ground.nothing_left
    assert not [path for path in ground.reports.iterdir() if path.is_dir()], "a plan leaves no run"


def test_a_plan_names_what_is_against_a_drill_and_ends_with_1(ground: Ground, project: pytest.Pytester) -> None:
    site = ground.lab.site
    upid = ground.lab.data("POST", "/nodes/pve1/qemu", "root", vmid=211, name="somebody-elses", memory=64)
    site.tasks.wait(upid)
    site.access.roles["RestoreDrill"] -= {"VM.PowerMgmt"}
    done = run(ground, project, "--plan", "-n", "2")
    assert done.ret == 1
    text = done.stdout.str()
    assert "AGAINST   the drill may not begin: VMID 211 is taken" in text
    assert "AGAINST   the drill token lacks VM.PowerMgmt on /pool/drill (to start and stop the copy)" in text


def test_a_plan_tells_the_time_of_earlier_drills(ground: Ground, project: pytest.Pytester) -> None:
    folder = ground.reports / "20261101T000000Z-drill"
    folder.mkdir(parents=True)
    record = {"guest": 210, "outcome": "passed", "mb_per_s": 50.0, "steps": [{"seconds": 70.0}, {"seconds": 20.0}]}
    (folder / "drills.jsonl").write_text(json.dumps(record) + "\n", encoding="utf-8")
    text = run(ground, project, "--plan").stdout.str()
    assert "1 min 30 s (median of 1 drill(s) of this guest)" in text
    assert "measured 50 MB/s, the rest assumed" in text


def test_an_older_restore_point_is_another_row_than_rst_01_and_replays_as_such(
    ground: Ground, project: pytest.Pytester
) -> None:
    done = run(ground, project, "--restore-point", "oldest", "-k", "210")
    (folder,) = (path for path in ground.reports.iterdir() if path.is_dir())
    rows = [json.loads(line) for line in (folder / "verdicts.jsonl").read_text().splitlines()]
    rules = {row["rule"]: row["outcome"] for row in rows}
    assert "RST-01" not in rules
    assert rules["RST-08"] == "pass", done.stdout.str()
    assert done.ret == 0
    project.runpytest_inprocess(f"--replay={folder}", f"--run-dir={ground.reports.parent}", "-p", "no:cacheprovider")
    (replayed,) = (path for path in ground.reports.iterdir() if path.is_dir() and path != folder)
    again = [json.loads(line) for line in (replayed / "verdicts.jsonl").read_text().splitlines()]
    assert {(row["rule"], row["outcome"]) for row in again} == {(row["rule"], row["outcome"]) for row in rows}


def test_workers_restore_one_after_another_onto_one_storage(ground: Ground, project: pytest.Pytester) -> None:
    done = run(ground, project, "-n", "3", "-k", "restores_into or is_deleted")
    assert done.ret == 0, done.stdout.str()
    tasks = ground.lab.data("GET", "/nodes/pve1/tasks", "root", source="all", limit=500)
    restores = [task for task in tasks if task["type"] in {"qmrestore", "vzrestore"}]
    spans = sorted((task["starttime"], task["endtime"]) for task in restores)
    assert len(spans) == 5
    assert all(ends <= begins for (_begun, ends), (begins, _ends) in itertools.pairwise(spans))
    assert ground.nothing_left, ground.left_behind
