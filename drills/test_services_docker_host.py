"""Docker host: the engine runs in the restored copy and its containers came back."""

from __future__ import annotations

from typing import Any

import pytest

from backup_standard.evidence.notes import Evidence

pytestmark = [pytest.mark.role("docker-host"), pytest.mark.rule(id="RST-05", level="must", tag="standard")]


def test_docker_runs_containers_again(restored_guest_as_root: Any, evidence: Evidence) -> None:
    """The Docker engine of the restored host runs, and at least one container runs in it.

    Rationale: containers without a restart policy stay down after a restore, unnoticed.
    Remedy: qm guest exec {drill.plan.vmid} -- docker ps --all
    """
    engine = restored_guest_as_root.service("docker")
    containers = restored_guest_as_root.run("docker ps --format %s", "{{.Names}}").stdout.split()
    evidence(engine_runs=engine.is_running, containers=containers)

    assert engine.is_running, "the Docker engine does not run"
    assert containers, "no container runs"
