"""A restore's progress, and what is looked at when its task has ended."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from backup_standard.drill.progress import Event, Tail, Throttle, to_file
from backup_standard.drill.restore import look
from tests.unit.drill.test_neutralise import PLAIN, decide


class Restoring:
    """What a restored guest shows."""

    def __init__(self, config: dict[str, Any], pending: list[dict[str, Any]]) -> None:
        self.answers = {"config": config, "pending": pending}

    def get(self, path: str, **_params: Any) -> Any:
        return self.answers[path.rsplit("/", 1)[-1]]


def test_a_restored_guest_is_looked_at_whatever_its_task_said() -> None:
    decided = decide(protection="1")
    config = PLAIN | dict(decided.overrides)
    del config["protection"]

    def seen(pending: Sequence[dict[str, Any]] = (), **changes: str) -> list[str]:
        shown = {key: value for key, value in (config | changes).items() if value}
        return look(Restoring(shown, list(pending)), "/nodes/pve1/qemu/201", PLAIN, decided)

    assert seen() == []
    assert seen(net0="virtio=BC:24:11:8B:C0:D6,bridge=vmbr9,firewall=0")[0].startswith("net0 is 'virtio=BC:24")
    assert seen(scsi0="") == ["disk scsi0 is missing"]
    assert seen(tags="prod") == ["tags is 'prod', not 'backup-standard-drill'"]
    assert seen(onboot="1") == ["onboot is '1', not '0'"]
    assert seen(unused0="local:201/x") == ["unused0 is a volume from before: local:201/x"]
    assert seen([{"key": "memory", "pending": "1"}, {"key": "name", "value": "x"}]) == [
        "the change of memory is pending"
    ]


def test_progress_repeats_itself_only_now_and_then() -> None:
    heard: list[Event] = []
    throttle = Throttle(heard.append, every=5.0)
    for elapsed in range(12):
        throttle(Event(210, 211, "restore", "", float(elapsed), elapsed))
    throttle(Event(210, 211, "boot", "", 11.5))
    assert [event.elapsed for event in heard] == [0.0, 5.0, 10.0, 11.5]
    assert str(heard[1]) == "drill 210→211        5 s  restore 5%"


def test_progress_of_another_process_is_read_once_and_whole_lines_only(tmp_path: Path) -> None:
    tail = Tail(tmp_path)
    assert list(tail.new()) == []
    event = Event(210, 211, "boot", "waiting", 1.0)
    to_file(tmp_path)(event)
    with (tmp_path / "progress.jsonl").open("a") as file:
        file.write('{"guest": 2')
    assert list(tail.new()) == [event]
    assert list(tail.new()) == []
    with (tmp_path / "progress.jsonl").open("a") as file:
        file.write('00, "temporary_vmid": 201, "phase": "boot", "text": "", "elapsed": 2.0, "percent": null}\n')
    assert [one.guest for one in tail.new()] == [200]
