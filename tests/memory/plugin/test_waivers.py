"""Waived findings: approved by a named person until a date, always visible, and never hiding anything else."""

from __future__ import annotations

import pytest

from tests.memory.plugin.conftest import Project

pytest_plugins = ["pytester"]

BAD = """
@rule()
def test_it(guest):
    '''T.

    Remedy: qm set {guest.vmid}
    '''
    assert guest.vmid != 210, 'no disk'
"""


def waive(project: Project, expires: str = "2027-01-31", subject: str = "'210'", rule: str = "ABC-01") -> Project:
    inventory = project.path / "inventories" / "acme.yaml"
    line = (
        f"waivers: [{{rule: {rule}, subject: {subject}, reason: new disk is ordered, approved_by: B. Boss, "
        f"expires: {expires}}}]\n"
    )
    inventory.write_text(inventory.read_text() + line)
    return project


@pytest.mark.parametrize("subject", ["'210'", "VM 210 (dns)"])
@pytest.mark.parametrize("arguments", [(), ("-n", "1")])
def test_a_finding_with_an_approval_is_waived_and_stays_visible(
    project: Project, subject: str, arguments: tuple[str, ...]
) -> None:
    result = waive(project, subject=subject).with_rules(BAD).run(*arguments)
    assert result.ret == 0
    result.stdout.fnmatch_lines(
        [
            "WAIVED   ABC-01  VM 210 (dns)",
            "         no disk. Waived by B. Boss until 2027-01-31: new disk is ordered",
            "         $ qm set 210",
            "COMPLIANT: * all met or waived; 1 finding waived",
            "2 rows: 1 pass, 1 waived",
        ]
    )
    assert project.last.run()["counts"]["waived"] == 1
    page = project.last.report.read_text()
    assert "<b>0 of 1</b><span>rules met" in page
    assert "<b>1</b><span>findings waived" in page
    assert page.index("new disk is ordered") < page.index("Every rule")


def test_the_last_day_of_a_waiver_is_the_sites_own(project: Project) -> None:
    assert waive(project, expires="2026-11-24").with_rules(BAD).run().ret == 0


def test_an_expired_waiver_fails_and_says_so(project: Project) -> None:
    result = waive(project, expires="2026-11-23").with_rules(BAD).run()
    assert result.ret == 1
    result.stdout.fnmatch_lines(["FAIL     ABC-01*", "*no disk; the waiver of B. Boss expired on 2026-11-23"])


def test_a_waiver_of_another_subject_does_not_count(project: Project) -> None:
    result = waive(project, subject="'100'").with_rules(BAD).run()
    assert result.ret == 1
    assert project.outcomes()["test_it[210]"] == "fail"


@pytest.mark.parametrize("expires", ["2027-01-31", "2026-11-01"])
def test_a_waiver_that_is_not_needed_fails(project: Project, expires: str) -> None:
    result = (
        waive(project, expires=expires, subject="'100'")
        .with_rules("@rule()\ndef test_it(guest):\n    '''T.'''\n")
        .run()
    )
    assert result.ret == 1
    result.stdout.fnmatch_lines(
        [
            "FAIL     ABC-01  100",
            f"         the waiver of B. Boss until {expires} is not needed: the rule holds for it",
            "         remove the waiver of ABC-01 for 100 from the inventory",
        ]
    )
    assert "is not needed" in project.last.report.read_text()


def test_a_waiver_of_what_is_not_there_fails_and_names_the_subjects(project: Project) -> None:
    result = waive(project, subject="'999'").with_rules("@rule()\ndef test_it(guest):\n    '''T.'''\n").run()
    assert result.ret == 1
    text = " ".join(result.stdout.str().split())
    assert "has no such subject in this run; its subjects are VM 100 (golden-template), VM 210 (dns)" in text


def test_a_rule_of_several_rows_needs_its_waiver_while_one_of_them_fails(project: Project) -> None:
    rules = BAD + "\n@rule()\ndef test_more(guest):\n    '''T.'''\n"
    assert waive(project).with_rules(rules).run().ret == 0


def test_a_waiver_of_a_rule_that_the_run_does_not_hold_is_left_alone(project: Project) -> None:
    rules = "@rule()\ndef test_it(guest):\n    '''T.'''\n"
    assert waive(project, rule="RST-05").with_rules(rules).run().ret == 0


def test_a_part_of_the_rules_says_nothing_about_what_is_needed(project: Project) -> None:
    rules = "@rule()\ndef test_it(guest):\n    '''T.'''\n"
    assert waive(project).with_rules(rules).run("-k", "100").ret == 0


@pytest.mark.parametrize(
    ("body", "outcome"),
    [
        ("raise Unknown('the disk', reason='hidden')", "unknown"),
        ("raise ConnectionFailed('gone')", "error"),
        ("{}['nothing']", "error"),
        ("raise NotRun('RST-01 failed')", "not run"),
    ],
)
def test_no_waiver_hides_what_is_no_finding(project: Project, body: str, outcome: str) -> None:
    result = waive(project).with_rules(f"@rule()\ndef test_it(guest):\n    '''T.'''\n    {body}\n").run()
    assert result.ret == 12
    assert set(project.outcomes().values()) == {outcome}


def test_no_waiver_hides_that_there_is_no_subject(project: Project) -> None:
    project.facts = project.facts.__class__(**{**vars(project.facts), "jobs": {}})
    result = waive(project, subject="no subject").with_rules("@rule()\ndef test_it(job):\n    '''T.'''\n").run()
    assert result.ret == 1
    assert set(project.outcomes().values()) == {"fail"}


def test_a_recommendation_may_be_waived_too_and_never_fails(project: Project) -> None:
    waive(project).with_rules(BAD.replace("rule()", "rule(level='should')"))
    assert project.run().ret == 0
    assert project.outcomes()["test_it[210]"] == "waived"


@pytest.mark.parametrize(
    ("expires", "told"), [("2026-11-01", "*expired on 2026-11-01*"), ("2027-01-31", "*not needed*")]
)
def test_a_recommendations_useless_waiver_is_an_advisory(project: Project, expires: str, told: str) -> None:
    body = BAD if "expired" in told else BAD.replace("210", "999")
    waive(project, expires=expires).with_rules(body.replace("rule()", "rule(level='should')"))
    result = project.run()
    assert result.ret == 0
    result.stdout.fnmatch_lines(["ADVISORY ABC-01*", told])


def test_a_weaker_figure_is_waived_and_not_judged_by(project: Project) -> None:
    inventory = project.path / "inventories" / "acme.yaml"
    inventory.write_text(
        inventory.read_text().replace("{storage: backup-hdd}", "{storage: backup-hdd, keep_nights: 5}")
    )
    waive(project, rule="RET-01").with_rules(
        "@rule(id='RET-01')\ndef test_it(guest):\n    '''T.'''\n"
        "    assert guest.keep_nights < 7, f'{guest.keep_nights} are demanded'\n"
    )
    assert project.run().ret == 1
    assert project.outcomes() == {"test_it[100]": "fail", "test_it[210]": "waived"}
