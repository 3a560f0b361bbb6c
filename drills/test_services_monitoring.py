"""Monitoring: the exporter runs in the restored copy and listens."""

from __future__ import annotations

from typing import Any

import pytest

from backup_standard.drill import listening
from backup_standard.evidence.notes import Evidence

pytestmark = [pytest.mark.role("monitoring"), pytest.mark.rule(id="RST-05", level="must", tag="standard")]


def test_exporter_listens(restored_guest: Any, evidence: Evidence) -> None:
    """The node exporter of the restored monitoring guest listens on port 9100.

    Rationale: the first thing missed after an emergency is the view of everything else.
    Remedy: qm guest exec {drill.plan.vmid} -- systemctl status prometheus-node-exporter
    """
    found = listening.look(restored_guest)
    evidence(tcp_port_9100=9100 in found.tcp)

    assert 9100 in found.tcp, "nothing listens on port 9100 for others"
