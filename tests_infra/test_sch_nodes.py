"""Backup schedule: what makes it run on time. Subjects are the nodes that have mandatory guests."""

import pytest

from backup_standard.audit.node import Node
from backup_standard.evidence.notes import Evidence


@pytest.mark.rule(id="SCH-03", level="must", tag="standard")
def test_the_scheduler_is_alive(node: Node, evidence: Evidence) -> None:
    """The scheduler runs on every node that has mandatory guests, starts with the node, and no job of it is stuck.

    Rationale: jobs stay listed and enabled when nothing starts them any more.
    Remedy: {node.scheduler_remedy}
    """
    evidence(pvescheduler=node.say_scheduler())
    assert node.scheduler_runs, f"pvescheduler on {node} does not run ({node.say_scheduler()}): no job will start"
    assert node.scheduler_lasts, f"pvescheduler on {node} runs, but is {node.say_scheduler()}: not after a reboot"

    evidence(stuck_jobs=node.stuck)
    evidence.advise(node.cron_advice, node.cron_remedy)
    assert not node.stuck, f"the scheduler on {node} passes over jobs: {node.say_stuck()}"


@pytest.mark.rule(id="SCH-07", level="must", tag="added")
def test_the_clock_is_synchronised(node: Node, evidence: Evidence) -> None:
    """The clock of every node that has mandatory guests is synchronised.

    Rationale: archives are named by the node's clock, and retention removes by name; a wrong clock removes wrong ones.
    Remedy: timedatectl set-ntp true
    systemctl enable --now chrony
    chronyc makestep
    """
    evidence(clock=node.say_skew())
    assert node.is_on_time, f"the clock of {node} is {node.say_skew()}: one of the two is wrong"

    evidence(synchronised=node.is_synchronised)
    assert node.is_synchronised, f"no time service steers the clock of {node}"
