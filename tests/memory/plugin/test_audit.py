"""An audit from the command line to the run's folder, against a site of facts."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from backup_standard.errors import ConnectionFailed
from backup_standard.model import Gap
from tests.memory.plugin.conftest import Project
from tests.rules import builders as b

pytest_plugins = ["pytester"]


def test_a_sound_site_is_green(project: Project) -> None:
    result = project.with_our_rules().run()
    assert result.ret == 0
    result.stdout.fnmatch_lines(
        [
            "reading the site",
            "client: acme; site: head-office, Proxmox VE 9.2.11",
            "run: *reports/acme/*-audit",
            "not judged: VM 305 (scratch): role scratch: build cache",
            "COMPLIANT: * of the standard's rules checked on * subjects, all met; * advisor*",
            "* rows: * pass, * advisory",
            "report: *report.html",
        ]
    )
    assert project.rows() == project.judged()
    assert len(project.last.verdicts()) == len(project.rows())
    assert set(project.last.run()["counts"]) >= {"pass", "advisory", "fail"}
    assert not project.last.run()["counts"]["fail"]


def test_the_folder_holds_everything(project: Project) -> None:
    project.with_our_rules().run()
    names = {path.name for path in project.last.path.iterdir()}
    assert names == {"inventory.yaml", "facts.json", "plan.json", "verdicts.jsonl", "report.html", "run.json"}
    run = project.last.run()
    assert run["kind"] == "audit"
    assert run["class"] == "real"
    assert run["exit_status"] == 0
    assert run["verdict"].startswith("COMPLIANT")
    assert run["by"]["user"]
    assert run["versions"]["Proxmox VE"] == "9.2.11"
    assert len(project.last.plan()) == len(project.last.verdicts()) == len(project.judged())


def test_a_failure_is_told_in_plain_sentences(project: Project) -> None:
    project.facts = b.with_mount(b.Mount("/", "/dev/sda2", "ext4", "rw"))
    result = project.with_our_rules().run()
    assert result.ret == 11
    result.stdout.fnmatch_lines(
        [
            "*STO-02  storage backup-hdd on node pve1*",
            "  Rule:     The backup storage is the mount point of its own file system*",
            "  Failed:   no disk is mounted at /mnt/backup on pve1: /mnt/backup lies on /dev/sda2, mounted at /",
            "  Why:      backups on the disk that holds the guests are lost together with the guests.",
            "  Observed: *mounted now: no*",
            "  Remedy:   findmnt --target /mnt/backup",
            "            mount /mnt/backup",
            "FAIL     STO-02  storage backup-hdd on node pve1",
            "         $ mount /mnt/backup",
            "NOT COMPLIANT: 1 of * rules fails (STO-02)*; the platform is degraded until the backup storage is mended",
        ]
    )
    for internals in ("assert ", "AssertionError", "test_sto_storage.py:", "short test summary", "E  "):
        result.stdout.no_fnmatch_line(f"*{internals}*")


def test_an_ordinary_failure_exits_with_1_and_names_the_command(project: Project) -> None:
    project.facts = b.with_jobs([b.job(100), b.job(210, compress="gzip")])
    result = project.with_our_rules().run()
    assert result.ret == 1
    result.stdout.fnmatch_lines(["         $ pvesh set /cluster/backup/nightly-vm210 --compress zstd"])


def test_what_cannot_be_seen_is_unknown_and_never_green(project: Project) -> None:
    project.facts = b.with_mount(Gap("what is mounted", "the inventory has no ssh for pve1", "nodes.pve1.ssh"))
    result = project.with_our_rules().run()
    assert result.ret == 12
    assert project.outcomes()["test_backup_storage_is_a_disk_of_its_own[pve1/backup-hdd]"] == "unknown"
    result.stdout.fnmatch_lines(
        ["  Unknown:  what is mounted is unknown: *; needed: nodes.pve1.ssh", "UNKNOWN  STO-02*"]
    )


def test_a_transport_failure_is_an_error_with_its_message_alone(project: Project) -> None:
    project.with_rules(
        "@rule()\ndef test_x(guest):\n    '''T.'''\n    raise ConnectionFailed('refused', where='pve1')\n"
    )
    result = project.run()
    assert result.ret == 12
    assert set(project.outcomes().values()) == {"error"}
    result.stdout.fnmatch_lines(["  Error:    pve1: refused"])
    result.stdout.no_fnmatch_line("*Traceback*")
    result.stdout.no_fnmatch_line("*raise ConnectionFailed*")


def test_a_defect_of_ours_keeps_its_traceback(project: Project) -> None:
    project.with_rules("@rule()\ndef test_x(guest):\n    '''T.'''\n    {}['nothing']\n")
    result = project.run()
    assert result.ret == 12
    result.stdout.fnmatch_lines(["*test_rules.py:*: KeyError"])
    assert set(project.outcomes().values()) == {"error"}


def test_a_failing_should_is_an_advisory(project: Project) -> None:
    project.with_rules(
        "@rule(level='should')\ndef test_x(guest):\n"
        "    '''T.\n\n    Remedy: pvesh set {guest.vmid} {guest.nothing} {unheard.of}\n    '''\n"
        "    assert not guest, 'better not'\n"
    )
    result = project.run()
    assert result.ret == 0
    assert set(project.outcomes().values()) == {"advisory"}
    assert project.last.verdicts()[0].remedy == "pvesh set 100 … …"
    result.stdout.fnmatch_lines(["ADVISORY ABC-01  VM 100 (golden-template)", "*better not", "*likewise for VM 210*"])


def test_an_unknown_should_is_told_and_fails_nothing(project: Project) -> None:
    project.with_rules("@rule(level='should')\ndef test_x(guest):\n    '''T.'''\n    raise Unknown('a', reason='b')\n")
    assert project.run().ret == 0
    assert set(project.outcomes().values()) == {"unknown"}


def test_a_rule_is_never_skipped(project: Project) -> None:
    project.with_rules(
        "@rule()\ndef test_skipped(guest):\n    '''T.'''\n    pytest.skip('no time')\n\n"
        "@rule()\ndef test_late(guest):\n    '''T.'''\n    raise NotRun('RST-01 failed')\n"
    )
    result = project.run()
    assert result.ret == 12
    assert set(project.outcomes().values()) == {"not run"}
    result.stdout.fnmatch_lines(["  Not run:  RST-01 failed"])


def test_a_rule_without_a_subject_is_one_red_row(project: Project) -> None:
    project.facts = b.facts(jobs={})
    project.with_rules("@rule()\ndef test_x(job):\n    '''T.'''\n")
    result = project.run()
    assert result.ret == 1
    assert project.outcomes() == {"test_x[no-subject]": "fail"}
    result.stdout.fnmatch_lines(
        ["FAIL     ABC-01  no subject", "*there is nothing to judge: the site has no backup job"]
    )


def test_subjects_that_cannot_be_known_are_one_unknown_row(project: Project) -> None:
    project.facts = b.facts(jobs=Gap("backup jobs", "403", "Sys.Audit on /"))
    project.with_rules("@rule()\ndef test_x(job):\n    '''T.'''\n")
    assert project.run().ret == 12
    assert project.outcomes() == {"test_x[no-subject]": "unknown"}


def test_every_kind_of_subject_and_the_whole_site(project: Project) -> None:
    project.with_rules(
        "@rule()\ndef test_job(job):\n    '''T.'''\n    assert job.enabled\n\n"
        "@rule()\ndef test_site(site, evidence):\n    '''T.'''\n    evidence(guests=len(site.guests))\n\n"
        "@rule()\ndef test_bare():\n    assert 1 == 2\n"
    )
    assert project.run().ret == 1
    assert project.outcomes() == {
        "test_job[nightly-vm100]": "pass", "test_job[nightly-vm210]": "pass", "test_site": "pass", "test_bare": "fail",
    }  # fmt: skip
    bare = next(one for one in project.last.verdicts() if one.title == "test_bare")
    assert bare.message == "assert 1 == 2"


def test_a_failing_clean_up_is_an_error_of_its_row(project: Project) -> None:
    project.with_rules(
        "@pytest.fixture\ndef untidy():\n    yield\n    raise ConnectionFailed('still there')\n\n"
        "@rule()\ndef test_x(guest, untidy):\n    '''T.'''\n"
    )
    result = project.run("-k", "210")
    assert result.ret == 12
    assert [str(one.outcome) for one in project.last.verdicts()] == ["pass", "error"]
    result.stdout.fnmatch_lines(["*1 of 1 rule ended in an error (ABC-01)*"])


def test_verdicts_are_reconciled_with_the_plan(project: Project) -> None:
    project.with_rules("@rule()\ndef test_x(guest):\n    '''T.'''\n    assert False, 'no'\n")
    result = project.run("-x")
    assert project.outcomes() == {"test_x[100]": "fail", "test_x[210]": "not run"}
    result.stdout.fnmatch_lines(["*1 of 1 rule did not run (ABC-01)*"])


def test_a_part_says_that_it_is_one(project: Project) -> None:
    project.with_our_rules().run("-k", "zstd")
    assert project.last.run()["partial"] is True
    assert project.last.run()["verdict"].endswith("only a part of the rules was run")


def test_leftovers_have_an_exit_status_of_their_own(project: Project) -> None:
    project.pytester.makeconftest(
        'pytest_plugins = ["backup_standard.plugin"]\n'
        "def pytest_runtest_setup(item):\n"
        "    from backup_standard.plugin.session import run_of\n"
        "    run_of(item.config).leftovers[:] = ['VM 211 on pve1']\n"
    )
    result = project.with_our_rules().run()
    assert result.ret == 10
    result.stdout.fnmatch_lines(["left behind: VM 211 on pve1"])


def test_a_site_that_cannot_be_read_ends_in_one_message(project: Project) -> None:
    project.facts = ConnectionFailed("nobody answers", where="https://pve1.example:8006", next_step="check api.url")
    result = project.with_our_rules().run()
    assert result.ret == 4
    result.stderr.fnmatch_lines(["ERROR: https://pve1.example:8006: nobody answers", "  Next: check api.url"])
    assert project.folders == []
    for internals in ("*Traceback*", "*INTERNALERROR*", "*session.py*"):
        result.stdout.no_fnmatch_line(internals)
        result.stderr.no_fnmatch_line(internals)


def test_quiet_is_quiet_about_progress(project: Project) -> None:
    project.with_our_rules().run("-q").stdout.no_fnmatch_line("*reading the site*")


def test_listing_leaves_no_folder(project: Project) -> None:
    result = project.with_our_rules().run("--collect-only", "-q")
    assert result.ret == 0
    result.stdout.fnmatch_lines(["tests_infra/test_cmp_compression.py::test_job_compresses_with_zstd[[]100[]]"])
    result.stdout.no_fnmatch_line("*backup standard*")
    assert project.folders == []


def test_the_report_is_one_page_without_our_machine_in_it(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JENKINS_URL", "https://ci.secret.example")
    project.facts = replace(b.facts(), guests={**b.facts().guests, 210: b.guest(210, "<img src=x onerror=alert(1)>")})
    project.with_our_rules().run()
    page = project.last.report.read_text()
    assert "Backup audit: acme, head-office" in page
    assert "Content-Security-Policy" in page
    assert "ci.secret.example" not in page
    assert "<img src=x" not in page
    assert "&lt;img src=x" in page
    assert 'src="http' not in page
    blob = page.split('data-jsonblob="', 1)[1].split('"', 1)[0].replace("&#34;", '"')
    assert json.loads(blob)["tests"] == {}


def test_the_report_may_go_elsewhere_too(project: Project) -> None:
    project.with_our_rules().run("--html=elsewhere.html")
    assert "COMPLIANT" in (project.path / "elsewhere.html").read_text()


def test_runs_go_where_they_are_told(project: Project) -> None:
    project.with_our_rules().run("--run-dir=else/where")
    assert list((project.path / "else" / "where" / "acme").iterdir())


def test_a_recommended_rule_without_a_subject_is_advice_and_goes_no_further(project: Project) -> None:
    project.with_rules("@rule(level='should')\ndef test_x(docker_host):\n    '''T.'''\n    assert False, 'went on'\n")
    inventory = project.path / "inventories" / "acme.yaml"
    inventory.write_text(inventory.read_text().replace("docker-host: phase 2, ", ""))
    result = project.run()
    assert result.ret == 0
    assert [(one.outcome, one.message) for one in project.last.verdicts()] == [
        ("advisory", "there is nothing to judge: no Docker host is declared")
    ]


def test_a_recommended_rule_that_cannot_be_decided_shows_as_such(project: Project) -> None:
    project.with_rules(
        "@rule(level='should')\ndef test_x(guest):\n    '''T.'''\n    raise Unknown('it', reason='so')\n"
    )
    result = project.run()
    assert result.ret == 0
    result.stdout.fnmatch_lines(["tests_infra/test_rules.py UU*", "COMPLIANT: *; 2 recommendations undecided"])


def test_what_the_client_declares_not_to_have_is_not_applicable_and_counts_for_nothing(project: Project) -> None:
    project.with_rules(
        "@rule()\ndef test_x(docker_host):\n    '''T.'''\n    assert False, 'went on'\n\n"
        "@rule(id='ABC-02')\ndef test_y(required_role):\n    '''U.'''\n"
    )
    result = project.run()
    assert result.ret == 0
    outcomes = {one.item.rsplit("::", 1)[-1]: (str(one.outcome), one.message) for one in project.last.verdicts()}
    assert outcomes["test_x[no-subject]"] == (
        "not applicable", "the inventory declares docker-host not deployed: phase 2"
    )  # fmt: skip
    assert outcomes["test_y[docker-host]"] == ("not applicable", "the inventory declares it not deployed: phase 2")
    assert outcomes["test_y[dns]"] == ("pass", "")
    result.stdout.fnmatch_lines(["COMPLIANT: 1 of the standard's rules checked on 2 subjects, all met; 3 checks not*"])
    page = project.last.report.read_text()
    assert "Not applicable, as declared" in page
    assert "1 of 1</b><span>rules met" in page
