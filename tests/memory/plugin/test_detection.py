"""--detection: the table of seeded violations in a run's folder and report; another version's is refused."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from backup_standard.evidence import detection
from tests.memory.plugin.conftest import Project
from tests.violations import score

pytest_plugins = ["pytester"]


@pytest.fixture
def table(project: Project) -> Path:
    """A table that this project's rules could have made."""
    path = project.path / "table.json"
    line = score.line("gzip", where="memory", expected={"CMP-01 fail"}, found={"CMP-01 fail"}, healthy=False)
    score.write([line], path, project.path)
    return path


def test_the_report_shows_what_the_rules_detect(project: Project, table: Path) -> None:
    project.run("--detection", "table.json")
    assert (project.last.path / detection.NAME).read_text() == table.read_text()
    assert "<b>detects 1 of 1</b>" in project.last.report.read_text()


def test_a_table_of_other_rules_is_refused_and_leaves_no_run(project: Project, table: Path) -> None:
    table.write_text(json.dumps(json.loads(table.read_text()) | {"made_with": "another"}))
    result = project.run("--detection", "table.json")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["*another version of the rules*"])
    assert not list(project.path.glob("reports/*/*"))
