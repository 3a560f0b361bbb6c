"""Data: what the inventory declares of the restored guest's data, and how old that data is."""

from __future__ import annotations

import datetime as dt
import zoneinfo

from backup_standard.drill import data
from backup_standard.drill.course import DATA_TIMEOUT, Course, Observed, Wrong


def check_data(course: Course) -> Observed:
    """Every declared canary and heartbeat; the oldest heartbeat of the newest archive is the measured RPO."""
    plan, record = course.plan, course.record
    archived = dt.datetime.fromtimestamp(plan.archive.ctime if plan.archive else 0, tz=dt.UTC)
    zone = zoneinfo.ZoneInfo(course.tools.surroundings.timezone)
    times = data.Times(record.started, archived, zone, plan.rpo, plan.is_newest)
    with course.phase("data") as phase:
        found = data.check_all(plan.settings.data, course.inside(), course.dialect, times, timeout=DATA_TIMEOUT)
        phase["data"] = {name: str(shown) for name, shown in found.items()}
        age = data.oldest(found.values())
        if age is not None and plan.is_newest:
            record.data_age_seconds = phase["measured_rpo_seconds"] = round(age.total_seconds())
    wrong = [shown.wrong for shown in found.values() if shown.wrong]
    if wrong:
        raise Wrong("; ".join(wrong), dict(phase))
    return dict(phase)
