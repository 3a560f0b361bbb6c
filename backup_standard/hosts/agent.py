"""A guest over its own agent: for guests that no network reaches. Each command is a guest-agent exec."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
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


class AgentBackend(RunningBackend):
    """Commands through ``/bin/sh -c`` in the guest."""

    NAME = "guest-agent"

    def __init__(self, name: str, calls: AgentCalls, recorder: Notes | None) -> None:
        super().__init__(name, recorder)
        self._calls = calls

    def execute(self, line: str) -> Output:
        """Run it and wait for its end. ConnectionFailed when it does not end, or left no exit status."""
        pid = self._calls.execute(["/bin/sh", "-c", line])
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


def agent_host(calls: AgentCalls, name: str, recorder: Notes | None = None) -> Host:
    """A testinfra host over a guest's agent; ``name`` is what commands are recorded under."""
    return host_on(AgentBackend(name, calls, recorder))
