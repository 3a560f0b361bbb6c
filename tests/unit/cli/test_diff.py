"""``diff`` tells what changed between two runs, and nothing that changes every day."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from backup_standard import cli
from backup_standard.evidence.folder import RunFolder
from backup_standard.evidence.verdicts import Outcome, Planned, Verdict
from backup_standard.model import Facts, Gap
from backup_standard.model.codec import facts_to_json
from tests.rules import builders as b

Row = tuple[str, str, Outcome, str]
Make = Callable[..., Path]
PASS, FAIL = Outcome.PASS, Outcome.FAIL
SOUND: list[Row] = [("VER-02", "VM 210 (dns)", PASS, ""), ("STO-02", "storage backup-hdd on node pve1", PASS, "")]


@pytest.fixture
def run(tmp_path: Path) -> Make:
    """Makes the folder of a run."""
    made = dt.datetime(2026, 11, 24, 8, tzinfo=dt.UTC)

    def make(rows: list[Row] = SOUND, facts: Facts | None = None, **record: Any) -> Path:
        kind = str(record.get("kind", "audit"))
        folder = RunFolder.create(tmp_path, "acme", kind, made)
        folder.write_text("facts.json", facts_to_json(facts or b.facts()))
        planned = [
            Planned(f"t.py::test_{rule}[{subject}]", rule, subject, "a title", "must", "standard")
            for rule, subject, *_ in rows
        ]
        folder.write_plan(planned)
        for row, (_, _, outcome, message) in zip(planned, rows, strict=True):
            folder.add_verdict(Verdict(**row.to_json(), outcome=outcome, message=message))
        folder.write_run({"client": "acme", "kind": kind, "verdict": "COMPLIANT: all", **record})
        return folder.path

    return make


def diff(before: Path, after: Path, capsys: pytest.CaptureFixture[str]) -> tuple[int, list[str]]:
    status = cli.main(["diff", str(before), str(after)])
    streams = capsys.readouterr()
    return status, (streams.out or streams.err).splitlines()


def test_two_runs_alike_are_the_same(run: Make, capsys: pytest.CaptureFixture[str]) -> None:
    tomorrow = replace(b.facts(), taken_at=b.NOW + dt.timedelta(days=1), archives={}, tasks={})
    status, lines = diff(run(), run(facts=tomorrow), capsys)
    assert status == 0
    assert lines[0] == "before  20261124T080000Z-audit  COMPLIANT: all"
    assert lines[-1] == "2 checks came to the same; none turned"
    assert len(lines) == 4


def test_verdicts_that_turned_stand_with_their_messages_worse_first(
    run: Make, capsys: pytest.CaptureFixture[str]
) -> None:
    before = run([("VER-02", "VM 210 (dns)", FAIL, "no archive"), ("STO-02", "storage x", PASS, "")])
    after = run([("VER-02", "VM 210 (dns)", PASS, ""), ("STO-02", "storage x", Outcome.UNKNOWN, "no SSH")])
    status, lines = diff(before, after, capsys)
    assert status == 1
    assert lines[3:] == [
        "worse     STO-02  storage x: pass → unknown",
        "          no SSH",
        "better    VER-02  VM 210 (dns): fail → pass",
        "          was: no archive",
        "0 checks came to the same; 1 turned worse, 1 turned better",
    ]


def test_a_row_that_no_longer_ran_turned(run: Make, capsys: pytest.CaptureFixture[str]) -> None:
    after = run()
    (after / "verdicts.jsonl").write_text((after / "verdicts.jsonl").read_text().splitlines()[0] + "\n")
    status, lines = diff(run(), after, capsys)
    assert status == 1
    assert "worse     STO-02  storage backup-hdd on node pve1: pass → not run" in lines


def test_checks_of_one_run_only_are_told_by_subject(run: Make, capsys: pytest.CaptureFixture[str]) -> None:
    extra: list[Row] = [("VER-01", "VM 240 (web)", PASS, ""), ("VER-02", "VM 240 (web)", FAIL, "no archive")]
    status, lines = diff(run(), run(SOUND + extra), capsys)
    assert status == 1
    assert lines[3:] == [
        "new checks: VM 240 (web): 1 pass, 1 fail",
        "          VER-02: fail",
        "          no archive",
        "2 checks came to the same; 2 new",
    ]
    status, lines = diff(run(SOUND + extra), run(), capsys)
    assert lines[3:] == ["gone checks: VM 240 (web): 1 pass, 1 fail", "2 checks came to the same; 2 gone"]


def test_what_a_partial_run_leaves_out_is_no_change(run: Make, capsys: pytest.CaptureFixture[str]) -> None:
    part = run(SOUND[:1], partial=True)
    status, lines = diff(run(), part, capsys)
    assert status == 0
    assert f"note: checks of one run only are left out: {part.name} ran a part of the rules" in lines


def changed_site() -> Facts:
    sound = b.facts()
    assert not isinstance(sound.jobs, Gap)
    assert not isinstance(sound.storages, Gap)
    guests = {vmid: one for vmid, one in sound.guests.items() if vmid != 305}
    jobs = dict(sound.jobs)
    job = jobs.pop("nightly-vm100")
    jobs |= {"weekly": replace(job, id="weekly"), "nightly-vm210": replace(jobs["nightly-vm210"], enabled=False)}
    storage = replace(sound.storages[b.STORAGE], is_mountpoint="", prune={"keep-last": 3})
    return replace(
        sound,
        guests=guests
        | {210: b.guest(210, "dns", node="pve2"), 240: b.guest(240, "web"), 100: Gap("guest 100", "hidden")},
        jobs=jobs,
        storages={**sound.storages, b.STORAGE: storage, "nas": b.Storage("nas", "nfs", frozenset({"backup"}))},
    )


def test_guests_jobs_and_storages_that_changed(run: Make, capsys: pytest.CaptureFixture[str]) -> None:
    status, lines = diff(run(), run(facts=changed_site()), capsys)
    assert status == 1
    assert lines[3:-1] == [
        "guests    guest 100: hidden now",
        "guests    VM 210 (dns): node pve1 → pve2",
        "guests    new: VM 240 (web)",
        "guests    gone: VM 305 (scratch)",
        "jobs      gone: job nightly-vm100",
        "jobs      job nightly-vm210: enabled yes → no",
        "jobs      new: job weekly",
        "storages  storage backup-hdd: is mountpoint yes → unset; prune unset → keep-last=3",
        "storages  new: storage nas",
    ]
    assert lines[-1] == "2 checks came to the same; none turned; 9 changes of guests, jobs and storages"


def test_a_jobs_next_run_is_no_change(run: Make, capsys: pytest.CaptureFixture[str]) -> None:
    facts = [b.with_jobs([b.job(100, raw={"next-run": str(when), "compress": "zstd", "all": "0"})]) for when in (1, 2)]
    assert diff(run(facts=facts[0]), run(facts=facts[1]), capsys)[0] == 0


def test_what_was_not_seen_is_said(run: Make, capsys: pytest.CaptureFixture[str]) -> None:
    blind = replace(b.facts(), jobs=Gap("the backup jobs", "no Sys.Audit"))
    status, lines = diff(run(facts=blind), run(), capsys)
    assert status == 0
    assert "note: jobs could not be compared, one run did not see them: no Sys.Audit" in lines


@pytest.mark.parametrize(
    ("record", "message"),
    [
        ({"client": "other"}, "the runs are of different clients: acme and other"),
        ({"kind": "drill"}, "one run is an audit and the other a drill"),
    ],
)
def test_unlike_runs_are_refused(
    record: dict[str, str], message: str, run: Make, capsys: pytest.CaptureFixture[str]
) -> None:
    status, lines = diff(run(), run(**record), capsys)
    assert status == 2
    assert lines[0] == message


def test_what_is_no_run_is_refused(run: Make, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    status, lines = diff(run(), tmp_path / "nowhere", capsys)
    assert status == 2
    assert lines[0] == f"{tmp_path / 'nowhere'}: there is no such folder"


def test_an_audit_and_its_replay_compare(run: Make, capsys: pytest.CaptureFixture[str]) -> None:
    again = run(kind="replay", replay={"of": "x", "kind": "audit"})
    assert diff(run(), again, capsys)[0] == 0


def test_help_teaches(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        cli.main(["diff", "--help"])
    said = capsys.readouterr().out
    assert "backup-standard diff reports/acme/" in said
    assert "exit status: 0 nothing changed, 1 something did, 2 the runs cannot be compared" in said
