"""QEMU's machine protocol (QMP) over a unix socket: one command at a time, events kept aside."""

from __future__ import annotations

import json
import socket
import threading
from collections import deque
from collections.abc import Callable, Mapping
from pathlib import Path

from lab.hypervisor import HypervisorError
from lab.waiting import until

Event = Mapping[str, object]


class QmpError(HypervisorError):
    """QEMU refused a command; the text is its own."""


def connect(path: Path, *, timeout: float, error: Callable[[], str | None] | None = None) -> socket.socket:
    """Connect to a unix socket, waiting for the server to open it."""

    def attempt() -> socket.socket | None:
        link = socket.socket(socket.AF_UNIX)
        try:
            link.connect(str(path))
        except (FileNotFoundError, ConnectionRefusedError):
            link.close()
            return None
        return link

    return until(attempt, error=error, timeout=timeout, what=f"the socket {path.name}", interval=0.02)  # type: ignore[return-value]


class Qmp:
    """A QMP session. Safe for several threads."""

    def __init__(self, path: Path, *, timeout: float = 20.0, error: Callable[[], str | None] | None = None) -> None:
        self._socket = connect(path, timeout=timeout, error=error)
        self._socket.settimeout(60.0)
        self._file = self._socket.makefile("rwb")
        self._lock = threading.Lock()
        self.events: deque[Event] = deque(maxlen=200)
        self._receive()
        self("qmp_capabilities")

    def __call__(self, command: str, **arguments: object) -> object:
        """Run a command; returns its result. QmpError carries QEMU's own text."""
        text = json.dumps(
            {"execute": command, "arguments": {name.replace("_", "-"): value for name, value in arguments.items()}}
        )
        with self._lock:
            try:
                self._file.write(text.encode() + b"\n")
                self._file.flush()
                answer = self._answer()
            except OSError as error:
                raise QmpError(f"qmp command '{command}' failed - {error}") from error
        if "error" in answer:
            raise QmpError(f"qmp command '{command}' failed - {answer['error']['desc']}")  # type: ignore[index]
        return answer.get("return")

    def human(self, command: str) -> str:
        """Run a command of the human monitor and return what it prints."""
        return str(self("human-monitor-command", **{"command-line": command}))

    def close(self) -> None:
        """End the session."""
        self._file.close()
        self._socket.close()

    def _receive(self) -> dict[str, object]:
        line = self._file.readline()
        if not line:
            raise ConnectionResetError("QEMU closed the connection")
        answer: dict[str, object] = json.loads(line)
        return answer

    def _answer(self) -> dict[str, object]:
        while True:
            answer = self._receive()
            if "event" not in answer:
                return answer
            self.events.append(answer)
