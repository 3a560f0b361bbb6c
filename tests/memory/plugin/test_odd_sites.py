"""Whole runs on sites with odd answers: an auditor reads causes, no tracebacks, and nothing drives the terminal."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests import labsite, wire
from tests.memory.plugin.conftest import Project
from tests.rules import builders as b
from tests.wire import Answered

pytest_plugins = ["pytester"]

HOSTILE = "web\x1b[2J\x1b]0;owned\x07\x9b31m\u202eevil\r\x00"


@pytest.fixture
def line(lab: labsite.LabSite, monkeypatch: pytest.MonkeyPatch) -> wire.Line:
    """The way to its API."""
    return wire.to(monkeypatch, lab.site)


@pytest.mark.parametrize(
    ("route", "bent", "cause"),
    [
        ("GET /cluster/backup", Answered(200, "OK", b'{"data":null}'), "the answer to GET /cluster/backup is not"),
        ("GET /storage", Answered(502, "Bad Gateway", b"<html>nginx</html>"), "Bad Gateway"),
        ("GET /nodes/{node}/tasks", Answered(200, "OK", b"<script>alert(1)</script>"), "not that of a Proxmox VE API"),
        ("GET /cluster/resources", Answered(200, "OK", b'{"data":[{}]}'), "the answer to GET /cluster/resources is"),
    ],
)
def test_a_bent_answer_is_told_with_its_cause_and_without_a_traceback(
    route: str, bent: Answered, cause: str, lab_project: Project, line: wire.Line
) -> None:
    line.bend = lambda asked, told: bent if asked.route == route else told
    result = lab_project.run()
    shown, page = result.stdout.str(), lab_project.last.report.read_text()
    assert result.ret == 12, shown
    for text in (shown, page):
        assert "Traceback" not in text
        assert "INTERNALERROR" not in text
        assert cause in " ".join(text.split())
    assert "<script>alert(1)" not in page


def test_names_and_notes_of_guests_cannot_drive_the_terminal_or_the_page(project: Project) -> None:
    facts = b.facts()
    project.facts = replace(facts, guests={**facts.guests, 210: b.guest(210, HOSTILE)}, jobs={})
    result = project.with_our_rules().run("-v")
    page = project.last.report.read_text()
    assert "web" in result.stdout.str()
    for text in (result.stdout.str(), page):
        assert not {"\x1b", "\x9b", "\x07", "\x00", "\u202e"} & set(text)
