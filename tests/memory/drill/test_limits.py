"""Restores take turns by storage and copies run as far as memory goes, in whatever process they are."""

from __future__ import annotations

import subprocess
import sys
import threading
from pathlib import Path

import pytest

from backup_standard.drill.limits import Limits
from backup_standard.drill.progress import Event
from backup_standard.waiting import NotReady
from tests.drillground import Ground

GIB = 1 << 30


def nothing(_elapsed: float) -> None:
    """Nobody watches."""


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("backup_standard.drill.limits.PATIENCE", 0.2)


def test_restores_onto_one_storage_take_turns_and_other_storages_do_not_wait(tmp_path: Path) -> None:
    one, other = Limits(tmp_path), Limits(tmp_path)
    waited: list[float] = []
    with one.restoring("local-lvm", nothing):
        with (
            pytest.raises(NotReady, match="a turn to restore onto local-lvm"),
            other.restoring("local-lvm", waited.append),
        ):
            pytest.fail("two at once")
        with other.restoring("other/lvm", nothing):
            pass
    assert waited
    with other.restoring("local-lvm", nothing):
        pass


def test_as_many_restores_as_are_allowed_go_at_once(tmp_path: Path) -> None:
    first, second, third = (Limits(tmp_path, restores=2) for _ in range(3))
    two = first.restoring("a", nothing), second.restoring("a", nothing)
    with two[0], two[1], pytest.raises(NotReady), third.restoring("a", nothing):
        pytest.fail("three at once")


def test_a_turn_that_is_given_up_goes_to_the_one_who_waits(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("backup_standard.drill.limits.PATIENCE", 60)
    order: list[str] = []
    waits = threading.Event()

    def second() -> None:
        with Limits(tmp_path).restoring("a", lambda _elapsed: waits.set()):
            order.append("second")

    thread = threading.Thread(target=second)
    with Limits(tmp_path).restoring("a", nothing):
        thread.start()
        assert waits.wait(60)
        order.append("first")
    thread.join(60)
    assert order == ["first", "second"]


def test_a_turn_ends_with_its_process(tmp_path: Path) -> None:
    code = (
        "import sys, os; from pathlib import Path; from backup_standard.drill.limits import Limits;"
        "turn = Limits(Path(sys.argv[1])).restoring('a', print); turn.__enter__(); os._exit(9)"
    )
    died = subprocess.run([sys.executable, "-c", code, str(tmp_path)], check=False, cwd=Path(__file__).parents[3])
    assert died.returncode == 9
    with Limits(tmp_path).restoring("a", nothing):
        pass


def test_giving_back_what_is_not_held_is_nothing(tmp_path: Path) -> None:
    Limits(tmp_path).give_back(9001)


def test_a_drill_waits_for_its_turn_and_the_wait_is_no_recovery_time(
    ground: Ground, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("backup_standard.drill.limits.PATIENCE", 60)
    waits = threading.Event()

    def listen(event: Event) -> None:
        if event.phase == "waiting":
            waits.set()

    ground.listen = listen  # type: ignore[method-assign]
    drill = ground.drill(210)
    with drill:
        thread = threading.Thread(target=drill.step, args=("restore",))
        with Limits(drill.tools.folder).restoring("vmdata", nothing):
            thread.start()
            assert waits.wait(60)
            assert not drill.tools.claims.standing(), "nothing is claimed while it waits"
        thread.join(60)
        assert drill.record.steps["restore"].ok
        assert drill.course.waited > 0
        assert drill.step("boot").ok
        assert Limits(drill.tools.folder).held("pve1") == drill.plan.memory_bytes == 256 << 20
    assert Limits(drill.tools.folder).held("pve1") == 0
    assert ground.nothing_left


def test_a_copy_that_the_node_has_no_memory_for_is_refused(ground: Ground, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("backup_standard.drill.memory.available", lambda _api, _node: 100 << 20)
    with ground.drill(210) as drill:
        message = drill.step("restore").message
    assert "pve1 has 100 MiB of memory available; the copy is given 256 MiB" in message
    assert not drill.tools.claims.path.exists()
