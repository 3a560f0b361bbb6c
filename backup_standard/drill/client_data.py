"""What the inventory declares of a guest that holds a client's data: where the data lies, and its databases."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from backup_standard.drill import looks, services
from backup_standard.drill.plan import DrillPlan
from backup_standard.drill.record import StepResult
from backup_standard.errors import NotApplicable

EXAMPLE = "- sql: {client: psql, database: shop, query: select count(*) > 0 from orders, answer: t}"


class Drilled(Protocol):
    """A drill, or one that is told again."""

    @property
    def plan(self) -> DrillPlan:
        """What was planned."""
        ...

    def step(self, name: str) -> StepResult:
        """The result of a step."""
        ...


def paths(plan: DrillPlan) -> Sequence[str]:
    """The declared files and folders that must be writable; NotApplicable with what to declare where there are none."""
    declared = [check.path for check in plan.settings.data if check.path and not check.read_only]
    unix = [path for path in dict.fromkeys(declared) if path.startswith("/")]
    if declared and not unix:
        raise NotApplicable("the declared data lies on Windows, which mounts nothing read-only after an error")
    if not unix:
        raise NotApplicable(
            f"the inventory does not say where data lies that is written to: guests.{plan.vmid}.drill.data, "
            "for example - {folder: /srv/data, mounted: true}"
        )
    return unix


def databases(drill: Drilled) -> Mapping[str, Any]:
    """The declared databases and what the services step saw of each; NotApplicable with what to declare without any."""
    declared = drill.plan.settings.services
    checks = () if declared == "none" else declared
    names = [name for name, check in zip(looks.named(map(services.say, checks)), checks, strict=True) if _counts(check)]
    if not names:
        raise NotApplicable(
            f"the inventory declares no database: guests.{drill.plan.vmid}.drill.services, for example {EXAMPLE}"
        )
    seen = drill.step("services").observed.get("services", {})
    return {name: seen.get(name, "not looked at") for name in names}


def _counts(check: Any) -> bool:
    return check.sql is not None and not check.expected_under_isolation
