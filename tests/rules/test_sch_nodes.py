"""SCH: the scheduler is alive on every node, and the node knows what time it is."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from backup_standard.errors import Unknown
from backup_standard.evidence.notes import Evidence
from backup_standard.model import Facts, Gap, Node
from tests.rules import builders as b
from tests_infra import test_sch_nodes as sch

JOB = "nightly-vm210"
KEY = f"{b.NODE}/{JOB}"


def alive(facts: Facts) -> Evidence:
    evidence = Evidence()
    sch.test_the_scheduler_is_alive(b.node(facts), evidence)
    return evidence


def on_time(facts: Facts) -> Evidence:
    evidence = Evidence()
    sch.test_the_clock_is_synchronised(b.node(facts), evidence)
    return evidence


def unit(**changes: str) -> Facts:
    return b.with_system(scheduler={**b.system().scheduler, **changes})  # type: ignore[dict-item]


def started(upid: str, facts: Facts | None = None) -> Facts:
    facts = facts or b.facts()
    return replace(facts, job_states={**facts.job_states, KEY: {"state": "started", "upid": upid}})


# --- SCH-03 ---------------------------------------------------------------------------------------------------


def test_a_scheduler_that_runs_and_lasts_passes() -> None:
    evidence = alive(b.facts())
    assert evidence.observed == {"pvescheduler": "active, enabled", "stuck_jobs": {}}
    assert evidence.advice == ""


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"ActiveState": "inactive"},
            r"pvescheduler on node pve1 does not run \(inactive, enabled\): no job will start",
        ),
        ({"ActiveState": "failed"}, r"does not run \(failed, enabled\)"),
        ({"LoadState": "not-found", "ActiveState": "inactive", "UnitFileState": ""}, r"does not run \(not installed\)"),
        ({"UnitFileState": "disabled"}, "not after a reboot"),
        ({"UnitFileState": "masked"}, "not after a reboot"),
    ],
)
def test_a_scheduler_that_is_stopped_or_disabled_fails(changes: dict[str, str], message: str) -> None:
    with pytest.raises(AssertionError, match=message):
        alive(unit(**changes))


def test_a_job_whose_task_is_gone_is_stuck() -> None:
    facts = started(b.upid(210, b.nights(3)[2]))
    facts = replace(facts, tasks={b.NODE: ()})
    with pytest.raises(
        AssertionError, match="job nightly-vm210 is marked as started 2 d 7 h ago, and there is no such task"
    ):
        alive(facts)
    assert b.node(facts).scheduler_remedy.splitlines() == [
        "systemctl enable --now pvescheduler",
        "rm /var/lib/pve-manager/jobs/vzdump-nightly-vm210.json",
    ]


def test_a_state_without_a_task_id_is_stuck() -> None:
    with pytest.raises(AssertionError, match="there is no such task"):
        alive(started(""))


def test_a_job_whose_end_nobody_noticed_is_stuck() -> None:
    with pytest.raises(AssertionError, match="its task ended 6 h 59 min ago"):
        alive(started(b.upid(210, b.LAST_NIGHT)))


def test_a_job_that_runs_or_has_just_begun_or_ended_is_not_stuck() -> None:
    running = b.task(210, endtime=None, status="RUNNING")
    alive(started(running.upid, b.facts(tasks={b.NODE: (running,)})))
    just_ended = b.task(210, endtime=int(b.NOW.timestamp()) - 30)
    alive(started(just_ended.upid, b.facts(tasks={b.NODE: (just_ended,)})))
    alive(started(b.upid(210, b.NOW), b.facts(tasks={b.NODE: ()})))


def test_whether_a_job_is_stuck_is_unknown_without_the_tasks() -> None:
    facts = started(b.upid(210, b.LAST_NIGHT))
    with pytest.raises(Unknown, match="no right"):
        alive(replace(facts, tasks={b.NODE: Gap("tasks", "no right", "Sys.Audit")}))
    with pytest.raises(Unknown, match=r"Sys.Audit on /nodes/pve1"):
        alive(replace(facts, tasks={}))
    assert b.node(replace(facts, tasks={})).scheduler_remedy == "systemctl enable --now pvescheduler"


def test_states_of_other_nodes_and_unread_ones_do_not_count() -> None:
    states = {f"pve2/{JOB}": {"state": "started", "upid": ""}, KEY: None, f"{b.NODE}/x": Gap("state", "not JSON")}
    alive(b.facts(job_states=states))


def test_what_is_left_in_the_old_cron_file_is_advised_against() -> None:
    line = "0 2 * * * root vzdump 210 --quiet 1 --storage backup-hdd"
    evidence = alive(b.with_system(cron=(line,)))
    assert evidence.advice.startswith(
        f"/etc/pve/vzdump.cron still holds a backup job from before release 7.1: {line} (cron runs what is on"
    )
    assert "save it; that moves it away" in evidence.advised_remedy
    assert "rm " not in evidence.advised_remedy, "it may be the guest's only job"
    assert "holds 2 backup jobs" in alive(b.with_system(cron=(line, line))).advice


@pytest.mark.parametrize("rule", [alive, on_time])
def test_without_ssh_the_node_is_unknown(rule: Any) -> None:
    with pytest.raises(Unknown, match="SSH to node pve1"):
        rule(b.facts(systems={}))
    with pytest.raises(Unknown, match="no ssh"):
        rule(b.facts(systems={b.NODE: Gap("system", "no ssh")}))


# --- SCH-07 ---------------------------------------------------------------------------------------------------


def with_clock(**clock: str) -> Facts:
    return b.with_system(clock=clock)


def with_skew(seconds: float) -> Facts:
    return b.spoiled("nodes", b.NODE, replace(b.facts().nodes[b.NODE], skew=seconds))  # type: ignore[type-var]


def test_a_synchronised_clock_passes() -> None:
    assert on_time(b.facts()).observed["synchronised"] is True
    on_time(with_skew(-2.5))


def test_a_clock_that_nobody_steers_fails() -> None:
    with pytest.raises(AssertionError, match="no time service steers the clock of node pve1"):
        on_time(with_clock(NTP="yes", NTPSynchronized="no"))


@pytest.mark.parametrize(("skew", "said"), [(3700.0, "1 h 1 min ahead of"), (-95.0, "1 min 35 s behind")])
def test_a_clock_that_is_off_fails_whatever_the_node_believes(skew: float, said: str) -> None:
    with pytest.raises(AssertionError, match=f"{said} the clock of this machine: one of the two is wrong"):
        on_time(with_skew(skew))


def test_a_clock_that_is_off_fails_without_ssh_too() -> None:
    facts = replace(with_skew(-95.0), systems={})
    with pytest.raises(AssertionError, match="behind"):
        on_time(facts)


def test_a_clock_that_was_not_read_is_unknown() -> None:
    with pytest.raises(Unknown, match="node pve1 online"):
        on_time(b.spoiled("nodes", b.NODE, Node(b.NODE, online=False)))
    with pytest.raises(Unknown, match="timedatectl does not tell"):
        on_time(with_clock(Timezone="Europe/Berlin"))
    with pytest.raises(Unknown, match="timedatectl ended with 1"):
        on_time(b.with_system(clock=Gap("the state of the clock", "timedatectl ended with 1")))
    with pytest.raises(Unknown, match="not allowed"):
        on_time(b.spoiled("nodes", b.NODE, Gap("clock", "not allowed")))
