"""How a guest's operating system is asked: the same questions in the words of Linux and of Windows."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

from backup_standard.drill.ports import Ran
from backup_standard.inventory.checks import SqlCheck

Run = Callable[[Sequence[str]], Ran]

LARGEST_FILE = 1 << 20
"""Bytes of a file that are read as a whole; of larger ones only the digest is taken."""

NOT_FOUND = frozenset({126, 127})
"""Exit statuses of a program that is not there, or cannot be run."""


class Unreadable(Exception):
    """A file of the guest could not be read; the text says which and why."""


class Dialect(Protocol):
    """Questions that drills ask inside a guest. Commands are arguments, never shell lines put together."""

    name: str
    evidence: Sequence[str]
    """Prints which boot this is, and the seconds since it began."""
    host_key: Sequence[str]
    """Prints the public half of the SSH server's host key."""
    who: Sequence[str]
    """Prints the account that runs it."""

    def boot_of(self, said: str) -> tuple[str, float]:
        """What ``evidence`` printed: which boot, and the seconds since; ValueError or IndexError for anything else."""
        ...

    def is_account(self, said: str, user: str) -> bool:
        """Whether what ``who`` printed is that account."""
        ...

    def literal(self, value: str) -> str:
        """A text as one word of a shell's line."""
        ...

    def line(self, command: str) -> Sequence[str]:
        """A line of the operator's own for the guest's shell."""
        ...

    def ping(self, address: str, *, patience: int) -> Sequence[str]:
        """Ends with 0 when the address answers within ``patience`` seconds."""
        ...

    def connect(self, address: str, port: int) -> Sequence[str]:
        """Ends with 0 when a TCP connection is accepted within 3 s."""
        ...

    def unit_state(self, run: Run, unit: str) -> str:
        """The state of a service in one word, "active" when it runs, "" when there is none."""
        ...

    def sql(self, check: SqlCheck, *, as_root: bool) -> Sequence[str]:
        """The query, run by the database's own client."""
        ...

    def read(self, run: Run, path: str) -> bytes:
        """The content of a file; Unreadable when it is missing or larger than :data:`LARGEST_FILE`."""
        ...

    def digest(self, run: Run, path: str) -> str:
        """The SHA-256 of a file in lower case; Unreadable."""
        ...

    def modified(self, run: Run, path: str) -> float:
        """When a file was last written, in seconds since 1970; Unreadable."""
        ...

    def holds_data(self, run: Run, folder: str) -> bool:
        """Whether a file that holds something lies in a folder, at any depth, and can be read; Unreadable."""
        ...

    def is_mount(self, run: Run, folder: str) -> bool:
        """Whether another file system begins at a folder than the one above it is on; Unreadable."""
        ...


def is_windows(config: Mapping[str, str]) -> bool:
    """Whether a configuration says that Windows is in the guest (upstream: ``ostype`` wxp … win11)."""
    return config.get("ostype", "").startswith("w")


def said(ran: Ran) -> str:
    """What a failed command complained of, in one short line."""
    text = (ran.stderr or ran.stdout).strip() or f"exit status {ran.rc}"
    return text.splitlines()[0][:200]


def told(ran: Ran, path: str) -> str:
    """What a command printed about a file; Unreadable when it failed or printed nothing."""
    if ran.rc != 0 or not ran.stdout.strip():
        raise Unreadable(f"{path} cannot be read: {said(ran)}")
    return ran.stdout.strip()


def decoded(ran: Ran, path: str) -> bytes:
    """The content of a file that a command printed as base64; Unreadable."""
    try:
        return base64.b64decode(told(ran, path))
    except binascii.Error:
        raise Unreadable(f"{path} came incomplete") from None
