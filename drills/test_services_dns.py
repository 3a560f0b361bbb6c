"""DNS server: it runs in the restored copy and listens where clients ask."""

from __future__ import annotations

from typing import Any

import pytest

from backup_standard.drill import listening
from backup_standard.evidence.notes import Evidence

pytestmark = [pytest.mark.role("dns"), pytest.mark.rule(id="RST-05", level="must", tag="standard")]


def test_dns_listens_for_clients(restored_guest: Any, evidence: Evidence) -> None:
    """Something listens on port 53 of the restored DNS server, for UDP and TCP, and not for the server alone.

    Rationale: most questions come by UDP, long answers go by TCP; a stub on a loopback address serves no client.
    Remedy: qm guest exec {drill.plan.vmid} -- ss --listening --numeric --udp --tcp
    """
    found = listening.look(restored_guest)
    evidence(udp_port_53=53 in found.udp, tcp_port_53=53 in found.tcp)

    assert 53 in found.udp, "nothing listens on UDP port 53 for others"
    assert 53 in found.tcp, "nothing listens on TCP port 53 for others"
