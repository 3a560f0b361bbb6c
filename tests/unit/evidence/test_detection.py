"""A table of seeded violations: read strictly, counted honestly, and only with the code that made it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from backup_standard.errors import OperatorError
from backup_standard.evidence import detection
from backup_standard.report import detects
from tests.violations import score

ROOT = Path(__file__).resolve().parents[3]


def lines() -> list[dict[str, object]]:
    return [
        score.line("gzip", where="memory", expected={"CMP-01 fail"}, found={"CMP-01 fail"}, healthy=False),
        score.line("keep-all", where="memory", expected={"RET-02 fail"}, found=(), healthy=False),
        score.line("<b>ZFS", where="node", expected=(), found=(), healthy=True),
    ]


def test_a_table_is_written_counted_and_shown(tmp_path: Path) -> None:
    score.write(lines(), tmp_path / detection.NAME, ROOT)
    found = detection.parse(detection.checked(tmp_path / detection.NAME, ROOT))
    assert found.headline == "detects 1 of 2, healthy 1 of 1"
    assert score.said(lines())[-1] == found.headline
    shown = detects.overview(tmp_path, "Europe/Berlin")
    assert "detects 1 of 2, healthy 1 of 1" in shown
    assert "&lt;b&gt;ZFS" in shown
    assert "nothing; expected: RET-02 fail" in shown


def test_a_run_without_a_table_shows_none(tmp_path: Path) -> None:
    assert detects.overview(tmp_path, "Europe/Berlin") == ""


def test_a_table_of_other_rules_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "table.json"
    score.write(lines(), path, ROOT)
    path.write_text(json.dumps(json.loads(path.read_text()) | {"made_with": "another"}))
    with pytest.raises(OperatorError, match="another version of the rules"):
        detection.checked(path, ROOT)


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"schema": "other", "taken": "", "cases": []}', '{"cases": [1]}'])
def test_what_is_no_table_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "table.json"
    path.write_text(text)
    with pytest.raises(OperatorError, match="make it anew"):
        detection.checked(path, ROOT)


def test_a_case_that_says_ok_and_differs_does_not_count() -> None:
    case = lines()[1] | {"ok": True}
    table = {"schema": detection.SCHEMA, "taken": "2026-01-01T00:00:00+00:00", "cases": [case]}
    assert detection.parse(json.dumps(table)).headline == "detects 0 of 1"
