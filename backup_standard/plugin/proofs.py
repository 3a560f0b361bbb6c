"""What the drills of this very run prove of archives, for the rule that asks whether they are intact."""

from __future__ import annotations

import pytest

from backup_standard.drill.engine import Drill
from backup_standard.evidence.proven import drilled_in
from backup_standard.model.readings import DrilledArchive
from backup_standard.plugin.session import run_of

DRILL_KEY = pytest.StashKey[Drill]()
"""The drill that goes on in this process, or the last one that did."""


@pytest.fixture
def drilled(pytestconfig: pytest.Config) -> tuple[DrilledArchive, ...]:
    """The archives of the drills that this run has passed; the one that goes on here is brought to its end first."""
    run = run_of(pytestconfig)
    if run is None:
        raise pytest.UsageError("the fixture drilled needs --inventory FILE")
    going_on = pytestconfig.stash.get(DRILL_KEY, None)
    if going_on is not None:
        going_on.close()
    return drilled_in(run.folder)
