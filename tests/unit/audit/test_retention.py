"""Retention as Proxmox really applies it, run after run."""

from __future__ import annotations

import datetime as dt
from zoneinfo import ZoneInfo

from backup_standard.audit.retention import Retention, Run, Window, simulate, with_weekly_manual_backup

BERLIN = ZoneInfo("Europe/Berlin")
FIRST = dt.datetime(2026, 1, 1, 2, 0, tzinfo=BERLIN)


def nightly(retention: Retention, count: int = 100) -> list[Run]:
    return [Run(int((FIRST + dt.timedelta(days=number)).timestamp()), retention) for number in range(count)]


def keep(removes: bool = True, **counts: int) -> Retention:  # noqa: FBT001, FBT002
    return Retention({f"keep-{name}": count for name, count in counts.items()}, "a test", removes)


def test_without_runs_nothing_is_kept() -> None:
    assert simulate([], BERLIN) == Window()


def test_seven_nightly_points_span_six_days() -> None:
    assert simulate(nightly(keep(last=7)), BERLIN) == Window(7, 7, dt.timedelta(days=6))


def test_too_few_runs_to_fill_the_window_count_as_they_are() -> None:
    assert simulate(nightly(keep(daily=7), count=3), BERLIN).nights == 1


def test_keep_all_grows_without_end() -> None:
    retention = keep(all=1)
    assert retention.keeps_all
    assert str(retention) == "keep-all=1 (from a test)"
    assert simulate(nightly(retention), BERLIN).nights == 40


def test_refused_runs_are_counted_and_leave_no_archive() -> None:
    window = simulate(nightly(keep(removes=False, last=3, daily=2)), BERLIN)
    assert window.refused == 95
    assert window.archives == 5


def test_a_weekly_manual_backup_takes_a_place_of_keep_last() -> None:
    runs = nightly(keep(last=7))
    assert simulate(with_weekly_manual_backup(runs), BERLIN).nights == 6
    assert simulate(with_weekly_manual_backup(nightly(keep(daily=14))), BERLIN).nights >= 12


def test_a_run_every_minute_is_looked_at_over_its_last_days() -> None:
    start = int(FIRST.timestamp())
    runs = [Run(start + 60 * number, keep(daily=7)) for number in range(60 * 24 * 12)]
    assert simulate(runs, BERLIN).archives <= 8
