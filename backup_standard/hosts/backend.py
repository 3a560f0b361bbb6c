"""Our testinfra backends: what they run on differs, recording and decoding do not."""

from __future__ import annotations

import time
from typing import Any, Protocol

from testinfra.backend.base import BaseBackend, CommandResult
from testinfra.host import Host

from backup_standard.hosts.ssh import Output, SshClient
from backup_standard.hosts.sudo import run_as_root


class Notes(Protocol):
    """Where results are written down; see :class:`backup_standard.hosts.recording.Recorder`."""

    def note(self, host: str, command: str, output: Output, seconds: float) -> None:
        """Write one result down."""
        ...


class Backend(BaseBackend):  # type: ignore[misc]  # testinfra is not typed
    """Common ground: text is UTF-8 without asking the host, what is none is replaced."""

    @property
    def encoding(self) -> str:
        """UTF-8; testinfra would run Python on the host to find out."""
        return "utf-8"

    def decode(self, data: bytes) -> str:
        """The text of an output; bytes that are no UTF-8 become U+FFFD."""
        return data.decode("utf-8", errors="replace")

    def encode(self, data: str) -> bytes:
        """A command line as bytes."""
        return data.encode()


class RunningBackend(Backend):
    """Runs commands and notes each result."""

    def __init__(self, name: str, recorder: Notes | None) -> None:
        super().__init__(name)
        self._recorder = recorder

    def execute(self, line: str) -> Output:
        """Run one command line; transport failures are ConnectionFailed or another OperatorError."""
        raise NotImplementedError

    def run(self, command: str, *args: str, **_: Any) -> CommandResult:
        """Run a command; arguments are quoted into its ``%s``."""
        line = self.get_command(command, *args)
        started = time.monotonic()
        output = self.execute(line)
        if self._recorder:
            self._recorder.note(self.hostname, line, output, time.monotonic() - started)
        return self.result(output.rc, line.encode(), output.stdout, output.stderr)


class SshBackend(RunningBackend):
    """Commands over one of our SSH connections."""

    NAME = "strict-ssh"

    def __init__(self, name: str, client: SshClient, recorder: Notes | None) -> None:
        super().__init__(name, recorder)
        self.client = client

    def execute(self, line: str) -> Output:
        """Run it over the connection."""
        return self.client.run(line)


class SudoBackend(SshBackend):
    """The same through sudo; noted are the commands themselves, which are root's own."""

    NAME = "strict-ssh-sudo"

    def execute(self, line: str) -> Output:
        """Run it as root through sudo; SudoRefused where that is not allowed."""
        return run_as_root(self.client, line)


def host_on(backend: BaseBackend) -> Host:
    """A testinfra host on a backend, without entering it into testinfra's own registry."""
    host = Host(backend)
    backend.set_host(host)
    return host
