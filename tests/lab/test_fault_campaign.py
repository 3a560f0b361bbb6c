"""The fault campaign: what can go wrong, at every step and every write of a drill; the next run leaves nothing.

It needs no virtual machines. On two cores: ``pytest tests/lab -k campaign -n 2``; its table stands at the end.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from backup_standard.model import Facts
from tests.campaign.campaign import Tally, strike_each
from tests.campaign.faults import API_TIMEOUT, FAULTS
from tests.campaign.moments import rehearse
from tests.campaign.processes import BEFORE_ANYTHING, KILLS, kill_at_each
from tests.campaign.scene import on_a_site
from tests.campaign.table import PROPERTY
from tests.drillground import facts

__all__ = ["facts"]

Record = Callable[[str, object], None]


def settle(tally: Tally, record_property: Record) -> None:
    record_property(PROPERTY, [tally.fault, tally.cases, len(tally.wrong)])
    assert tally.cases
    assert not tally.wrong, "\n".join(tally.wrong)


@pytest.mark.parametrize("name", FAULTS)
def test_campaign_of_faults(name: str, tmp_path: Path, facts: Facts, record_property: Record) -> None:
    patience = f"{API_TIMEOUT:g}s" if name.startswith("no answer") else "30s"
    with on_a_site(tmp_path, facts, api_timeout=patience) as scene:
        settle(strike_each(scene, FAULTS[name], rehearse(scene)), record_property)


@pytest.mark.parametrize("name", KILLS)
def test_campaign_of_kills(name: str, tmp_path: Path, facts: Facts, record_property: Record) -> None:
    kill = KILLS[name]
    with on_a_site(tmp_path, facts) as scene:
        every = [BEFORE_ANYTHING, *rehearse(scene)]
        chosen = [moment for moment in every if moment.begins or (not kill.is_polite and not kill.worker)]
        if kill.worker:
            chosen.remove(BEFORE_ANYTHING)  # there is no worker yet
        settle(kill_at_each(scene, kill, chosen), record_property)
