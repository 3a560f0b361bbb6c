"""Planned runs are asked of the site within bounds; only the logs that a rule may need are read."""

from __future__ import annotations

import datetime as dt
import time
from itertools import pairwise
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from backup_standard.audit import planned
from backup_standard.collect.rights import Completeness
from backup_standard.collect.schedules import list_jobs, read_jobs, read_runs
from backup_standard.collect.vzdump_tasks import read_tasks
from backup_standard.errors import ApiError
from backup_standard.model import Gap, Node
from tests.unit.collect.stubsite import inventory, reader, site

DAY = 86400
BERLIN = {"pve1": Node("pve1", online=True, timezone="Europe/Berlin")}
NOTHING_HIDDEN = Completeness(None, None, {"pve1": None})


def every(seconds: Any) -> Any:
    """schedule-analyze of a schedule with this period."""

    def answer(params: Any) -> Any:
        first = params["starttime"] // seconds * seconds + seconds
        return [{"timestamp": first + seconds * n, "utc": ""} for n in range(params["iterations"])]

    return answer


def jobs_of(analyze: Any, *schedules: Any, nodes: Any = BERLIN, **more: Any) -> Any:
    routes = site("pve1", **{"/cluster/jobs/schedule-analyze": analyze, **more})
    routes["/cluster/backup"] = [{"id": f"j{n}", "schedule": text} for n, text in enumerate(schedules)]
    for n in range(len(schedules)):
        routes.setdefault(f"/cluster/backup/j{n}/included_volumes", {"children": []})
    with reader(routes) as source:
        listed = list_jobs(source)
        jobs = read_runs(source, inventory(), listed, nodes).given_to(read_jobs(source, listed))
        calls = [params for path, params in source.pve.asked if path.endswith("analyze")]
    return jobs, calls


def test_a_nightly_schedule_is_asked_for_400_nights_once_for_all_jobs() -> None:
    jobs, calls = jobs_of(every(DAY), "02:00", "02:00", "02:00")

    assert len(calls) == 5
    assert all(call["iterations"] == 100 for call in calls)
    runs = jobs["j0"].runs
    assert len(runs) in (401, 402)
    assert [later - earlier for earlier, later in pairwise(runs)] == [DAY] * (len(runs) - 1)
    assert jobs["j2"].runs == runs
    assert jobs["j0"].runs_source == "the site (Europe/Berlin)"


