"""What the operator sees on the terminal: the header, letters for outcomes, and the verdict at the end."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Sequence
from typing import Any

import pytest

from backup_standard.evidence.folder import RunFolder
from backup_standard.evidence.verdicts import Outcome, Verdict
from backup_standard.evidence.wording import is_command, shown
from backup_standard.plugin.session import Run, is_worker, run_of
from backup_standard.plugin.verdicts import summary_of, verdict_in

_MILD = {Outcome.NOT_APPLICABLE: "-", Outcome.ADVISORY: "a", Outcome.ATTESTED: "A", Outcome.WAIVED: "w"}
_LETTERS = {Outcome.UNKNOWN: ("U", "UNKNOWN"), Outcome.ERROR: ("E", "ERROR"), Outcome.NOT_RUN: ("n", "NOT RUN")}

_SHOWN = 3
"""Unfinished runs that the header names."""


@pytest.hookimpl(trylast=True)
def pytest_sessionstart(session: pytest.Session) -> None:
    """Leave file names out of a drill's progress: the drills tell what they do."""
    run = run_of(session.config)
    terminal: Any = session.config.pluginmanager.get_plugin("terminalreporter")
    if run and run.is_drill and terminal:
        terminal.showfspath = False


def pytest_report_header(config: pytest.Config) -> list[str]:
    """Say whose site it is and where the run's folder is."""
    run = run_of(config)
    if run is None or is_worker(config):
        return []
    lab = ", LAB" if run.inventory.class_ == "lab" else ""
    release = f", Proxmox VE {shown(run.site.facts.release)}" if run.site_read else ""
    replay = [f"replay of {run.replay_of.path}: nothing is asked of the site"] if run.replay_of else []
    client = f"client: {run.inventory.client}{lab}; site: {run.inventory.site.name}{release}"
    earlier = _last(run.folder.unfinished_runs())
    unfinished = [f"an earlier run has not ended, and proves nothing: {one}" for one in earlier]
    return [client, *replay, f"run: {run.folder.path}", *unfinished]


def _last(runs: Sequence[RunFolder]) -> Iterator[str]:
    if len(runs) > _SHOWN:
        yield f"{len(runs) - _SHOWN} more before these"
    for one in runs[-_SHOWN:]:
        yield one.progress()


@pytest.hookimpl(tryfirst=True)
def pytest_report_teststatus(report: pytest.TestReport, config: pytest.Config) -> Any:
    """A letter and a word for outcomes that pytest does not know; none for a drill's steps, which speak themselves."""
    verdict, run = verdict_in(report), run_of(config)
    if verdict is None:
        return None
    if verdict.outcome is Outcome.PASS and run and run.is_drill:
        return "passed", "", "PASSED"
    if verdict.outcome in _MILD:
        return str(verdict.outcome), _MILD[verdict.outcome], (verdict.outcome.upper(), {"yellow": True})
    if verdict.outcome not in _LETTERS:
        return None
    letter, word = _LETTERS[verdict.outcome]
    category, colour = ("failed", "red") if report.failed else (str(verdict.outcome), "yellow")  # only recommended
    return category, letter, (word, {colour: True})


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    """Leave the worker's name out of findings: it says nothing to an operator."""
    terminal: Any = session.config.pluginmanager.get_plugin("terminalreporter")
    for report in terminal.stats.get("failed", ()) if terminal and run_of(session.config) else ():
        if verdict_in(report) and hasattr(report, "node"):
            del report.node


def pytest_terminal_summary(terminalreporter: Any, config: pytest.Config) -> None:
    """The verdict line, counts, red rules with their remedies, advisories, and where the report is."""
    run = run_of(config)
    if run is None or is_worker(config) or config.option.collectonly:
        return
    summary = summary_of(run)
    terminalreporter.section("backup standard", sep="=", green=summary.is_green, red=not summary.is_green, bold=True)
    for verdict, others in _alike(summary.rows):
        _say_row(terminalreporter, verdict)
        if others:
            terminalreporter.write_line(f"         likewise for {', '.join(others)}: see the report")
    _say_not_covered(terminalreporter, run)
    for leftover in run.leftovers:
        terminalreporter.write_line(f"left behind: {shown(leftover)}", red=True)
    terminalreporter.write_line("")
    terminalreporter.write_line(str(summary), green=summary.is_green, red=not summary.is_green, bold=True)
    counts = ", ".join(f"{count} {outcome}" for outcome, count in summary.counts.items() if count)
    lab = "LAB · " if run.inventory.class_ == "lab" else ""
    replay = "REPLAY · " if run.replay_of else ""
    terminalreporter.write_line(f"{lab}{replay}{len(summary.rows)} rows: {counts or 'none'}")
    terminalreporter.write_line(f"report: {run.folder.report}")


def _alike(rows: Sequence[Verdict]) -> Iterator[tuple[Verdict, list[str]]]:
    """Each row that did not pass; of recommendations of one rule only the first, with the subjects of the others."""
    mild: dict[tuple[str, Outcome], list[Verdict]] = {}
    for verdict in rows:
        if verdict.outcome.is_red or verdict.outcome is Outcome.WAIVED:
            yield verdict, []
        elif verdict.outcome is not Outcome.PASS:
            mild.setdefault((verdict.rule, verdict.outcome), []).append(verdict)
    for first, *rest in mild.values():
        yield first, [verdict.subject for verdict in rest]


def _say_row(terminal: Any, verdict: Verdict) -> None:
    colour = {"red": True} if verdict.outcome.is_red else {"yellow": True}
    terminal.write_line(f"{verdict.outcome.upper():<8} {verdict.rule}  {verdict.subject}", **colour)
    for line in textwrap.wrap(" ".join(verdict.message.split()), 108):
        terminal.write_line(f"         {line}")
    for line in verdict.remedy.splitlines():
        terminal.write_line(f"         $ {line}" if is_command(line) else f"         {line}")


def _say_not_covered(terminal: Any, run: Run) -> None:
    word = "not yet covered" if run.is_drill else "not judged"
    for one in run.folder.not_covered():
        terminal.write_line(shown(f"{word}: {one['guest']}: {one['reason']}"))
