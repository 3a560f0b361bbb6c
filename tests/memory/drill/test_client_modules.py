"""Modules of a client's own in ``drills/``: written as drills/README.md says, without a change to the library."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest

from backup_standard.evidence.folder import RunFolder
from backup_standard.evidence.verdicts import Verdict
from tests.drillground import Ground

pytest_plugins = ["pytester"]

PROJECT = Path(__file__).parents[3]
MODULE = '''
"""What this client needs of single guests."""

import pytest

pytestmark = [pytest.mark.vmid(210), pytest.mark.rule(id="RST-05", level="must", tag="standard")]


def test_zone_of_the_office(restored_guest, evidence):
    """The restored DNS server has the zone of the office.

    Rationale: nobody finds the printers without it.
    Remedy: qm guest exec {drill.plan.vmid} -- ls /etc/dnsmasq.d
    """
    zones = restored_guest.check_output("ls -1 /etc/dnsmasq.d").split()
    evidence(zones=zones)

    assert "office.conf" in zones, f"only {zones} are there"


@pytest.mark.vmid(999)
def test_of_a_guest_that_this_site_has_not(restored_guest):
    """Nobody is meant."""
    raise AssertionError("never run")
'''


def judged(ground: Ground, pytester: pytest.Pytester, *arguments: str) -> list[Verdict]:
    """Drill guests 210 and 220 with the project's drills and what else lies in the folder."""
    shutil.copytree(
        PROJECT / "drills", pytester.path / "drills", ignore=shutil.ignore_patterns("__pycache__"), dirs_exist_ok=True
    )
    pytester.makeconftest('pytest_plugins = ["backup_standard.plugin"]')
    pytester.makepyprojecttoml("[tool.pytest]\nstrict_markers = true\n")
    inventory, reports = ground.reports.parents[1] / "lab.yaml", ground.reports.parent
    pytester.runpytest_inprocess(
        "drills", f"--inventory={inventory}", f"--run-dir={reports}", "-p", "no:cacheprovider", *arguments
    )
    return RunFolder(folder_of(ground)).verdicts()


def folder_of(ground: Ground) -> Path:
    """The folder of the one run."""
    (folder,) = (path for path in ground.reports.iterdir() if path.is_dir())
    return folder


def test_a_module_about_one_guest_is_judged_with_that_guest_before_its_data(
    ground: Ground, pytester: pytest.Pytester
) -> None:
    (pytester.path / "drills").mkdir()
    (pytester.path / "drills" / "test_services_acme.py").write_text(MODULE)
    found = judged(ground, pytester, "-k", "210 or 220")
    own = [row for row in found if "test_services_acme" in row.item]
    assert [(row.rule, row.subject, str(row.outcome)) for row in own] == [("RST-05", "VM 210 (dns)", "fail")]
    assert "only ['lab.conf'] are there" in own[0].message
    rules = [row.rule for row in found if row.subject == "VM 210 (dns)"]
    assert rules == sorted(rules)
    assert rules[-3:] == ["RST-05", "RST-06", "RST-07"]
    assert all(str(row.outcome) == "pass" for row in found if row not in own)


def test_an_application_group_is_drilled_in_its_order_and_deleted_at_its_end(
    ground: Ground, pytester: pytest.Pytester
) -> None:
    inventory = ground.reports.parents[1] / "lab.yaml"
    text = inventory.read_text(encoding="utf-8")
    group = "groups:\n  shop: {guests: [220, 210], checks: [{guest: 210, connect: '10.0.0.220:9100'}]}\n"
    inventory.write_text(text.replace("\nguests:\n", f"\n{group}guests:\n"), encoding="utf-8")
    found = judged(ground, pytester, "-k", "(210 or 220) and RST or (210 or 220) and test_rst", "-n", "2")
    assert {str(row.outcome) for row in found} == {"pass"}, [row.message for row in found]
    order = [(row.subject.split()[1], row.rule) for row in found]
    first = [rule for vmid, rule in order if vmid == "220"]
    assert first == ["RST-01", "RST-02", "RST-03", "RST-04", "RST-05", "RST-06", "RST-07"]
    assert order[-2:] == [("210", "RST-07"), ("220", "RST-07")]
    assert [vmid for vmid, _rule in order[:6]] == ["220"] * 6
    (whole,) = (row for row in found if "application_group" in row.item)
    assert (whole.subject, whole.observed["checks"]) == (
        "VM 210 (dns)", {"guest 210: connect 10.0.0.220:9100": "ok"},
    )  # fmt: skip
    assert ground.nothing_left, ground.left_behind
    page = (folder_of(ground) / "report.html").read_text(encoding="utf-8")
    forecast = page.partition('<section id="forecast"')[2].partition("</section>")[0]
    shown = [vmid for vmid in (100, 200, 210, 220, 230) if f"guest {vmid} (" in forecast]
    assert shown == [100, 200, 210, 220, 230], "guests that this run left out are estimated"
    assert forecast.count("measured in this run") == 2


def test_the_example_in_the_readme_runs_as_it_stands(ground: Ground, pytester: pytest.Pytester) -> None:
    text = (PROJECT / "drills" / "README.md").read_text(encoding="utf-8")
    example = re.search(r"```python\n(.*?)```", text, re.DOTALL)
    assert example
    (pytester.path / "drills").mkdir()
    (pytester.path / "drills" / "test_services_office.py").write_text(example[1])
    found = judged(ground, pytester, "-k", "zone_file and 210")
    assert [(row.rule, str(row.outcome), row.message) for row in found] == [
        ("RST-05", "fail", "the zone of the office is missing")
    ]


def test_client_data_is_judged_by_what_is_declared_and_says_what_is_not(
    ground: Ground, pytester: pytest.Pytester
) -> None:
    found = judged(ground, pytester, "-k", "230 and client_data")
    rows = {row.item.partition("::")[2].partition("[")[0]: row for row in found}
    assert {name: str(row.outcome) for name, row in rows.items()} == {
        "test_client_data_can_be_written_where_it_lies": "pass",
        "test_databases_of_the_client_answer": "not applicable",
    }
    assert "guests.230.drill.services, for example - sql:" in rows["test_databases_of_the_client_answer"].message
    assert {row.subject for row in found} == {"CT 230 (files)"}
    assert ground.nothing_left, ground.left_behind
    page = (folder_of(ground) / "report.html").read_text(encoding="utf-8")
    assert "for example - sql: {client: psql" in page.partition('id="not-applicable"')[2]
