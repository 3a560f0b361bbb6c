"""What a drill is doing now, for people who watch."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

from backup_standard.drill.lines import append_line
from backup_standard.quantities import say_duration

FILENAME = "progress.jsonl"


@dataclass(frozen=True)
class Event:
    """One line of progress. ``elapsed`` in seconds since the drill began."""

    guest: int
    temporary_vmid: int
    phase: str
    text: str
    elapsed: float
    percent: int | None = None

    def __str__(self) -> str:
        percent = f" {self.percent}%" if self.percent is not None else ""
        text = f"  {self.text}" if self.text else ""
        where = f"drill {self.guest}→{self.temporary_vmid}"
        return f"{where}  {say_duration(round(self.elapsed, 1)):>9}  {self.phase}{percent}{text}"


Listener = Callable[[Event], None]


class Throttle:
    """Passes each new phase and text at once, and repetitions (percent, waiting) at most every ``every`` seconds."""

    def __init__(self, listener: Listener, *, every: float = 5.0) -> None:
        self._listener, self._every = listener, every
        self._last: Event | None = None

    def __call__(self, event: Event) -> None:
        """Pass an event on, or not."""
        last = self._last
        new = last is None or (last.phase, last.text) != (event.phase, event.text)
        if new or (last is not None and event.elapsed - last.elapsed >= self._every):
            self._last = event
            self._listener(event)


def to_file(folder: Path) -> Listener:
    """A listener that appends to ``progress.jsonl`` of a run folder, for another process to show."""
    return lambda event: append_line(folder / FILENAME, asdict(event))


class Tail:
    """Reads the events that other processes append to a file, each once."""

    def __init__(self, folder: Path) -> None:
        self._path, self._offset = folder / FILENAME, 0

    def new(self) -> Iterator[Event]:
        """The events written since the last call."""
        if not self._path.exists():
            return
        with self._path.open("rb") as file:
            file.seek(self._offset)
            for line in file:
                if not line.endswith(b"\n"):
                    break
                self._offset += len(line)
                yield Event(**json.loads(line))
