"""pytest-xdist: whole guests to a worker, the same verdicts, and nothing lost when a worker dies."""

from __future__ import annotations

import pytest

from backup_standard.plugin.order import group_of
from tests.memory.plugin.conftest import Project

pytest_plugins = ["pytester"]

MANY = """
@rule(id=%r)
def test_%s(guest, evidence):
    '''T.'''
    evidence(worker=os.environ["PYTEST_XDIST_WORKER"])
"""


@pytest.mark.parametrize(
    ("item", "group"),
    [
        ("a.py::test_x[210]", "210"),
        ("a.py::test_x[210-unit docker]", "210"),
        ("a.py::test_x[pve1/backup-hdd]", "pve1/backup-hdd"),
        ("a.py::test_x[nightly-vm210]", "nightly-vm210"),
        ("a.py::test_x", "a.py::test_x"),
    ],
)
def test_items_belong_to_guests(item: str, group: str) -> None:
    assert group_of(item, {}) == group


def test_guests_of_an_application_group_go_together() -> None:
    known = {"210": ("group shop", 0), "220": ("group shop", 1)}
    found = [group_of(f"a.py::test_x[{vmid}]", known) for vmid in (200, 210, 220)]
    assert found == ["200", "group shop", "group shop"]


def test_one_guest_never_spans_workers_and_the_verdicts_are_the_same(project: Project) -> None:
    project.with_our_rules()
    for number in range(4):
        project.with_rules(MANY % (f"ABC-0{number}", number), name=f"test_{number}.py")
    result = project.run("-n", "2")
    assert result.ret == 0
    result.stdout.fnmatch_lines(["* rows: * pass, * advisory"])
    workers: dict[str, set[str]] = {}
    for verdict in project.last.verdicts():
        if verdict.rule.startswith("ABC"):
            workers.setdefault(verdict.subject, set()).add(verdict.observed["worker"])
    assert len(project.last.verdicts()) == len(project.last.plan()) >= 22
    assert {len(found) for found in workers.values()} == {1}
    assert set.union(*workers.values()) == {"gw0", "gw1"}


def test_a_worker_that_dies_leaves_rows_that_did_not_run(project: Project) -> None:
    project.with_rules(
        "@rule()\ndef test_a(guest):\n    '''T.'''\n    if guest.vmid == 210:\n        os._exit(3)\n\n"
        "@rule(id='ABC-03')\ndef test_c(guest):\n    '''T.'''\n    assert guest.vmid != 100, 'no'\n\n"
        "@rule(id='ABC-02')\ndef test_b(guest):\n    '''T.'''\n"
    )
    result = project.run("-n", "1")
    assert result.ret not in {0, 5}
    outcomes = project.outcomes()
    assert outcomes["test_b[210]"] == "not run"
    assert outcomes["test_a[210]"] == "not run"
    assert outcomes["test_c[100]"] == "fail"
    result.stdout.no_fnmatch_line("*[[]gw0[]] linux*ABC-03*")
    result.stdout.fnmatch_lines(["NOT COMPLIANT: *did not run*"])


def test_drill_rows_of_a_guest_follow_their_rules_whatever_the_files_say(project: Project) -> None:
    project.with_rules("@rule(id='RST-07')\ndef test_gone(guest):\n    '''T.'''\n", name="test_a.py")
    project.with_rules("@rule(id='RST-05')\ndef test_service(guest):\n    '''T.'''\n", name="test_b.py")
    project.with_rules("@rule(id='RST-01')\ndef test_restored(guest):\n    '''T.'''\n", name="test_c.py")
    project.run()
    assert [(one.subject[3:6], one.rule) for one in project.last.verdicts()] == [
        (vmid, rule) for vmid in ("100", "210") for rule in ("RST-01", "RST-05", "RST-07")
    ]
