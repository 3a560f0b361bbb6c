"""``--replay RUN``: every verdict again, from what a run read, with no site."""

from __future__ import annotations

import datetime as dt
import shutil
from pathlib import Path
from typing import Any

import pytest

from backup_standard.evidence.folder import RunFolder
from tests import labinventory, labsite
from tests.memory.plugin.conftest import LEAN, Project

pytest_plugins = ["pytester"]

Verdicts = dict[str, tuple[str, str, Any, str]]


def verdicts(folder: RunFolder) -> Verdicts:
    """What a run came to, by row."""
    return {one.item: (str(one.outcome), one.message, one.observed, one.remedy) for one in folder.verdicts()}


def replay(project: Project, run: RunFolder, *arguments: str) -> pytest.RunResult:
    """Judge a run again, without an inventory."""
    return project.pytester.runpytest(*LEAN, "--replay", str(run.path.relative_to(project.path)), *arguments)


@pytest.fixture
def audited(project: Project) -> RunFolder:
    """An audit with findings of several kinds; whoever asks for the site again fails."""
    project.with_rules(
        "@rule()\ndef test_a(guest, evidence):\n    '''T.\n\n    Remedy: qm set {guest.vmid}\n    '''\n"
        "    evidence(name=str(guest), rpo=guest.rpo)\n    assert guest.vmid != 210, f'{guest} is bad'\n\n"
        "@rule(id='ABC-02')\ndef test_b(guest):\n    '''T.'''\n    raise Unknown('x', reason='y')\n\n"
        "@rule(id='ABC-03', level='should')\ndef test_c(backup_storage, evidence):\n    '''T.'''\n"
        "    evidence.advise('better not')\n"
    )
    assert project.run().ret == 1
    project.facts = AssertionError("the site was asked")
    return project.last


def test_the_lab_audited_and_replayed_without_it_comes_to_the_same(pytester: pytest.Pytester, tmp_path: Path) -> None:
    project = Project(pytester).with_our_rules()
    with labsite.running(tmp_path / "lab", guests=False) as lab:
        inventory = labinventory.write(lab, project.path / "inventories" / "acme.yaml")
        lab.hypervisor.node.unplug_backup()
        assert project.run().ret == 11
    audit = project.last
    inventory.unlink()
    shutil.rmtree(tmp_path / "lab")
    assert replay(project, audit).ret == 11
    again = RunFolder(next(path for path in project.folders if path != audit.path))
    assert {outcome for outcome, *_ in verdicts(audit).values()} >= {"pass", "fail"}
    assert verdicts(again) == verdicts(audit)
    assert again.run()["gaps"] == audit.run()["gaps"]
    assert (again.path / "commands.jsonl").read_text() == (audit.path / "commands.jsonl").read_text()


@pytest.mark.parametrize("arguments", [(), ("-n", "2")])
def test_a_replay_says_that_it_is_one_and_is_no_evidence(
    project: Project, audited: RunFolder, arguments: tuple[str, ...]
) -> None:
    result = replay(project, audited, *arguments)
    assert result.ret == 1
    result.stdout.fnmatch_lines(
        [f"replay of {audited.path}: nothing is asked of the site", "run: *-replay", "*", "REPLAY · 5 rows: *"]
    )
    again = RunFolder(next(path for path in project.folders if path != audited.path))
    assert verdicts(again) == verdicts(audited)
    run = again.run()
    assert (run["kind"], run["replay"]) == ("replay", {"of": audited.id, "kind": "audit"})
    taken = [dt.datetime.fromisoformat(one["facts_taken"]) for one in (run, audited.run())]
    assert taken[0] == taken[1]
    assert audited.run()["replay"] is None
    page = again.report.read_text()
    assert "<b>REPLAY</b> Every verdict was derived again from what run" in page
    assert "Backup audit" in page
    assert "REPLAY" not in audited.report.read_text()


def test_another_inventory_may_be_tried_on_the_same_facts(project: Project, audited: RunFolder) -> None:
    other = project.path / "inventories" / "other.yaml"
    other.write_text(audited.inventory.read_text().replace("{role: dns}", "{role: dns, rpo: 12h}"))
    replay(project, audited, f"--inventory={other}")
    again = RunFolder(next(path for path in project.folders if path != audited.path))
    name = next(item for item in verdicts(again) if item.endswith("test_a[210]"))
    assert verdicts(again)[name][2]["rpo"] == "12 h"


def test_a_replay_can_be_replayed(project: Project, audited: RunFolder) -> None:
    replay(project, audited)
    first = RunFolder(next(path for path in project.folders if path != audited.path))
    replay(project, first)
    (second,) = (RunFolder(path) for path in project.folders if path not in {audited.path, first.path})
    assert verdicts(second) == verdicts(audited)
    assert second.run()["replay"] == {"of": first.id, "kind": "audit"}


def test_what_is_no_run_ends_in_one_message(project: Project, audited: RunFolder) -> None:
    for folder, message in (
        (RunFolder(project.path / "nowhere"), "nowhere: there is no such folder"),
        (RunFolder(audited.report), "report.html: that is a file"),
        (RunFolder(audited.path.parent), f"*: no site was read in that run (it has no facts.json)*{audited.id}"),
    ):
        result = replay(project, folder)
        assert result.ret == 4
        result.stderr.no_fnmatch_line("*Traceback*")
        lines = " ".join(line.strip() for line in result.stderr.lines)
        assert message.rpartition("*")[2] in lines
        assert "give the folder of a run, as reports/CLIENT/RUN" in lines
    assert project.folders == [audited.path]


def test_facts_of_another_version_are_refused_and_leave_no_run(project: Project, audited: RunFolder) -> None:
    audited.facts.write_text('{"format": 99}')
    result = replay(project, audited)
    assert result.ret == 4
    assert "the facts cannot be read: these are not facts in format 1" in result.stderr.str()
    assert project.folders == [audited.path]


def test_an_audit_holds_no_drills(project: Project, audited: RunFolder) -> None:
    project.with_rules("@rule(id='RST-01')\ndef test_d(drill):\n    '''T.'''\n", "drills")
    result = replay(project, audited, "drills")
    assert result.ret == 4
    assert "that run was an audit and holds no drills" in result.stderr.str()
