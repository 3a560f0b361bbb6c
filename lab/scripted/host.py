"""A scripted Linux machine: files, units, accounts and the programs every machine has."""

from __future__ import annotations

import errno
import os
import shlex
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from lab.hypervisor import CommandResult
from lab.scripted import bridge, contents, ip, posix, units
from lab.scripted.files import Files, Filesystem
from lab.scripted.network import Network
from lab.scripted.shell import Context, Program, fail, not_scripted, run_argv, run_line

Dial = Callable[[Context, str, int | None], None]
"""Speaks to an address from where a command runs: a TCP port, or None for an echo request. OSError when in vain."""


def unreachable(_context: Context, _address: str, _port: int | None) -> None:
    """Reach nobody."""
    raise OSError(errno.ENETUNREACH, os.strerror(errno.ENETUNREACH))


@dataclass
class Release:
    """What the machine's operating system says of itself."""

    id: str = "debian"
    name: str = "Debian GNU/Linux"
    version: str = "12 (bookworm)"
    version_id: str = "12"
    kernel: str = "6.1.0-41-cloud-amd64"
    kernel_version: str = "#1 SMP PREEMPT_DYNAMIC Debian 6.1.158-1 (2025-11-09)"

    @property
    def pretty(self) -> str:
        """The name with its version."""
        return f"{self.name} {self.version}"

    def file(self) -> str:
        """Render /etc/os-release."""
        return (
            f'PRETTY_NAME="{self.pretty}"\nNAME="{self.name}"\nVERSION_ID="{self.version_id}"\n'
            f'VERSION="{self.version}"\nVERSION_CODENAME={self.version.split("(")[-1].rstrip(")")}\nID={self.id}\n'
        )


@dataclass
class ScriptedHost:
    """A machine that answers commands from its state.

    ``extra`` maps whole command lines to fixed results; ``absent`` are programs known not to be installed.
    """

    hostname: str
    files: Files = field(default_factory=lambda: Files(Filesystem("/dev/vda1")))
    network: Network = field(default_factory=Network)
    services: dict[str, units.Unit] = field(default_factory=dict)
    release: Release = field(default_factory=Release)
    zone: str = "Etc/UTC"
    accounts: dict[str, int] = field(default_factory=lambda: {"root": 0})
    clock: Callable[[], float] = time.time
    booted: float = field(default_factory=time.time)
    boot_id: str = "00000000-0000-4000-8000-000000000000"
    dial: Dial = unreachable
    absent: frozenset[str] = frozenset({"zpool", "zfs", "btrfs", "multipath"})
    extra: dict[str, CommandResult] = field(default_factory=dict)
    programs: dict[str, Program] = field(default_factory=dict)

    def __post_init__(self) -> None:
        own = self.programs
        self.programs = {
            **posix.PROGRAMS,
            **contents.PROGRAMS,
            **units.PROGRAMS,
            **ip.PROGRAMS,
            **bridge.PROGRAMS,
            **own,
        }
        self.files.makedirs("/etc")
        self.files.makedirs("/lib/systemd")
        self.files.makedirs("/sbin")
        self.files.write("/lib/systemd/systemd", b"\x7fELF", mode=0o755)
        self.files.link("/sbin/init", "/lib/systemd/systemd")
        self.files.write("/etc/os-release", self.release.file().encode())
        self.files.write("/etc/hostname", f"{self.hostname}\n".encode())
        self.files.dynamic |= {
            "/proc/sys/kernel/random/boot_id": self._boot_id,
            "/proc/uptime": self._uptime,
            "/proc/self/mountinfo": lambda: contents.mountinfo(self.files),
        }

    def _boot_id(self) -> bytes:
        return f"{self.boot_id}\n".encode()

    def _uptime(self) -> bytes:
        return f"{self.clock() - self.booted:.2f} 0.00\n".encode()

    def context(self, stdin: bytes = b"", netns: str = "", user: str = "root") -> Context:
        """Return where a command runs."""
        return Context(self, stdin, netns, user)

    def call(self, context: Context, argv: Sequence[str]) -> CommandResult:
        """Run a program with its arguments."""
        return run_argv(_Table(self), context, argv)

    def line(self, context: Context, line: str) -> CommandResult:
        """Run a shell line, as SSH brings it."""
        fixed = self.extra.get(line)
        return fixed if fixed is not None else run_line(_Table(self), context, line)


class _Table(dict[str, Program]):
    """The programs of a host, its fixed results included."""

    def __init__(self, host: ScriptedHost) -> None:
        super().__init__(host.programs)
        self._host = host

    def get(self, name: str, default: Program | None = None) -> Program | None:  # type: ignore[override]
        """Return a program that looks for a fixed result first."""
        program = super().get(name, default)

        def looked_up(context: Context, arguments: list[str]) -> CommandResult:
            fixed = self._host.extra.get(shlex.join([name, *arguments]))
            if fixed is not None:
                return fixed
            if name in self._host.absent:
                return fail(127, f"bash: line 1: {name}: command not found")
            if program is None:
                raise not_scripted([name, *arguments])
            return program(context, arguments)

        return looked_up
