"""Attested verdicts: an undecided row that a named person vouches for, and nothing else."""

from __future__ import annotations

import pytest

from tests.memory.plugin.conftest import Project

pytest_plugins = ["pytester"]

UNKNOWN = "@rule()\ndef test_it(backup_storage):\n    raise Unknown('the disk', reason='a controller hides it')\n"


def attest(project: Project, until: str = "2027-05-01", subject: str = "pve1/backup-hdd") -> Project:
    inventory = project.path / "inventories" / "acme.yaml"
    line = (
        f"attestations: [{{rule: ABC-01, subject: {subject}, statement: own drive in bay 4, by: A. Admin, "
        f"date: 2026-11-01, until: {until}}}]\n"
    )
    inventory.write_text(inventory.read_text() + line)
    return project


@pytest.mark.parametrize("subject", ["pve1/backup-hdd", "storage backup-hdd on node pve1"])
def test_an_undecided_row_with_a_statement_is_attested(project: Project, subject: str) -> None:
    result = attest(project, subject=subject).with_rules(UNKNOWN).run()
    assert result.ret == 0
    result.stdout.fnmatch_lines(
        [
            "ATTESTED ABC-01  storage backup-hdd on node pve1",
            "         attested by A. Admin on 2026-11-01, valid until 2027-05-01: own drive in bay 4. Not observed: *",
            "COMPLIANT: * all met or attested; 1 check attested, not observed",
            "1 rows: 1 attested",
        ]
    )
    assert project.last.run()["counts"]["attested"] == 1
    page = project.last.report.read_text()
    assert "<b>0 of 1</b><span>rules met" in page
    assert "Attested, not observed" in page
    assert page.index("own drive in bay 4") < page.index("Every rule")


def test_an_expired_statement_does_not_count_and_says_so(project: Project) -> None:
    result = attest(project, until="2026-11-23").with_rules(UNKNOWN).run()
    assert result.ret == 12
    result.stdout.fnmatch_lines(["UNKNOWN  ABC-01*", "*the attestation of A. Admin ended on 2026-11-23*"])
    assert project.last.run()["counts"]["attested"] == 0


def test_a_statement_about_another_subject_does_not_count(project: Project) -> None:
    assert attest(project, subject="pve2/backup-hdd").with_rules(UNKNOWN).run().ret == 12


@pytest.mark.parametrize(
    ("body", "status"), [("assert not 'shared', 'the same disk'", 1), ("raise ConnectionFailed('gone')", 12)]
)
def test_no_statement_hides_a_finding_or_an_error(project: Project, body: str, status: int) -> None:
    rules = f"@rule()\ndef test_it(backup_storage):\n    {body}\n"
    assert attest(project).with_rules(rules).run().ret == status
    assert project.last.run()["counts"]["attested"] == 0
