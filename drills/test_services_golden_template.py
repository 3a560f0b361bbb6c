"""Golden template: what every guest cloned from it relies on."""

from __future__ import annotations

from typing import Any

import pytest

from backup_standard.drill import listening
from backup_standard.evidence.notes import Evidence

pytestmark = [pytest.mark.role("golden-template"), pytest.mark.rule(id="RST-05", level="must", tag="standard")]


def test_ssh_listens_for_the_first_login(restored_guest: Any, evidence: Evidence) -> None:
    """The SSH server of the golden template's copy runs and listens on port 22.

    Rationale: a new guest is reached over SSH, or not at all.
    Remedy: qm guest exec {drill.plan.vmid} -- systemctl status ssh
    """
    ssh = restored_guest.service("ssh")
    found = listening.look(restored_guest)
    evidence(ssh_runs=ssh.is_running, tcp_port_22=22 in found.tcp)

    assert ssh.is_running, "the SSH server does not run"
    assert 22 in found.tcp, "nothing listens on port 22 for others"


def test_guest_agent_runs(restored_guest: Any, evidence: Evidence) -> None:
    """The guest agent of the golden template's copy runs.

    Rationale: backups of clones are consistent only where the agent freezes their file systems.
    Remedy: install and enable qemu-guest-agent in guest {drill.plan.vmid}
    """
    agent = restored_guest.service("qemu-guest-agent")
    evidence(agent_runs=agent.is_running)

    assert agent.is_running, "the guest agent does not run"
