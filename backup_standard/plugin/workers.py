"""pytest-xdist: workers get the run's folder, and all rows of one guest go to one worker."""

from __future__ import annotations

from typing import Any

import pytest
from xdist.scheduler import LoadScopeScheduling

from backup_standard.plugin.drill_groups import together
from backup_standard.plugin.order import group_of
from backup_standard.plugin.session import ARGUMENTS, RUN_FOLDER, run_of


class GuestScheduling(LoadScopeScheduling):  # type: ignore[misc] # pytest-xdist has no types here
    """Gives each worker whole guests: a guest is restored once, by the worker that judges all of its rows.

    pytest-xdist's own ``--dist loadgroup`` is broken with pytest 9.2 (pytest-xdist issue 1386).
    """

    def _split_scope(self, nodeid: str) -> str:
        run = run_of(self.config)
        return group_of(nodeid, together(run.inventory) if run else {})


@pytest.hookimpl(tryfirst=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> GuestScheduling | None:
    """Schedule by guest where a site is audited or drilled."""
    return GuestScheduling(config, log) if run_of(config) else None


def pytest_configure_node(node: Any) -> None:
    """Tell a worker where the run's folder is (the controller put the facts there) and what to collect."""
    run = run_of(node.config)
    if run:
        node.workerinput[RUN_FOLDER] = str(run.folder.path)
        node.workerinput[ARGUMENTS] = [str(argument) for argument in node.config.args]
