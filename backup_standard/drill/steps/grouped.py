"""The whole of an application group: the end-to-end checks between its copies, once the last of them is up."""

from __future__ import annotations

from backup_standard.drill import groups
from backup_standard.drill.course import SERVICES_TIMEOUT, Course, Observed, Wrong
from backup_standard.errors import Refused


def check_group(course: Course) -> Observed:
    """Every end-to-end check of the group, from inside the copies of its guests."""
    group = course.plan.group
    if group is None:
        raise Refused(f"guest {course.plan.vmid} is in no group")
    whole = (*course.before, course)
    members = {one.plan.vmid: groups.Member(one.inside(), one.dialect) for one in whole}
    with course.phase("group") as phase:
        found = groups.check_all(group.checks, members, timeout=SERVICES_TIMEOUT)
        phase.update({"group": group.name, "checks": {name: wrong or "ok" for name, wrong in found.items()}})
    wrong = [text for text in found.values() if text]
    wrong += [f"guest {vmid} of group {group.name} was not drilled" for vmid in group.missing]
    if wrong:
        raise Wrong("; ".join(wrong), dict(phase))
    return dict(phase)
