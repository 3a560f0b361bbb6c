"""Every command and its result, one JSON line each; and a host that answers from such lines with no site at all."""

from __future__ import annotations

import base64
import datetime as dt
import json
import shlex
import threading
from collections import defaultdict
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from testinfra.backend.base import CommandResult
from testinfra.host import Host

from backup_standard.errors import Unknown
from backup_standard.hosts.backend import Backend, host_on
from backup_standard.hosts.ssh import Output


class Recorder:
    """Appends results to a file of one process (``commands.jsonl``); threads may share it."""

    def __init__(self, path: Path) -> None:
        self._path, self._lock = path, threading.Lock()

    def note(self, host: str, command: str, output: Output, seconds: float) -> None:
        """Write one result down."""
        line = {
            "at": dt.datetime.now(dt.UTC).isoformat(timespec="milliseconds"),
            "host": host,
            "command": command,
            "rc": output.rc,
            "stdout": _encode(output.stdout),
            "stderr": _encode(output.stderr),
            "seconds": round(seconds, 3),
        }
        with self._lock, self._path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(line, ensure_ascii=False) + "\n")


def _encode(data: bytes) -> Any:
    try:
        return data.decode()
    except UnicodeDecodeError:
        return {"base64": base64.b64encode(data).decode()}


def _decode(value: Any) -> bytes:
    return base64.b64decode(value["base64"]) if isinstance(value, dict) else str(value).encode()


def _notes(path: Path) -> Iterator[dict[str, Any]]:
    """The results in a recording; a last line that was cut short when the process was killed is left out."""
    for line in path.read_text(encoding="utf-8").splitlines():
        try:
            yield json.loads(line)
        except json.JSONDecodeError:
            return


class Replay(Backend):
    """Answers each command as it was answered then, in order; the last answer stands for further askings."""

    NAME = "replay"

    def __init__(self, path: Path, host: str, literal: Callable[[str], str] = shlex.quote) -> None:
        super().__init__(host)
        self._literal = literal
        self._answers: dict[str, list[Output]] = defaultdict(list)
        for noted in _notes(path):
            if noted["host"] == host:
                output = Output(noted["rc"], _decode(noted["stdout"]), _decode(noted["stderr"]))
                self._answers[noted["command"]].append(output)

    def quote(self, command: str, *args: str) -> str:
        """The command line as it was quoted then."""
        return command % tuple(self._literal(arg) for arg in args) if args else command

    def run(self, command: str, *args: str, **_: Any) -> CommandResult:
        """The recorded result. Unknown when the command was not run then."""
        line = self.get_command(command, *args)
        answers = self._answers.get(line)
        if not answers:
            raise Unknown(f"the result of {line!r} on {self.hostname}", reason="the recording does not hold it")
        output = answers.pop(0) if len(answers) > 1 else answers[0]
        return self.result(output.rc, line.encode(), output.stdout, output.stderr)


def replay_host(path: Path, host: str, literal: Callable[[str], str] = shlex.quote) -> Host:
    """A testinfra host that answers from a recording; ``host`` is the name it was recorded under.

    ``literal`` quotes a word as it was quoted then.
    """
    return host_on(Replay(path, host, literal))
