"""The copy of a failed drill, left standing for a person to look at: how to reach it, and how to remove it."""

from __future__ import annotations

import shlex
from collections.abc import Sequence

from backup_standard.drill import protection
from backup_standard.drill.choices import Choices
from backup_standard.drill.claims import Claim
from backup_standard.drill.course import Course
from backup_standard.drill.record import DrillRecord, Outcome
from backup_standard.errors import OperatorError

INTERRUPTED = "interrupted: "
"""How the message of a step begins that somebody broke off."""


def is_wanted(choices: Choices, record: DrillRecord) -> bool:
    """Whether a step failed by itself, and the operator wants to see what is there then."""
    failed = [step for step in record.steps.values() if step.outcome in {Outcome.FAILED, Outcome.ERROR}]
    return choices.keep_failed and bool(failed) and not any(step.message.startswith(INTERRUPTED) for step in failed)


def keep(course: Course, standing: Sequence[Claim]) -> str:
    """Note that the copies are kept, and say so, with the commands to reach and to remove them.

    Their archive is no longer needed: its protection is taken back.
    """
    problems: list[str] = []
    for claim in standing:
        course.tools.claims.keep(claim.vmid)
        try:
            protection.lift(course.tools.api, course.tools.claims, claim)
        except OperatorError as problem:
            problems.append(f"; the archive is still protected: {problem.said}")
    course.record.kept = True
    kept = ", ".join(str(claim.vmid) for claim in standing)
    text = (
        f"kept, not cleaned (--keep-restored=failed): VMID {kept} on {course.plan.node}; "
        f"to reach it, on {course.plan.node}: {'; '.join(ways_in(course))}; "
        f"to remove it: backup-standard reap --inventory FILE --yes{''.join(problems)}"
    )
    course.say("kept", text)
    return text


def ways_in(course: Course) -> list[str]:
    """Commands on the node that lead to the copy."""
    tool = "pct enter" if course.is_container else "qm terminal"
    ways = [f"{tool} {course.vmid}"]
    login, gateway = course.plan.settings.login, course.gateway
    if login and gateway and not login.throwaway_key:  # its private half ends with the drill
        into = ("ip", "netns", "exec", gateway.namespace)
        ssh = ("ssh", "-p", str(login.port), f"{login.user}@{gateway.guest_address}")
        ways.append(shlex.join((*into, *ssh)))
    return ways
