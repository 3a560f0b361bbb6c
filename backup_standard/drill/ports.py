"""What a drill needs of a site, in the narrowest terms: an API to read and write, a shell on the node, the guest."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from backup_standard.drill.tls import Stream
from backup_standard.pve import TaskResult


class Reader(Protocol):
    """Reads of the Proxmox VE API; paths begin with "/"."""

    def get(self, path: str, /, **params: Any) -> Any:
        """Return the ``data`` of an answer."""
        ...


class Writer(Reader, Protocol):
    """Reads, and writes that passed the ownership guard."""

    def write(self, method: str, path: str, params: Mapping[str, Any] | None = None) -> Any:
        """Send one POST, PUT or DELETE, never a second time; return the ``data`` of the answer (often a UPID)."""
        ...

    def wait_task(
        self, upid: str, *, timeout: float, tick: Callable[[Mapping[str, Any], float], None] | None = None
    ) -> TaskResult:
        """Wait for a task's end; TaskFailed when it ends otherwise than OK or with warnings."""
        ...

    def log(self, upid: str) -> tuple[str, ...]:
        """Every line of a task's log so far."""
        ...


@dataclass(frozen=True)
class Ran:
    """What a command left: exit status and both outputs."""

    rc: int
    stdout: str
    stderr: str = ""


Shell = Callable[[Sequence[str]], Ran]
"""Runs one command, given as its arguments, and waits for it."""


class Insider(Protocol):
    """The way into a guest that needs no network: its agent, or ``pct exec`` of its node.

    ``rung`` names it in the evidence, ``path`` is the guest in the API.
    """

    @property
    def api(self) -> Reader:
        """The API that knows the guest."""
        ...

    @property
    def vmid(self) -> int:
        """The guest."""
        ...

    @property
    def rung(self) -> str:
        """What the evidence calls it."""
        ...

    @property
    def path(self) -> str:
        """The guest in the API."""
        ...

    def answers(self) -> bool:
        """Whether it answers now."""
        ...

    def run(self, argv: Sequence[str], *, timeout: float = 60.0, stdin: str = "") -> Ran:
        """Run a command in the guest as root and wait."""
        ...

    def interfaces(self) -> dict[str, dict[str, Any]]:
        """Network cards by name: ``mac`` in lower case, ``addresses`` with prefix, ``lo`` left out."""
        ...

    def execute(self, command: Sequence[str], stdin: str = "") -> int:
        """Start a program; returns a number for :meth:`status`."""
        ...

    def status(self, pid: int) -> Mapping[str, Any]:
        """What became of a program, in the words of the agent's exec-status."""
        ...


class Session(Protocol):
    """A login to the guest that stands."""

    def run(self, argv: Sequence[str], *, timeout: float = 30.0) -> Ran:
        """Run a command as the account that logged in."""
        ...

    def close(self) -> None:
        """End the login."""
        ...


class Ports(Protocol):
    """TCP ports of the guest, reached from inside the drill gateway."""

    def exchange(
        self, port: int, request: bytes, *, enough: Callable[[bytes], bool] | None = None, timeout: float = 10.0
    ) -> bytes:
        """Open a TCP connection to the guest from the gateway, send, and return what comes.

        Reads until the guest ends the connection or ``enough`` likes what came. ConnectionFailed when the port does
        not answer.
        """
        ...

    def is_open(self, port: int) -> bool:
        """Whether a TCP port of the guest accepts a connection from the gateway."""
        ...

    def open(self, port: int) -> Stream:
        """A connection to a TCP port, for a caller that talks to it and closes it; it ends when nobody is there."""
        ...


class Door(Protocol):
    """The way in to a guest: its SSH server behind the drill gateway (whose host key is checked), or its agent."""

    @property
    def user(self) -> str:
        """The account's name."""
        ...

    @property
    def method(self) -> str:
        """How the account proves itself."""
        ...

    @property
    def wrong_means(self) -> Sequence[str]:
        """The kinds of credential that a wrong one can be tried of: "key", "password"."""
        ...

    def enter(self) -> Session:
        """Log in as the inventory says. LoginRefused, or ConnectionFailed while nobody answers."""
        ...

    def enter_wrongly(self, means: str) -> Session:
        """Try to log in with a credential nobody has, a "key" or a "password"; LoginRefused is what should come."""
        ...
