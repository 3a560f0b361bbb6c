"""The forecast of the whole site's recovery, from what drills measured."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest

from backup_standard.model import Facts, Guest, GuestKind
from backup_standard.report import forecast

GIB = 1 << 30


def drill(vmid: int, *, gib: int = 1, restore: float = 10.0, whole: float = 40.0, **changes: Any) -> dict[str, Any]:
    return {
        "guest": vmid, "name": f"g{vmid}", "outcome": "passed", "bytes": gib * GIB, "disk_bytes": gib * GIB,
        "recovery_seconds": whole, "archive": {"volid": "backup:backup/x"},
        "phases": [{"name": "restore", "seconds": restore}, {"name": "boot", "seconds": whole - restore}],
    } | changes  # fmt: skip


def facts(config: dict[str, str]) -> Facts:
    guest = Guest(230, GuestKind.LXC, "files", "pve1", "running", config=config)
    return Facts(dt.datetime.now(dt.UTC), "9.2", {}, {230: guest}, {}, {}, {}, {}, {}, {})


LEFT_OUT = [{"vmid": 230, "guest": "guest 230 (files)", "reason": "not yet"}]


def test_measured_guests_count_with_their_own_times() -> None:
    found = forecast.reckon([drill(200), drill(210, restore=20.0, whole=60.0)], [], None)
    assert found
    assert found.one_by_one == 100.0
    assert found.by_storage == max(10 + 30, 30 + 40)


def test_storages_restore_side_by_side() -> None:
    other = drill(210, restore=20.0, whole=60.0, archive={"volid": "pbs:backup/y"})
    found = forecast.reckon([drill(200), other], [], None)
    assert found
    assert found.by_storage == 60.0


def test_guests_that_were_not_drilled_are_estimated_from_their_disks() -> None:
    found = forecast.reckon([drill(200)], LEFT_OUT, facts({"rootfs": "a:b,size=4G", "mp0": "a:c,mp=/srv,size=1G"}))
    assert found
    estimate = found.guests[1]
    assert (estimate.guest, estimate.measured, estimate.size) == ("guest 230 (files)", False, 5 * GIB)
    assert estimate.restore == pytest.approx(50.0)
    assert estimate.start == 30.0
    assert found.one_by_one == pytest.approx(120.0)


def test_a_failed_drill_counts_with_its_disks_and_not_with_its_time() -> None:
    found = forecast.reckon([drill(200), drill(210, gib=2, outcome="failed", whole=1.0)], [], None)
    assert found
    assert [one.measured for one in found.guests] == [True, False]
    assert found.one_by_one == pytest.approx(40 + 20 + 30)


def test_what_nothing_is_known_of_is_named_and_not_counted() -> None:
    found = forecast.reckon([drill(200)], LEFT_OUT, None)
    assert found
    assert found.unknown == ("guest 230 (files)",)
    assert found.one_by_one == 40.0
    body = forecast.section_body(found)
    assert "Nothing can be said of guest 230 (files): add their time." in body
    assert "40 s one after another" in body
    assert "107 MB/s" in body


@pytest.mark.parametrize(
    "drills", [[], [drill(200, outcome="failed")], [drill(200, bytes=None)], [drill(200, recovery_seconds=None)]]
)
def test_without_a_measured_recovery_nothing_is_forecast(drills: list[dict[str, Any]]) -> None:
    assert forecast.reckon(drills, LEFT_OUT, None) is None
    assert forecast.section_body(None) == ""


def test_names_stay_text() -> None:
    body = forecast.section_body(forecast.reckon([drill(200, name="<b>x</b>")], [], None))
    assert "&lt;b&gt;x" in body
    assert "<b>x" not in body
