"""Data and screens of whole drills against the site in memory."""

from __future__ import annotations

import datetime as dt
import json
from typing import Any

import pytest

from backup_standard.drill import screen
from backup_standard.drill.engine import Drill
from backup_standard.drill.steps import data
from backup_standard.errors import NotRun
from backup_standard.inventory.schema import Inventory
from tests.drillground import NOON, Ground

LAST_NIGHT = dt.datetime.fromtimestamp(NOON, tz=dt.UTC) - dt.timedelta(hours=11)
"""About the time of the newest archives: 02:00 of the site."""


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(data, "DATA_TIMEOUT", 0.2)


def with_file(ground: Ground, path: str, text: str, changed: dt.datetime) -> None:
    """Let the copy of guest 210 have this file, written then, as soon as it runs."""
    files = ground.lab.hypervisor.guest(211).host.files
    files.makedirs(path.rpartition("/")[0])
    files.write(path, text.encode(), mtime=changed.timestamp())


def drilled(ground: Ground, checks: list[dict[str, Any]], *, text: str = "x", changed: dt.datetime) -> Drill:
    ground.inventory = ground.changed(vmid=210, data=checks)
    with ground.drill(210) as drill:
        drill.step("services")
        with_file(ground, "/var/lib/beat", text, changed)
        drill.step("data")
    return drill


def archived(drill: Drill) -> dt.datetime:
    assert drill.plan.archive
    return dt.datetime.fromtimestamp(drill.plan.archive.ctime, tz=dt.UTC)


def test_a_heartbeat_measures_the_rpo_and_it_is_in_the_record(ground: Ground) -> None:
    drill = drilled(ground, [{"modified": "/var/lib/beat"}], changed=LAST_NIGHT - dt.timedelta(minutes=5))
    assert drill.record.steps["data"].ok, drill.record.steps["data"]
    age = drill.record.started - (LAST_NIGHT - dt.timedelta(minutes=5))
    assert drill.record.data_age_seconds == pytest.approx(age.total_seconds(), abs=2)
    (line,) = (drill.tools.folder / "drills.jsonl").read_text().splitlines()
    assert json.loads(line)["data_age_seconds"] == drill.record.data_age_seconds


def test_a_heartbeat_older_than_the_guests_own_rpo_fails(ground: Ground) -> None:
    inventory = ground.changed(vmid=210).model_dump(by_alias=True)
    inventory["guests"][210]["rpo"] = "12h"
    ground.inventory = Inventory.model_validate(inventory)
    drill = drilled(ground, [{"heartbeat": "/var/lib/beat"}], text="2020-01-01T00:00:00Z ok\n", changed=LAST_NIGHT)
    assert not drill.record.steps["data"].ok
    assert "the RPO is 12 h" in drill.record.steps["data"].message
    assert drill.record.outcome == "failed"


def test_a_heartbeat_that_the_copy_wrote_after_it_booted_is_no_proof(ground: Ground) -> None:
    drill = drilled(ground, [{"modified": "/var/lib/beat"}], changed=dt.datetime.now(dt.UTC) + dt.timedelta(days=1))
    assert "the copy writes them itself" in drill.record.steps["data"].message
    assert drill.record.data_age_seconds is None


def test_without_declared_data_there_is_no_such_step_and_the_record_says_what_was_not_proven(ground: Ground) -> None:
    ground.inventory = ground.changed(vmid=210, data=[])
    with ground.drill(210) as drill:
        assert drill.step("services").ok
        with pytest.raises(NotRun, match="guest 210 declares no data"):
            drill.step("data")
        drill.step("teardown")
    assert "data" not in drill.record.steps
    assert drill.record.outcome == "passed"
    assert drill.record.not_proven == ["the data: guests.210.drill.data declares none"]


def test_what_changed_in_production_since_the_backup_is_evidence_and_no_failure(ground: Ground) -> None:
    ground.lab.site.guest(210).config["cores"] = "4"
    with ground.drill(210) as drill:
        restore = drill.step("restore")
    assert restore.ok
    (told,) = restore.observed["changed_since_the_backup"]
    assert told.startswith("cores: ")
    assert told.endswith("in the archive, 4 in production today")
    assert drill.record.drift == [told]


def test_a_copy_that_came_back_with_less_memory_is_not_what_was_asked_for(ground: Ground) -> None:
    with ground.drill(210) as drill:
        get = drill.tools.api.get

        def shrunk(path: str, /, **params: object) -> object:
            answer = get(path, **params)
            return answer | {"memory": "16"} if path.endswith("/qemu/211/config") else answer

        drill.tools.api.get = shrunk  # type: ignore[method-assign]
        restore = drill.step("restore")
    assert "memory is 16, in the archive" in restore.message


@pytest.mark.parametrize(("wanted", "reason", "kept"), [("no", screen.LEFT_OUT, 0), ("blurred", screen.BLURRED, 1)])
def test_screens_are_left_out_or_kept_blurred(ground: Ground, wanted: str, reason: str, kept: int) -> None:
    ground.inventory = ground.changed(vmid=210, screen=wanted)
    with ground.drill(210) as drill:
        drill.step("boot")
    assert drill.record.screenshot_reason == reason
    assert len(list(drill.tools.folder.rglob("*.png"))) == kept
    asked = [task for task in ground.lab.site.tasks.all() if task.type == "vncproxy"]
    assert bool(asked) is bool(kept), "a screen that is left out is not even asked for"
