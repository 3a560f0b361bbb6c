"""DNS server: it runs in the restored copy and listens where clients ask."""

from __future__ import annotations

from typing import Any

import pytest

from backup_standard.evidence.notes import Evidence

pytestmark = [pytest.mark.role("dns"), pytest.mark.rule(id="RST-05", level="must", tag="standard")]


def test_dns_listens_for_clients(restored_guest: Any, evidence: Evidence) -> None:
    """Something listens on port 53 of the restored DNS server, for UDP and TCP.

    Rationale: most questions come by UDP, long answers go by TCP.
    Remedy: qm guest exec {drill.plan.vmid} -- ss --listening --numeric --udp --tcp
    """
    udp = restored_guest.check_output("ss --numeric --listening --udp")
    tcp = restored_guest.check_output("ss --numeric --listening --tcp")
    evidence(udp_port_53=":53 " in udp, tcp_port_53=":53 " in tcp)

    assert ":53 " in udp, "nothing listens on UDP port 53"
    assert ":53 " in tcp, "nothing listens on TCP port 53"
