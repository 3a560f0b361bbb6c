"""The QEMU guest agent of one guest: a socket, one command at a time."""

from __future__ import annotations

import json
import secrets
import socket
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lab.hypervisor import AgentError, AgentSilent

SYNC_SECONDS = 3.0


class Agent:
    """Asks one guest's agent. A question left without an answer does not disturb the next."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = threading.Lock()

    def __call__(self, command: str, arguments: Mapping[str, object], timeout: float) -> object:
        """Ask; ``timeout`` in seconds. AgentSilent without an answer in time, AgentError for an error of the agent."""
        with self._lock:
            try:
                return self._ask(command, arguments, timeout)
            except OSError as error:
                raise AgentSilent(f"qga command '{command}' failed - got timeout") from error

    def _ask(self, command: str, arguments: Mapping[str, object], timeout: float) -> object:
        deadline = time.monotonic() + timeout
        with socket.socket(socket.AF_UNIX) as link:
            link.settimeout(min(timeout, SYNC_SECONDS))
            link.connect(str(self._path))
            token = secrets.randbelow(1 << 31)
            link.sendall(b"\xff" + json.dumps({"execute": "guest-sync", "arguments": {"id": token}}).encode() + b"\n")
            reader = link.makefile("rb")
            while self._line(reader.readline()).get("return") != token:
                if time.monotonic() > deadline:
                    raise TimeoutError("the agent answers something else")
            link.settimeout(max(0.1, deadline - time.monotonic()))
            link.sendall(json.dumps({"execute": command, "arguments": dict(arguments)}).encode() + b"\n")
            if command == "guest-shutdown":
                return None
            answer = self._line(reader.readline())
        if "error" in answer:
            error = answer["error"]
            raise AgentError(str(error.get("desc", error)), str(error.get("class", "GenericError")))
        return answer.get("return")

    @staticmethod
    def _line(line: bytes) -> dict[str, Any]:
        if not line:
            raise ConnectionResetError("the agent's port was closed")
        try:
            answer: dict[str, Any] = json.loads(line.lstrip(b"\xff"))
        except ValueError:
            return {}
        return answer
