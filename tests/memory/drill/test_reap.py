"""Drills killed at every moment: what they leave has a claim, and the next sweep removes it, and nothing else."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping
from typing import Any

import pytest

from backup_standard.drill import claims as claiming
from backup_standard.drill import reap, teardown
from backup_standard.drill.claims import Claims, Owner
from backup_standard.drill.engine import STEPS, TEARDOWN, Drill
from backup_standard.errors import NotRun
from tests.drillground import Ground


class Killed(BaseException):
    """kill -9: nothing after it runs in that process."""


def kill_at_phase(phase: str) -> Callable[[Ground, Drill], None]:
    def arm(ground: Ground, _drill: Drill) -> None:
        def listen(event: object) -> None:
            if getattr(event, "phase", "") == phase:
                raise Killed

        ground.listen = listen  # type: ignore[method-assign]

    return arm


def kill_in_call(method: str, ending: str, *, before: bool, carrying: str = "") -> Callable[[Ground, Drill], None]:
    def arm(_ground: Ground, drill: Drill) -> None:
        write = drill.tools.api.write

        def dying(how: str, path: str, params: dict[str, object] | None = None) -> object:
            ours = how == method and path.endswith(ending) and (not carrying or carrying in (params or {}))
            if ours and before:
                raise Killed
            answer = write(how, path, params)
            if ours:
                raise Killed
            return answer

        drill.tools.api.write = dying  # type: ignore[method-assign]

    return arm


def run_whole(drill: Drill) -> None:
    for name in (*STEPS, TEARDOWN):
        drill.step(name)


def die_at(ground: Ground, vmid: int, moments: Mapping[str, Callable[[Ground, Drill], None]], moment: str) -> None:
    """Drill a guest until the process is killed at that moment."""
    drill = ground.drill(vmid)
    moments[moment](ground, drill)
    if moment.startswith("phase"):
        drill = ground.drill(vmid)  # which takes the listener that was just put in
    with pytest.raises(Killed):
        run_whole(drill)


MOMENTS: dict[str, Callable[[Ground, Drill], None]] = {
    **{f"phase {phase}": kill_at_phase(phase) for phase in ("preflight", "restore", "boot", "agent", "login", "network",
                                                             "services", "screen", "teardown")},
    "before the empty guest is made": kill_in_call("POST", "/qemu", before=True),
    "after the call for it, before its task is noted": kill_in_call("POST", "/qemu", before=False),
    "before the restore call": kill_in_call("POST", "/qemu", before=True, carrying="archive"),
    "after the restore call, before its task is noted": kill_in_call("POST", "/qemu", before=False, carrying="archive"),
    "before power-on": kill_in_call("POST", "/status/start", before=True),
    "after power-on": kill_in_call("POST", "/status/start", before=False),
    "after the stop": kill_in_call("POST", "/status/stop", before=False),
    "after the destroy call": kill_in_call("DELETE", "/211", before=False),
}  # fmt: skip


@pytest.mark.usefixtures("dead_owner")
@pytest.mark.parametrize("moment", MOMENTS)
def test_after_a_kill_at_any_moment_a_sweep_leaves_nothing(ground: Ground, moment: str) -> None:
    die_at(ground, 210, MOMENTS, moment)
    said: list[str] = []
    done = reap.sweep(ground.inventory, ground.reports, do_it=True, say=said.append)
    assert done.left == (), said
    assert ground.nothing_left, ground.left_behind
    assert claiming.standing_under(ground.reports) == ()
    again = reap.sweep(ground.inventory, ground.reports, do_it=True, say=said.append)
    assert again.found == ()


@pytest.mark.usefixtures("dead_owner")
@pytest.mark.parametrize("noted", [True, False], ids=["task noted", "task not noted"])
def test_a_restore_that_still_runs_is_stopped_and_removed(ground: Ground, *, noted: bool) -> None:
    ground.lab.hypervisor.pace = 0.05
    drill = ground.drill(210)
    wait = drill.tools.api.wait_task

    def killed(upid: str, **given: Any) -> object:
        if ":qmcreate:" in upid:
            return wait(upid, **given)
        raise Killed

    drill.tools.api.wait_task = killed  # type: ignore[method-assign, assignment]
    if not noted:
        kill_in_call("POST", "/qemu", before=False, carrying="archive")(ground, drill)
    with pytest.raises(Killed):
        drill.step("restore")
    drill.tools.api.wait_task = wait  # type: ignore[method-assign]
    running = ground.lab.data("GET", "/nodes/pve1/tasks", "root", source="active", typefilter="qmrestore")
    assert [task.get("status") for task in running] == ["RUNNING"]
    said: list[str] = []
    done = reap.sweep(ground.inventory, ground.reports, do_it=True, say=said.append)
    assert done.left == (), said
    assert ground.nothing_left, ground.left_behind


@pytest.mark.usefixtures("dead_owner")
def test_a_dry_run_shows_and_touches_nothing(ground: Ground) -> None:
    ground.drill(210).step("boot")
    said: list[str] = []
    done = reap.sweep(ground.inventory, ground.reports, do_it=False, say=said.append)
    assert "VMID 211 is taken by 'drill-210-dns' on pve1" in said[0]
    assert "network namespace drill211" in said[0]
    assert done.left
    assert 211 in ground.lab.site.guests
    reap.sweep(ground.inventory, ground.reports, do_it=True, say=said.append)
    assert ground.nothing_left


def test_a_drill_under_way_is_let_be(ground: Ground) -> None:
    with ground.drill(210) as drill:
        drill.step("restore")
        said: list[str] = []
        done = reap.sweep(ground.inventory, ground.reports, do_it=True, say=said.append)
        assert [claim.vmid for claim in done.alive] == [211]
        assert said[0].startswith("let be: VMID 211")
        assert 211 in ground.lab.site.guests


def test_the_end_of_a_run_sweeps_its_own_claims_whoever_holds_them(ground: Ground) -> None:
    ground.drill(210).step("restore")
    other = Claims(ground.reports / "another-run", "another-run")
    other.claim(9001, source=210, node="pve1")
    reap.sweep(ground.inventory, ground.reports, do_it=True, say=lambda _text: None, own_run="run-1")
    assert ground.nothing_left
    assert [claim.vmid for claim in claiming.standing_under(ground.reports)] == [9001]


@pytest.mark.usefixtures("dead_owner")
def test_a_foreign_guest_on_a_claimed_vmid_is_never_touched(ground: Ground) -> None:
    Claims(ground.reports / "run-1", "run-1").claim(211, source=210, node="pve1")
    upid = ground.lab.data("POST", "/nodes/pve1/qemu", "root", vmid=211, name="somebody-elses", memory=64)
    ground.lab.site.tasks.wait(upid)
    said: list[str] = []
    shown = reap.sweep(ground.inventory, ground.reports, do_it=False, say=said.append)
    done = reap.sweep(ground.inventory, ground.reports, do_it=True, say=said.append)
    assert 211 in ground.lab.site.guests
    assert done.left
    assert shown.left
    assert "it will not be touched" in said[0]
    assert "VM.Audit on /vms/211" in said[1]


@pytest.mark.usefixtures("dead_owner")
def test_a_foreign_guest_that_somebody_put_into_the_pool_is_not_touched_either(ground: Ground) -> None:
    Claims(ground.reports / "run-1", "run-1").claim(211, source=210, node="pve1")
    upid = ground.lab.data("POST", "/nodes/pve1/qemu", "root", vmid=211, name="somebody-elses", memory=64, pool="drill")
    ground.lab.site.tasks.wait(upid)
    said: list[str] = []
    reap.sweep(ground.inventory, ground.reports, do_it=False, say=said.append)
    assert reap.sweep(ground.inventory, ground.reports, do_it=True, say=said.append).left
    assert 211 in ground.lab.site.guests
    assert "it will not be touched" in said[0]
    assert "is not a drill's" in said[1]


@pytest.mark.usefixtures("dead_owner")
def test_another_runs_mark_on_the_guest_is_not_ours(ground: Ground) -> None:
    drill = ground.drill(210)
    drill.step("restore")
    ground.lab.site.guest(211).config["description"] = "drill-run: somebody-elses"
    done = reap.sweep(ground.inventory, ground.reports, do_it=True, say=lambda _text: None)
    assert done.left
    assert 211 in ground.lab.site.guests


@pytest.mark.usefixtures("dead_owner")
def test_a_claimed_vmid_blocks_the_next_drill_until_it_is_released(ground: Ground) -> None:
    Claims(ground.reports / "run-0", "run-0").claim(211, source=210, node="pve1")
    with ground.drill(210) as drill:
        assert "is claimed by run run-0" in drill.step("restore").message
        with pytest.raises(NotRun):
            drill.step(TEARDOWN)
    reap.sweep(ground.inventory, ground.reports, do_it=True, say=lambda _text: None)
    with ground.drill(210, run="run-2") as drill:
        assert drill.step("restore").ok


def test_a_claim_of_another_machine_is_reaped_only_by_force(ground: Ground, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Owner, "this_process", classmethod(lambda _cls: Owner("elsewhere", 1, 1)))
    ground.drill(210).step("restore")
    reap.sweep(ground.inventory, ground.reports, do_it=True, say=lambda _text: None)
    assert 211 in ground.lab.site.guests
    reap.sweep(ground.inventory, ground.reports, do_it=True, say=lambda _text: None, force=True)
    assert ground.nothing_left


@pytest.mark.usefixtures("dead_owner")
def test_the_command_says_what_it_did_and_ends_with_10_when_something_remains(
    ground: Ground, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(teardown, "LOCK_PATIENCE", 0.2)
    parser = argparse.ArgumentParser()
    reap.add_arguments(parser)
    file = str(ground.reports.parents[1] / "lab.yaml")
    reports = str(ground.reports.parent)
    said: list[str] = []

    def run(what: str) -> int:
        return reap.run(parser.parse_args(["--inventory", file, "--run-dir", reports, what]), said.append)

    assert run("--dry-run") == 0
    assert said[-1].startswith("no drill left anything behind")
    ground.drill(210).step("restore")
    assert run("--dry-run") == reap.LEFTOVERS
    ground.lab.site.guest(211).config["lock"] = "backup"
    assert run("--yes") == reap.LEFTOVERS
    assert "qm unlock 211" in said[-1]
    del ground.lab.site.guest(211).config["lock"]
    assert run("--yes") == 0
    assert said[-1].startswith("gone: VMID 211")
    assert ground.nothing_left
