"""The fault campaign: what can go wrong, at every step and every write of a drill; the next run leaves nothing.

It needs no virtual machines. ``pytest tests/lab -k campaign -n 2`` strikes with each fault at a share of its moments,
another share for each; with ``--whole-campaign`` at all of them. Its table stands at the end.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from backup_standard.model import Facts
from tests.campaign.campaign import Tally, strike, tallied
from tests.campaign.faults import API_TIMEOUT, FAULTS
from tests.campaign.moments import Moment, rehearse
from tests.campaign.processes import BEFORE_ANYTHING, KILLS, kill_at
from tests.campaign.scene import on_a_site
from tests.campaign.table import PROPERTY
from tests.drillground import facts

__all__ = ["facts"]

Record = Callable[[str, object], None]
SHARE, SHARE_OF_KILLS = 4, 3
"""One moment in so many; which ones, goes round from fault to fault."""


def share(config: pytest.Config, moments: Sequence[Moment], number: int, share: int) -> Sequence[Moment]:
    """The moments for the fault with this number."""
    if config.getoption("--whole-campaign") or len(moments) < share:
        return moments
    return moments[number % share :: share]


def settle(tally: Tally, record_property: Record) -> None:
    record_property(PROPERTY, [tally.fault, tally.cases, len(tally.wrong)])
    assert tally.cases
    assert not tally.wrong, "\n".join(tally.wrong)


@pytest.mark.parametrize("name", FAULTS)
def test_campaign_of_faults(
    name: str, tmp_path: Path, facts: Facts, record_property: Record, pytestconfig: pytest.Config
) -> None:
    patience = f"{API_TIMEOUT:g}s" if name.startswith("no answer") else "30s"
    with on_a_site(tmp_path, facts, api_timeout=patience) as scene:
        fault = FAULTS[name]
        fitting = [moment for moment in rehearse(scene) if fault.fits(moment.ask)]
        chosen = share(pytestconfig, fitting, list(FAULTS).index(name), SHARE)
        settle(tallied(name, chosen, lambda moment: strike(scene, fault, moment)), record_property)


@pytest.mark.parametrize("name", KILLS)
def test_campaign_of_kills(
    name: str, tmp_path: Path, facts: Facts, record_property: Record, pytestconfig: pytest.Config
) -> None:
    kill = KILLS[name]
    with on_a_site(tmp_path, facts) as scene:
        every = [BEFORE_ANYTHING, *rehearse(scene)]
        chosen = [moment for moment in every if moment.begins or (not kill.is_polite and not kill.worker)]
        if kill.worker:
            chosen.remove(BEFORE_ANYTHING)  # there is no worker yet
        chosen = share(pytestconfig, chosen, list(KILLS).index(name), SHARE_OF_KILLS)
        settle(tallied(name, chosen, lambda moment: kill_at(scene, kill, moment)), record_property)
