"""What an operator may choose for a run of drills: the restore point, no gateway, copies of failed drills kept."""

from __future__ import annotations

from pathlib import Path

import pytest

from backup_standard.drill import assembly, reap
from backup_standard.drill.choices import Choices
from backup_standard.drill.engine import TEARDOWN, Drill
from backup_standard.drill.limits import Limits
from backup_standard.drill.plan import plan_drills
from backup_standard.errors import NotRun, Unknown
from tests.drillground import Ground
from tests.memory.drill import faults


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("backup_standard.drill.steps.serving.SERVICES_TIMEOUT", 0.3)


def drill_with(ground: Ground, choices: Choices, vmid: int = 210, run: str = "run-1") -> Drill:
    plan = plan_drills(ground.inventory, ground.facts, choices).of(vmid)
    tools = assembly.tools(
        ground.inventory, ground.facts, node=plan.node, folder=ground.reports / run, run=run, listener=ground.listen,
        choices=choices,
    )  # fmt: skip
    ground.drills.append(Drill(plan, tools))
    return ground.drills[-1]


def outcomes(drill: Drill) -> dict[str, str]:
    """Every row, of which some may be unknown without a gateway."""
    return faults.outcomes(drill, {NotRun: "not run", Unknown: "unknown"})


def test_the_oldest_restore_point_is_restored_and_said_to_be_no_substitute(ground: Ground) -> None:
    archives = [one for one in ground.facts.archives["pve1/backup-hdd"] if one.vmid == 210]  # type: ignore[union-attr]
    with drill_with(ground, Choices(restore_point="oldest")) as drill:
        assert drill.step("restore").observed["archive"] == min(archives, key=lambda one: one.ctime).volid
    assert not drill.record.is_newest
    assert drill.record.to_json()["restore_point"] == "oldest"
    assert "the oldest restore point" in str(drill.plan)
    assert ground.nothing_left


def test_a_seed_draws_the_same_points_again_and_other_seeds_draw_others(ground: Ground) -> None:
    def drawn(seed: int) -> tuple[str, ...]:
        plan = plan_drills(ground.inventory, ground.facts, Choices(restore_point="random", seed=seed))
        return tuple(one.archive.volid for one in plan.drills if one.archive)

    assert drawn(7) == drawn(7)
    assert len({drawn(seed) for seed in range(8)}) > 1
    plan = plan_drills(ground.inventory, ground.facts, Choices(restore_point="random", seed=7))
    assert {one.point for one in plan.drills} == {"random (seed 7)"}
    newest = plan_drills(ground.inventory, ground.facts)
    assert [one.is_newest for one in plan.drills] == [
        one.archive == new.archive for one, new in zip(plan.drills, newest.drills, strict=True)
    ]


def test_choices_are_kept_in_the_runs_folder(tmp_path: Path) -> None:
    chosen = Choices(restore_point="random", seed=3, keep_failed=True, gateway=False)
    chosen.write(tmp_path)
    assert Choices.read(tmp_path) == chosen
    assert Choices.read(tmp_path / "none") == Choices()


def test_without_a_gateway_the_agent_shows_what_it_can_and_the_rest_is_unknown(ground: Ground) -> None:
    with drill_with(ground, Choices(gateway=False), vmid=100) as drill:
        found = outcomes(drill)
        assert not [name for name in ground.lab.hypervisor.node.host.network.namespaces if name]
    assert found["login"] == "unknown"
    assert {found[name] for name in ("restore", "boot", "network", "services", TEARDOWN)} == {"ok"}, drill.record.steps
    network = drill.record.steps["network"].observed
    assert "exchange traffic" in network["not_proven"]
    assert network["unreachable"]
    assert any("--no-gateway" in text and "login" in text for text in drill.record.not_proven)
    assert drill.record.outcome == "failed", "an incomplete drill never counts as passed"
    assert ground.nothing_left


def test_without_a_gateway_a_service_that_is_only_seen_from_outside_is_unknown(ground: Ground) -> None:
    with drill_with(ground, Choices(gateway=False)) as drill:
        found = outcomes(drill)
    assert found["services"] == "unknown", drill.record.steps["services"]
    assert "out of reach without a drill gateway" in drill.record.steps["services"].message


def test_the_copy_of_a_failed_drill_is_kept_until_somebody_says_so(
    ground: Ground, monkeypatch: pytest.MonkeyPatch
) -> None:
    ground.inventory = ground.changed(vmid=210, services=[{"unit": "no-such-thing"}])
    with drill_with(ground, Choices(keep_failed=True)) as drill:
        found = outcomes(drill)
    assert found["services"] == "failed"
    assert found[TEARDOWN] == "failed"
    said = drill.record.steps[TEARDOWN].message
    assert said.startswith("kept, not cleaned")
    assert "ip netns exec drill211 ssh -p 22 drill@10.0.0.210" in said
    assert "backup-standard reap --inventory FILE --yes" in said
    assert 211 in ground.lab.site.guests
    assert drill.record.kept
    assert Limits(drill.tools.folder).held("pve1") == 0, "its own run does not wait for it"

    lines: list[str] = []
    reap.sweep(ground.inventory, ground.reports, do_it=True, say=lines.append, own_run="run-1")
    monkeypatch.setattr("backup_standard.drill.claims.Owner.alive", lambda _owner: False)
    reap.sweep(ground.inventory, ground.reports, do_it=True, say=lines.append)
    assert 211 in ground.lab.site.guests, "the next run cleans up, but not what was kept on purpose"
    assert all("kept on purpose" in line for line in lines)
    with drill_with(ground, Choices(), run="run-2") as later:
        assert not later.step("restore").ok
    reap.sweep(ground.inventory, ground.reports, do_it=True, say=lines.append, kept=True)
    assert ground.nothing_left, ground.left_behind


def test_a_drill_that_passes_is_never_kept(ground: Ground) -> None:
    with drill_with(ground, Choices(keep_failed=True)) as drill:
        assert set(outcomes(drill).values()) <= {"ok", "not run"}
    assert ground.nothing_left


def test_an_interrupted_drill_is_not_kept(ground: Ground) -> None:
    def interrupt(event: object) -> None:
        if getattr(event, "phase", "") == "network":
            raise KeyboardInterrupt

    ground.listen = interrupt  # type: ignore[method-assign]
    drill = drill_with(ground, Choices(keep_failed=True))
    with pytest.raises(KeyboardInterrupt), drill:
        outcomes(drill)
    assert ground.nothing_left, ground.left_behind
