"""Services: every declared service of the restored guest, and the time the recovery took until here."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from backup_standard.drill import services
from backup_standard.drill.course import SERVICES_TIMEOUT, Course, Observed, Unproven, Wrong
from backup_standard.drill.steps.access import ports_of
from backup_standard.errors import Refused
from backup_standard.quantities import say_duration


def check_services(course: Course) -> Observed:
    """Every declared service, and the time the recovery took until here."""
    plan, record = course.plan, course.record
    with course.phase("services") as phase:
        if plan.settings.services == "none":
            phase["services"] = f"none, because {plan.settings.services_reason}"
        else:
            phase["services"] = _declared(course, plan.settings.services)
    record.recovery_seconds = sum(step.seconds for step in record.steps.values()) + record.phases[-1].seconds
    seen = {**phase, "recovered_after": say_duration(round(record.recovery_seconds, 1))}
    if plan.rto and record.recovery_seconds > plan.rto.total_seconds():
        raise Wrong(f"recovery took {seen['recovered_after']}; the RTO is {say_duration(plan.rto)}", seen)
    return seen


def _declared(course: Course, checks: Sequence[Any]) -> dict[str, str]:
    if not checks:
        where = f"guests.{course.plan.vmid}.drill"
        raise Refused(
            "the inventory declares no services", next_step=f"list {where}.services, or services: none with a reason"
        )
    agent = course.agent.run if course.booted and course.booted.agent else None
    user = course.session.run if course.session else None
    given = course.plan.settings.services_timeout
    timeout = given.total_seconds() if given else SERVICES_TIMEOUT
    found = services.check_all(
        checks, services.Probes(agent, user, ports_of(course), course.dialect), timeout=timeout,
        tick=lambda what, _elapsed: course.say("services", f"waiting for {what}"),
    )  # fmt: skip
    seen = {what: str(one) for what, one in found.items()}
    wrong = [one.wrong for one in found.values() if one.fails]
    if wrong and not course.tools.choices.gateway and all(services.UNREACHED in text for text in wrong):
        raise Unproven(f"{'; '.join(wrong)} (--no-gateway)")
    if wrong:
        raise Wrong("; ".join(wrong), {"services": seen})
    return seen
