"""A restored guest's door that leads where a test says."""

from __future__ import annotations

import struct
from collections.abc import Callable, Sequence
from typing import Any

from backup_standard.drill.ports import Ran
from backup_standard.errors import ConnectionFailed, LoginRefused


class Door:
    """A guest's door: what each way in leads to."""

    user, method, wrong_means = "drill", "key", ("key", "password")

    def __init__(self, enter: Any = None, key: Any = None, password: Any = None, who: str = "drill\n") -> None:
        refused = LoginRefused("no")
        self.ways = {"enter": enter, "key": key or refused, "password": password or refused}
        self.who, self.closed = who, 0
        self.ports: dict[int, bytes | Exception] = {}

    def _way(self, name: str) -> Any:
        if isinstance(self.ways[name], Exception):
            raise self.ways[name]
        return self

    def enter(self) -> Any:
        return self._way("enter")

    def enter_wrongly(self, means: str) -> Any:
        return self._way(means)

    def run(self, _argv: Sequence[str], *, timeout: float = 1.0) -> Ran:  # noqa: ARG002 - the protocol's
        return Ran(0, self.who, "")

    def close(self) -> None:
        self.closed += 1

    def is_open(self, port: int) -> bool:
        return port in self.ports

    def exchange(self, port: int, request: bytes, *, enough: Callable[[bytes], bool] | None = None) -> bytes:
        answer = self.ports.get(port, ConnectionFailed(f"port {port} of the guest does not answer the gateway"))
        if isinstance(answer, Exception):
            raise answer
        if enough:
            answer = struct.pack(">H", len(answer)) + request[2:4] + answer[2:]
            assert enough(answer)
            assert not enough(answer[:-1])
        return answer
