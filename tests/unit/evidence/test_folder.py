"""A run's folder."""

from __future__ import annotations

import datetime as dt
from dataclasses import replace
from pathlib import Path

import pytest

from backup_standard.evidence import folder as module
from backup_standard.evidence.folder import RunFolder
from backup_standard.evidence.verdicts import Outcome, Planned, Verdict

WHEN = dt.datetime(2026, 11, 24, 4, 15, tzinfo=dt.timezone(dt.timedelta(hours=1)))
ROW = Planned("t.py::a[210]", "STO-02", "storage s", "A title", "must", "minimum", "because")


def test_a_run_is_named_after_its_moment_in_utc_and_its_kind(tmp_path: Path) -> None:
    first = RunFolder.create(tmp_path, "acme", "audit", WHEN)
    second = RunFolder.create(tmp_path, "acme", "audit", WHEN)
    assert first.path == tmp_path / "acme" / "20261124T031500Z-audit"
    assert second.id == "20261124T031500Z-audit-2"


def test_plan_verdicts_and_record(tmp_path: Path) -> None:
    run = RunFolder.create(tmp_path, "acme", "drill", WHEN)
    assert (run.plan(), run.verdicts(), run.run(), run.not_covered(), run.drills()) == ([], [], {}, [], [])
    run.write_plan([ROW], [{"vmid": 1, "guest": "g", "reason": "r"}])
    verdict = Verdict(**ROW.to_json(), outcome=Outcome.PASS, observed={"path": "/mnt"})
    run.add_verdict(verdict)
    run.write_run({"started": WHEN})
    assert run.plan() == [ROW]
    assert run.not_covered() == [{"vmid": 1, "guest": "g", "reason": "r"}]
    assert run.verdicts() == [verdict]
    assert run.run() == {"started": "2026-11-24T04:15:00+01:00"}
    assert not list(run.path.glob(".*"))


def test_a_line_cut_short_by_a_crash_is_left_out(tmp_path: Path) -> None:
    run = RunFolder.create(tmp_path, "acme", "drill", WHEN)
    (run.path / "drills.jsonl").write_text('{"vmid":210}\n{"vmi')
    assert run.drills() == [{"vmid": 210}]


def test_inventory_is_copied_and_everything_can_be_removed(tmp_path: Path) -> None:
    source = tmp_path / "acme.yaml"
    source.write_text("client: acme\n")
    run = RunFolder.create(tmp_path, "acme", "audit", WHEN)
    run.keep_inventory(source)
    assert run.inventory.read_text() == "client: acme\n"
    run.remove()
    assert not run.path.exists()


def test_no_folder_is_ever_shared(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "range", lambda *_: [1], raising=False)
    RunFolder.create(tmp_path, "acme", "audit", WHEN)
    with pytest.raises(FileExistsError):
        RunFolder.create(tmp_path, "acme", "audit", WHEN)


def test_only_whole_audits_that_came_to_an_end_are_earlier_audits(tmp_path: Path) -> None:
    started = dt.datetime(2026, 11, 24, 3, 15, tzinfo=dt.UTC)
    records = {
        "whole": {"kind": "audit", "partial": False, "finished": started},
        "part": {"kind": "audit", "partial": True, "finished": started},
        "drill": {"kind": "drill", "partial": False, "finished": started},
        "aborted": {},
    }
    for offset, record in enumerate(records.values()):
        RunFolder.create(tmp_path, "acme", "audit", started - dt.timedelta(days=offset)).write_run(record)
    broken = RunFolder.create(tmp_path, "acme", "audit", started - dt.timedelta(days=9))
    (broken.path / "run.json").write_text("{")
    ours = RunFolder.create(tmp_path, "acme", "audit", started + dt.timedelta(days=1))
    ours.write_run(records["whole"])
    assert ours.earlier_audits() == (started,)


def test_runs_that_began_and_have_not_ended_are_named_with_how_far_they_came(tmp_path: Path) -> None:
    day = dt.timedelta(days=1)
    ended = RunFolder.create(tmp_path, "acme", "drill", WHEN - 4 * day)
    ended.write_run({"finished": WHEN})
    RunFolder.create(tmp_path, "acme", "drill", WHEN - 3 * day)
    killed = RunFolder.create(tmp_path, "acme", "drill", WHEN - 2 * day)
    killed.write_plan([ROW, replace(ROW, item="t.py::b[210]")])
    killed.add_verdict(Verdict(**ROW.to_json(), outcome=Outcome.PASS))
    broken = RunFolder.create(tmp_path, "acme", "audit", WHEN - day)
    (broken.path / "plan.json").write_text("{")
    ours = RunFolder.create(tmp_path, "acme", "drill", WHEN)
    RunFolder.create(tmp_path, "acme", "drill", WHEN + day)
    assert [line.split(": ", 1)[1] for line in ours.unfinished()] == [
        "nothing was planned yet", "1 of 2 planned rows were judged", "its plan cannot be read",
    ]  # fmt: skip
