"""Verdicts on their way to the run's folder: only the controller writes them, as they happen; the end reckons up."""

from __future__ import annotations

import datetime as dt
import getpass
import platform
import socket
from importlib.metadata import version
from typing import Any

import pytest

from backup_standard.evidence.recorded import REPLAY
from backup_standard.evidence.summary import Summary
from backup_standard.evidence.verdicts import Verdict, reconcile
from backup_standard.evidence.waived import unneeded
from backup_standard.plugin.rules import VERDICT, planned_row
from backup_standard.plugin.session import Run, is_worker, run_of

SCHEMA = "backup-standard/run/1"


@pytest.hookimpl(trylast=True)
def pytest_collection_finish(session: pytest.Session) -> None:
    """Write down what is planned; under pytest-xdist the workers do, all the same, as the controller collects none."""
    run = run_of(session.config)
    if run is None or not session.items:
        return
    rows = [row for row in map(planned_row, session.items) if row]
    not_judged = [{"vmid": one.vmid, "guest": one.guest, "reason": one.reason} for one in run.site.not_judged]
    run.folder.write_plan(rows, run.not_covered if run.is_drill else not_judged)


def verdict_in(report: pytest.TestReport) -> Verdict | None:
    """The verdict that a report carries; the report of a failed collection, which pytest also asks about, has none."""
    carried = [value for name, value in getattr(report, "user_properties", ()) if name == VERDICT]
    return Verdict.from_json(carried[-1]) if carried and isinstance(carried[-1], dict) else None


class Recorder:
    """Listens to the reports of the controller's session."""

    def __init__(self, run: Run) -> None:
        self.run = run

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Append a verdict to the run's folder."""
        verdict = verdict_in(report)
        if verdict:
            self.run.verdicts.append(verdict)
            self.run.folder.add_verdict(verdict)


@pytest.hookimpl(trylast=True)
def pytest_sessionstart(session: pytest.Session) -> None:
    """Listen, in the controller only."""
    run = run_of(session.config)
    if run and not is_worker(session.config):
        session.config.pluginmanager.register(Recorder(run), "backup_standard_recorder")


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    """Reckon up: what was planned and has no verdict is *not run*; settle the exit status; write the run's record."""
    run = run_of(session.config)
    if run is None or is_worker(session.config) or session.config.option.collectonly:
        return
    heard = {verdict.item for verdict in run.verdicts}
    rows = reconcile(run.folder.plan(), run.verdicts)
    for row in rows:
        if row.item not in heard:
            run.folder.add_verdict(row)
    for row in [] if run.is_part else unneeded(run.inventory.waivers, rows):
        run.verdicts.append(row)
        run.folder.add_verdict(row)
    summary = summary_of(run)
    session.exitstatus = summary.exit_status(int(session.exitstatus))
    run.folder.write_run(_record(run, summary, int(session.exitstatus)))


def summary_of(run: Run) -> Summary:
    """The run so far, reckoned up."""
    return Summary(
        reconcile(run.folder.plan(), run.verdicts),
        drilled=run.is_drill,
        not_covered=len(run.folder.not_covered()) if run.is_drill else 0,
        leftovers=len(run.leftovers),
        partial=run.is_part,
    )


def _record(run: Run, summary: Summary, exit_status: int) -> dict[str, Any]:
    """The run's own record: who ran what, when, against which site, with which versions, and how it ended."""
    facts, judged = run.site.facts, "drill" if run.is_drill else "audit"
    return {
        "schema": SCHEMA,
        "id": run.folder.id,
        "kind": REPLAY if run.replay_of else judged,
        "replay": {"of": run.replay_of.id, "kind": judged} if run.replay_of else None,
        "partial": run.is_part,
        "client": run.inventory.client,
        "class": run.inventory.class_,
        "site": {
            "name": run.inventory.site.name,
            "timezone": run.inventory.site.timezone,
            "api": run.inventory.api.url,
        },
        "nodes": sorted(facts.nodes),
        "facts_taken": facts.taken_at,
        "gaps": [{"fact": gap.fact, "reason": gap.reason, "need": gap.need} for gap in facts.gaps],
        "by": {"user": getpass.getuser(), "host": socket.gethostname()},
        "started": run.started,
        "finished": dt.datetime.now(dt.UTC),
        "versions": {
            "backup-standard": version("backup-standard") if _is_installed() else "source",
            "Proxmox VE": facts.release,
            "Python": platform.python_version(),
            "pytest": pytest.__version__,
        },
        "headline": summary.headline,
        "verdict": str(summary),
        "degraded": summary.is_degraded,
        "counts": summary.counts,
        "leftovers": run.leftovers,
        "unfinished": run.folder.unfinished(),
        "exit_status": exit_status,
    }


def _is_installed() -> bool:
    """Whether the library was installed as a package."""
    try:
        version("backup-standard")
    except ModuleNotFoundError:
        return False
    return True
