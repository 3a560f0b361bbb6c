"""A guest over its own agent: for guests that no network reaches. Each command is a guest-agent exec."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

from testinfra.host import Host

from backup_standard.errors import ConnectionFailed
from backup_standard.hosts.backend import Notes, RunningBackend, host_on
from backup_standard.hosts.ssh import COMMAND_TIMEOUT, Output
from backup_standard.waiting import NotReady, until


class AgentCalls(Protocol):
    """The two calls this needs; whoever may write to the guest provides them."""

    def execute(self, command: Sequence[str]) -> int:
        """Start a program in the guest; its process id."""
        ...

    def status(self, pid: int) -> Mapping[str, Any]:
        """What exec-status says; the answer of a process that has ended is given once (upstream: qemu-ga)."""
        ...


Line = Callable[[str], Sequence[str]]
"""Makes a line for the guest's shell the arguments of a program."""


def _sh(line: str) -> Sequence[str]:
    return ("/bin/sh", "-c", line)


class AgentBackend(RunningBackend):
    """Commands through the guest's own shell: ``/bin/sh`` unless another is given, with its way to quote a word."""

    NAME = "guest-agent"

    def __init__(
        self, name: str, calls: AgentCalls, recorder: Notes | None, line: Line = _sh,
        literal: Callable[[str], str] = shlex.quote,
    ) -> None:  # fmt: skip
        super().__init__(name, recorder)
        self._calls, self._line, self._literal = calls, line, literal

    def quote(self, command: str, *args: str) -> str:
        """The command line, its arguments quoted for this shell."""
        return command % tuple(self._literal(arg) for arg in args) if args else command

    def execute(self, line: str) -> Output:
        """Run it and wait for its end. ConnectionFailed when it does not end, or left no exit status."""
        pid = self._calls.execute(list(self._line(line)))
        try:
            final = until(
                lambda: self._calls.status(pid),
                ready=lambda status: bool(int(status.get("exited", 0))),
                timeout=COMMAND_TIMEOUT,
                what=f"end of the command {line!r} in the guest",
                longest_pause=1.0,
            )
        except NotReady as problem:
            raise ConnectionFailed(str(problem), where=f"guest agent of {self.hostname}") from None
        if "exitcode" not in final:
            raise ConnectionFailed(
                f"the command was ended by signal {final.get('signal', '?')}: {line}",
                where=f"guest agent of {self.hostname}",
            )
        return Output(
            int(final["exitcode"]), str(final.get("out-data", "")).encode(), str(final.get("err-data", "")).encode()
        )


def agent_host(
    calls: AgentCalls, name: str, recorder: Notes | None = None, *,
    line: Line = _sh, literal: Callable[[str], str] = shlex.quote,
) -> Host:  # fmt: skip
    """A testinfra host over a guest's agent; ``name`` is what commands are recorded under.

    ``line`` and ``literal`` are for a guest whose shell is no ``sh``: testinfra's ``run`` works there, its modules ask
    Unix programs.
    """
    return host_on(AgentBackend(name, calls, recorder, line, literal))
