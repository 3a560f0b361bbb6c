"""Restore: check that the drill may begin, claim the VMID, restore with every override, look at what came out."""

from __future__ import annotations

from backup_standard.drill import configuration, guestconfig, names, preflight, production, protection, rights
from backup_standard.drill import restore as restoring
from backup_standard.drill.course import RESTORE_TIMEOUT, Course, Observed, Wrong
from backup_standard.errors import OperatorError
from backup_standard.quantities import say_duration, say_size


def restore(course: Course) -> Observed:
    """Check that the drill may begin, claim the VMID, restore with every override, look at what came out."""
    with course.turn_to_restore():
        return _restore(course)


def _restore(course: Course) -> Observed:
    plan, tools, record = course.plan, course.tools, course.record
    course.say("preflight", str(plan))
    record.production_before = production.snapshot(tools.api, tools.guests)
    record.not_proven += production.unseen(record.production_before)
    seen: Observed = preflight.check(
        plan, tools.api, tools.surroundings, tools.shell, held=tools.limits.held(plan.node) if tools.limits else 0
    )
    record.not_proven += seen.get("not_proven_free", [])
    course.archived = restoring.read_archived(tools.api, plan)
    record.system = course.dialect.name
    decided = restoring.decide(course.archived, plan, tools.run)
    record.neutralised = [*map(str, decided.changes), *(f"kept: {text}" for text in decided.kept)]
    rights.require(tools.api, plan, course.archived, decided)
    claim = tools.claims.claim(plan.temporary_vmid, source=plan.vmid, node=plan.node, kind=plan.kind)
    if plan.protect:
        seen["archive_protected"] = protection.protect(tools.api, tools.claims, claim, plan.volid)
    with course.phase("restore") as phase:
        course.restored = done = restoring.restore(
            tools.api, tools.claims, plan, decided, timeout=RESTORE_TIMEOUT,
            percent=lambda percent: course.say("restore", percent=percent),
        )  # fmt: skip
        record.bytes = done.bytes
        record.mb_per_s = round(done.bytes / 1e6 / done.seconds, 1) if done.bytes and done.seconds else None
        phase.update({"bytes": done.bytes, "mb_per_s": record.mb_per_s, "tasks": list(done.upids)})
    restoring.finish(tools.api, course.path, done, decided)
    wrong = restoring.look(tools.api, course.path, course.archived, decided)
    record.drift = _drift(course)
    seen |= {
        "archive": plan.archive.volid if plan.archive else None,
        "temporary_vmid": done.vmid,
        "took": say_duration(round(done.seconds, 1)),
        "restored": say_size(done.bytes) if done.bytes else "unknown",
        "warnings": list(done.warnings),
        "changed_since_the_backup": record.drift or "nothing",
    }
    if done.cloned_from:
        seen["cloned_from"] = done.cloned_from
    if wrong:
        raise Wrong(f"the restored guest is not what was asked for: {'; '.join(wrong)}", seen)
    return seen


def _drift(course: Course) -> list[str]:
    """How production's configuration differs from the archived one today: what a real restore would take back."""
    plan = course.plan
    try:
        today = course.tools.api.get(f"{names.guest_path(plan.kind, plan.node, plan.vmid)}/config")
    except OperatorError as problem:
        return [f"production's configuration could not be read: {str(problem).splitlines()[0]}"]
    return configuration.drift(course.archived, guestconfig.texts(today))
