"""What an audit lacks is told before its first rule, and in the report."""

from __future__ import annotations

from dataclasses import replace

from backup_standard.model import Gap
from tests.memory.plugin.conftest import Project
from tests.rules import builders as b

pytest_plugins = ["pytester"]

MISSING = "missing, with what it would show and the rules that stay open:"


def test_a_missing_privilege_stands_above_the_first_rule_and_in_the_report(project: Project) -> None:
    need = "Datastore.Audit on /: pveum acl modify / --users audit@pve --tokens 'audit@pve!suite' --roles PVEAuditor"
    project.facts = replace(b.facts(), gaps=(Gap("the list of storages", "some may be hidden", need),))
    result = project.with_rules("@rule()\ndef test_x(guest):\n    '''T.'''\n").run()
    result.stdout.fnmatch_lines(
        [
            "client: acme; *",
            MISSING,
            "  Datastore.Audit on /: storages, archives and vzdump's defaults",
            "    CMP-02, RET-03, *",
            "    $ pveum acl modify / --users audit@pve --tokens 'audit@pve!suite' --roles PVEAuditor",
            "collected 2 items",
        ]
    )
    html = project.last.report.read_text()
    assert "Rights and logins that are missing" in html
    assert "<td>Datastore.Audit on /</td>" in html


def test_nothing_is_said_where_nothing_is_missing(project: Project) -> None:
    result = project.with_rules("@rule()\ndef test_x(guest):\n    '''T.'''\n").run()
    result.stdout.no_fnmatch_line(MISSING)
    assert "Rights and logins" not in project.last.report.read_text()
