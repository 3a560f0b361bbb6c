"""DNS server: it runs in the restored copy and listens where clients ask."""

from __future__ import annotations

from typing import Any

import pytest

pytestmark = [pytest.mark.role("dns"), pytest.mark.rule(id="RST-05", level="must", tag="standard")]


def test_dns_listens_for_clients(restored_guest: Any) -> None:
    """Something listens on port 53 of the restored DNS server, for UDP and TCP.

    Rationale: most questions come by UDP, long answers go by TCP.
    Remedy: qm guest exec {drill.plan.vmid} -- ss --listening --numeric --udp --tcp
    """
    assert restored_guest.socket("udp://53").is_listening, "nothing listens on UDP port 53"
    assert restored_guest.socket("tcp://53").is_listening, "nothing listens on TCP port 53"
