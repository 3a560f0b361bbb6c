"""Which drills of earlier runs prove an archive: none that is not plainly one that passed."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from backup_standard.evidence.folder import RunFolder
from backup_standard.evidence.proven import drilled_before, drilled_in
from backup_standard.evidence.verdicts import Outcome, Planned, Verdict
from backup_standard.model.readings import DrilledArchive

WHEN = dt.datetime(2026, 11, 23, 4, 15, tzinfo=dt.UTC)
VOLID = "backup-hdd:backup/vzdump-qemu-210-2026_11_23-02_00_29.vma.zst"
ROW = Planned("t.py::a[210]", "RST-01", "VM 210 (dns)", "A title", "must", "minimum")


def record() -> dict[str, Any]:
    """The record of a drill that passed."""
    return {
        "guest": 210, "node": "pve1", "finished": "2026-11-23T04:20:00+00:00", "outcome": "passed",
        "archive": {"volid": VOLID, "ctime": 1763859629, "size": 419430400},
        "steps": [{"name": "restore", "outcome": "ok"}, {"name": "teardown", "outcome": "ok"}],
    }  # fmt: skip


class Earlier:
    """An earlier run of the same client, to spoil."""

    def __init__(self, base: Path) -> None:
        self.folder = RunFolder.create(base, "acme", "drill", WHEN)
        self.drill, self.outcome = record(), Outcome.PASS
        self.run = {"kind": "drill", "client": "acme", "class": "real", "partial": False, "finished": WHEN}
        self.later = RunFolder.create(base, "acme", "audit", WHEN + dt.timedelta(days=1))

    def proves(self) -> tuple[DrilledArchive, ...]:
        """What a later run takes it for."""
        (self.folder.path / "drills.jsonl").write_text(json.dumps(self.drill) + "\n")
        self.folder.add_verdict(Verdict(**ROW.to_json(), outcome=self.outcome))
        self.folder.write_run(self.run)
        return drilled_before(self.later, "acme", "real")


@pytest.fixture
def earlier(tmp_path: Path) -> Earlier:
    return Earlier(tmp_path)


def test_a_passed_drill_proves_its_archive(earlier: Earlier) -> None:
    assert earlier.proves() == (
        DrilledArchive(210, VOLID, "pve1", 1763859629, 419430400, earlier.folder.id, "2026-11-23T04:20:00+00:00"),
    )


SPOILED: dict[str, Callable[[Earlier], object]] = {
    "a replay": lambda run: run.run.update(kind="replay"),
    "an audit": lambda run: run.run.update(kind="audit"),
    "another client": lambda run: run.run.update(client="emca"),
    "the lab": lambda run: run.run.update({"class": "lab"}),
    "a part": lambda run: run.run.update(partial=True),
    "a part, not told": lambda run: run.run.pop("partial"),
    "an unfinished run": lambda run: run.run.pop("finished"),
    "an unfinished drill": lambda run: run.drill.update(finished=None),
    "a failed drill": lambda run: run.drill.update(outcome="failed"),
    "a drill with a step that was not run": lambda run: run.drill["steps"][1].update(outcome="not run"),
    "a drill without steps": lambda run: run.drill.update(steps=[]),
    "an archive of unknown size": lambda run: run.drill["archive"].update(size=None),
    "no archive": lambda run: run.drill.pop("archive"),
    "a record of something else": lambda run: run.drill.pop("guest"),
    "a row that failed": lambda run: setattr(run, "outcome", Outcome.FAIL),
    "a row that was waived": lambda run: setattr(run, "outcome", Outcome.WAIVED),
    "a row that was not run": lambda run: setattr(run, "outcome", Outcome.NOT_RUN),
    "another guest's row": lambda run: run.drill.update(guest=211),
}


@pytest.mark.parametrize("spoil", SPOILED.values(), ids=SPOILED.keys())
def test_anything_else_proves_nothing(earlier: Earlier, spoil: Callable[[Earlier], object]) -> None:
    spoil(earlier)
    assert earlier.proves() == ()


def test_a_run_record_cut_short_proves_nothing(earlier: Earlier) -> None:
    earlier.proves()
    (earlier.folder.path / "run.json").write_text('{"kind": "dri')
    assert drilled_before(earlier.later, "acme", "real") == ()


def test_a_run_counts_its_own_drills_by_their_records(earlier: Earlier) -> None:
    earlier.proves()
    assert [one.run for one in drilled_in(earlier.folder)] == ["in this run"]
    assert drilled_before(earlier.folder, "acme", "real") == (), "but not as an earlier one's"
