"""The drill rules judge the steps of a drill: each passes on a good one and fails on a bad one, with its message."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from backup_standard.drill.record import Outcome, StepResult
from backup_standard.evidence.notes import Evidence
from drills import test_rst_restore as rules

ROWS: list[tuple[Callable[..., None], str]] = [
    (rules.test_newest_archive_restores_into_a_temporary_vmid, "restore"),
    (rules.test_restored_guest_boots_from_its_own_disk, "boot"),
    (rules.test_named_account_logs_in_and_a_wrong_credential_is_refused, "login"),
    (rules.test_network_is_as_at_home_and_production_is_out_of_reach, "network"),
    (rules.test_declared_services_start_within_the_rto, "services"),
    (rules.test_application_group_works_from_end_to_end, "group"),
    (rules.test_data_is_what_was_backed_up_and_no_older_than_the_rpo, "data"),
    (rules.test_temporary_guest_is_deleted_and_production_is_as_before, "teardown"),
]


class Drilled:
    """A drill of which only one step went as said."""

    def __init__(self, step: str, outcome: Outcome) -> None:
        self._step, self._outcome = step, outcome

    def step(self, name: str) -> StepResult:
        outcome = self._outcome if name == self._step else (Outcome.FAILED, Outcome.OK)[self._outcome is Outcome.FAILED]
        return StepResult(name, outcome, 1.0, {"seen": name}, f"{name} went wrong")


@pytest.mark.parametrize(("rule", "step"), ROWS, ids=[step for _, step in ROWS])
def test_a_row_passes_with_its_step_alone(rule: Callable[..., None], step: str) -> None:
    evidence = Evidence()
    rule(Drilled(step, Outcome.OK), evidence)
    assert evidence.observed == {"seen": step}


@pytest.mark.parametrize(("rule", "step"), ROWS, ids=[step for _, step in ROWS])
def test_a_row_fails_with_its_step_alone_and_says_why(rule: Callable[..., None], step: str) -> None:
    evidence: Any = Evidence()
    with pytest.raises(AssertionError, match=f"{step} went wrong"):
        rule(Drilled(step, Outcome.FAILED), evidence)
    assert evidence.observed == {"seen": step}