@pytest.mark.parametrize("hour", range(24))
@pytest.mark.parametrize("schedule", ["02:00", "sun 02:00"])
def test_at_any_hour_the_runs_reach_as_far_as_the_rules_look(
    hour: int, schedule: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = 1_793_000_000 // DAY * DAY + 3600 * hour
    monkeypatch.setattr(time, "time", lambda: now)
    jobs, _calls = jobs_of(every(7 * DAY if "sun" in schedule else DAY), schedule)
    starts = planned.coming_starts(jobs["j0"], now, ZoneInfo("Europe/Berlin"))
    assert starts
    assert set(starts) <= set(jobs["j0"].runs)  # none was computed here


def test_a_rare_schedule_needs_one_call() -> None:
    jobs, calls = jobs_of(every(7 * DAY), "sun 02:00")
    assert len(calls) == 1
    assert len(jobs["j0"].runs) in (57, 58)


def test_a_schedule_of_many_runs_a_day_is_not_asked_to_the_end() -> None:
    jobs, calls = jobs_of(every(3600), "*:00")
    assert len(calls) == 5
    assert (jobs["j0"].runs, jobs["j0"].runs_source) == ((), "")


def test_a_schedule_that_ends_or_never_fires() -> None:
    jobs, _ = jobs_of(lambda params: [{"timestamp": params["starttime"] + 60}], "2026-12-24 02:00")
    assert len(jobs["j0"].runs) == 1
    jobs, _ = jobs_of([], "*-02-30")
    assert (jobs["j0"].runs, jobs["j0"].runs_source) == ((), "")


def test_a_schedule_that_the_site_refuses_has_no_runs_of_the_site() -> None:
    jobs, _ = jobs_of(ApiError("unable to parse calendar event", status=400), "nonsense")
    assert (jobs["j0"].runs, jobs["j0"].runs_source) == ((), "")


def test_a_site_whose_nodes_live_in_another_zone_is_not_asked() -> None:
    for nodes in (
        {"pve1": Node("pve1", online=True, timezone="Etc/UTC")},
        BERLIN | {"pve2": Node("pve2", online=True, timezone="Etc/UTC")},
        {"pve1": Gap("clock", "no")},
    ):
        jobs, calls = jobs_of(every(DAY), "02:00", nodes=nodes)
        assert (calls, jobs["j0"].runs, jobs["j0"].runs_source) == ([], (), "")


def test_a_node_that_is_off_does_not_matter_for_the_zone() -> None:
    _, calls = jobs_of(every(DAY), "02:00", nodes=BERLIN | {"pve2": Node("pve2", online=False)})
    assert calls


def test_a_job_whose_volumes_cannot_be_read_makes_the_jobs_unknown() -> None:
    jobs, _ = jobs_of(
        every(DAY), "02:00", "03:00", **{"/cluster/backup/j1/included_volumes": ApiError("pool gone", status=500)}
    )
    assert jobs == Gap("what job j1 includes", "pool gone", broken=True)


MOMENT = dt.datetime(2026, 11, 24, 9, tzinfo=dt.UTC)


def task(number: Any, guest: Any = "210", user: Any = "root@pam", **more: Any) -> Any:
    upid = f"UPID:pve1:{number:08X}:00000000:6B04A99C:vzdump:{guest}:{user}:"
    return {
        "upid": upid,
        "node": "pve1",
        "type": "vzdump",
        "id": guest,
        "user": user,
        "starttime": 1000 + number,
        **more,
    }


def tasks_of(
    listed: Any, log: Any = None, jobs: Any = None, complete: Any = NOTHING_HIDDEN, nodes: Any = BERLIN
) -> Any:
    routes = {"/nodes/pve1/tasks": listed if isinstance(listed, Exception) else lambda p: _page(listed, p)}
    for raw in [] if isinstance(listed, Exception) else listed:
        routes[f"/nodes/pve1/tasks/{raw['upid']}/log"] = log or [{"n": 1, "t": f"log of {raw['upid']}"}]
    with reader(routes) as source:
        tasks = read_tasks(source, nodes, complete, MOMENT, jobs if jobs is not None else {})
        return tasks, source.pve.asked


def _page(listed: Any, params: Any) -> Any:
    assert params["typefilter"] == "vzdump"
    assert params["source"] == "all"
    assert params["since"] == int(MOMENT.timestamp()) - 16 * DAY
    return listed[params["start"] : params["start"] + params["limit"]]


def test_the_newest_scheduled_tasks_of_each_guest_have_their_log() -> None:
    listed = [task(n, guest) for n in range(10) for guest in ("200", "210")]
    tasks, asked = tasks_of(listed)

    (found,) = tasks.values()
    assert [one.starttime for one in found] == sorted((raw["starttime"] for raw in listed), reverse=True)
    assert sum(one.log is not None for one in found) == 6
    assert all(one.log == (f"log of {one.upid}",) for one in found[:6])
    assert len([path for path, _ in asked if path.endswith("/log")]) == 6


def test_tasks_that_a_person_or_token_started_need_no_log() -> None:
    tasks, _ = tasks_of([task(1, tokenid="suite"), task(2, user="op@pve"), task(3, user="root@pam!suite")])
    assert [one.log for one in tasks["pve1"]] == [None, None, None]


def test_tasks_of_several_guests_share_an_empty_id_so_more_logs_are_read() -> None:
    jobs, _ = jobs_of(every(DAY), "02:00", "03:00")
    tasks, _ = tasks_of([task(n, "") for n in range(10)], jobs=jobs)
    assert sum(one.log is not None for one in tasks["pve1"]) == 6


def test_long_lists_come_in_pages() -> None:
    tasks, asked = tasks_of([task(n, str(100 + n)) for n in range(1001)])
    assert len(tasks["pve1"]) == 1001
    assert [params["start"] for path, params in asked if path == "/nodes/pve1/tasks"] == [0, 500, 1000]


def test_a_log_that_cannot_be_read_is_none() -> None:
    listed = [task(1)]
    tasks, _ = tasks_of(listed, log=ApiError("gone", status=500))
    assert tasks["pve1"][0].log is None
    assert tasks["pve1"][0].unread == Gap(f"the log of task {listed[0]['upid']}", "gone", broken=True)


def test_a_list_that_may_be_filtered_or_is_refused_is_a_gap() -> None:
    hidden = Gap("the tasks of node pve1", "no Sys.Audit")
    tasks, asked = tasks_of([task(1)], complete=Completeness(None, None, {"pve1": hidden}))
    assert tasks == {"pve1": hidden}
    assert asked == []
    tasks, _ = tasks_of(ApiError("proxy", status=595))
    assert tasks["pve1"] == Gap("the tasks of node pve1", "proxy", broken=True)


def test_jobs_that_are_unknown_do_not_stop_the_tasks() -> None:
    tasks, _ = tasks_of([task(1, "")], jobs=Gap("jobs", "no"))
    assert tasks["pve1"][0].log
