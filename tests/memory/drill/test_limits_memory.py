"""Copies run as far as the node's memory goes at the moment of power-on, whatever process or run they belong to."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from backup_standard.drill import memory, names
from backup_standard.drill.limits import Limits
from backup_standard.drill.memory import Memory
from backup_standard.drill.progress import Event
from backup_standard.errors import Refused
from backup_standard.waiting import NotReady
from tests.drillground import Ground

GIB, MIB = 1 << 30, 1 << 20
TAGS = f"shop;{names.TAG}"


def nothing(_elapsed: float) -> None:
    """Nobody watches."""


def node(available: int, **growth: int) -> Callable[[], Memory]:
    """A node with so many GiB available, and copies that run and may take more: ``vm9001=1``."""
    return lambda: Memory(available * GIB, {int(vmid[2:]): size * GIB for vmid, size in growth.items()})


@pytest.fixture
def hold(tmp_path: Path) -> Iterator[Callable[..., Limits]]:
    """Hold a GiB for a copy in a run, given as its folder's name; all is given back in the end."""
    made: list[tuple[Limits, int]] = []

    def hold(run: str, vmid: int, look: Callable[[], Memory], tick: Callable[[float], None] = nothing) -> Limits:
        limits = Limits(tmp_path / "client" / run)
        limits.hold_memory("pve1", vmid, GIB, look, tick)
        made.append((limits, vmid))
        return limits

    yield hold
    for limits, vmid in made:
        limits.give_back(vmid)


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Turns are waited for only for a moment."""
    monkeypatch.setattr("backup_standard.drill.limits.PATIENCE", 0.2)
    monkeypatch.setattr("backup_standard.drill.limits.OTHERS", 0.05)


@pytest.mark.usefixtures("impatient")
def test_copies_of_a_run_take_turns_when_memory_is_short(hold: Callable[..., Limits], tmp_path: Path) -> None:
    one = hold("run", 9001, node(2))
    other = hold("run", 9002, node(2))
    assert one.held("pve1") == 2 * GIB
    assert one.held("pve2") == 0
    with pytest.raises(NotReady, match="memory on pve1"):
        hold("run", 9003, node(2))
    one.give_back(9001)
    hold("run", 9003, node(2))
    other.take_memory("pve1", 9004, GIB)
    assert one.held("pve1") == 3 * GIB, "the guests of a group do not wait for each other"
    other.give_back(9004)
    assert sorted(path.name[:16] for path in (tmp_path / "client/run/limits").iterdir()) == [
        "memory-pve1-9002", "memory-pve1-9003",
    ]  # fmt: skip


@pytest.mark.usefixtures("impatient")
def test_what_a_running_copy_uses_already_is_not_counted_twice(hold: Callable[..., Limits]) -> None:
    hold("run", 9001, node(2))
    hold("run", 9002, node(1, vm9001=0))
    with pytest.raises(NotReady):
        hold("run", 9003, node(1, vm9001=0, vm9002=1))


@pytest.mark.usefixtures("impatient")
def test_a_neighbouring_run_counts_from_before_its_copy_has_power(hold: Callable[..., Limits]) -> None:
    first = hold("run-1", 9001, node(1))
    with pytest.raises(Refused, match=r"pve1 has 0 B of memory available beside copies of other drills \(VMID 9001\)"):
        hold("run-2", 9002, node(1))
    first.give_back(9001)
    hold("run-2", 9002, node(1))


@pytest.mark.usefixtures("impatient")
def test_copies_of_runs_elsewhere_count_by_what_the_node_says_of_them(hold: Callable[..., Limits]) -> None:
    with pytest.raises(Refused, match=r"has 512 MiB .*\(VMID 9007\); the copy is given 1.0 GiB"):
        hold("run", 9001, lambda: Memory(GIB, {9007: GIB // 2}))


def test_a_copy_of_another_run_is_waited_for(hold: Callable[..., Limits]) -> None:
    seen, waited = iter([{9007: GIB}, {9007: GIB}, {}]), list[float]()
    hold("run", 9001, lambda: Memory(GIB, next(seen)), waited.append)
    assert len(waited) == 2


def test_a_copy_that_is_alone_is_refused_at_once_where_the_memory_is_not_there(hold: Callable[..., Limits]) -> None:
    with pytest.raises(Refused, match=r"^pve1 has 0 B of memory available; the copy is given 1.0 GiB"):
        hold("run", 9001, node(0))


class Api:
    """A node with these guests."""

    def __init__(self, *guests: dict[str, object]) -> None:
        self._guests = guests

    def get(self, path: str, /, **_params: object) -> object:
        if path.endswith("/status"):
            return {"memory": {"total": 9 * GIB, "used": 2 * GIB}}
        return self._guests if path.endswith("/qemu") else []


def test_only_running_copies_of_drills_grow_and_by_what_the_node_sees() -> None:
    given = {"maxmem": 4 * GIB, "mem": 3 * GIB, "status": "running"}
    api = Api(
        {"vmid": 100, **given},
        {"vmid": 9001, "tags": TAGS, **given},
        {"vmid": 9002, "tags": TAGS, **given, "memhost": GIB},
        {"vmid": 9003, "tags": TAGS, **given, "status": "stopped"},
        {"vmid": 9004, "tags": TAGS, "status": "running", "maxmem": GIB, "mem": 2 * GIB},
        {"vmid": 9005, "tags": f"{names.TAG}s", **given},
    )
    assert memory.look(api, "pve1") == Memory(7 * GIB, {9001: GIB, 9002: 3 * GIB, 9004: 0})


def test_memory_is_looked_at_when_the_copy_gets_its_power(ground: Ground, monkeypatch: pytest.MonkeyPatch) -> None:
    with ground.drill(210) as drill:
        assert drill.step("restore").ok
        monkeypatch.setattr(memory, "available", lambda _api, _node: 100 * MIB)
        boot = drill.step("boot")
        assert (boot.ok, boot.message) == (
            False, "pve1 has 100 MiB of memory available; the copy is given 256 MiB",
        )  # fmt: skip
        assert not ground.lab.hypervisor.is_running(211)
    assert ground.nothing_left, ground.left_behind


def test_a_run_waits_for_the_copies_of_a_run_that_it_knows_nothing_of(
    ground: Ground, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(memory, "available", lambda _api, _node: 400 * MIB)
    waits = threading.Event()

    def listen(event: Event) -> None:
        if event.phase == "waiting":
            waits.set()

    first = ground.drill(210)
    ground.reports, ground.listen = tmp_path / "elsewhere" / "lab", listen  # type: ignore[method-assign]
    second = ground.drill(220)
    with second:
        with first:
            assert first.step("boot").ok
            thread = threading.Thread(target=second.step, args=("boot",))
            thread.start()
            assert waits.wait(60)
            assert not ground.lab.hypervisor.is_running(221)
        thread.join(60)
        assert second.step("boot").ok
        assert second.course.waited > 0
    assert ground.nothing_left, ground.left_behind
