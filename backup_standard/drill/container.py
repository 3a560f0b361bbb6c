"""The inside of a temporary container, which has no agent: entered from the node by ``pct exec``.

Upstream: PVE/CLI/pct.pm exec (lxc-attach as the container's root; the command's own exit status, 127 for a program that
is not there, 255 when the container does not run); PVE/API2/LXC.pm ip (its cards and addresses, by the node).
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from backup_standard.drill import names, network, node_commands
from backup_standard.drill.guard import Guard
from backup_standard.drill.ports import Ran, Shell, Writer
from backup_standard.drill.posix import Posix
from backup_standard.errors import ApiError, Refused

TICKS = 100
"""Clock ticks a second in /proc (upstream: USER_HZ, the same on every architecture that Proxmox VE runs on)."""

_NO_SUCH_ROUTE = 501
_STARTED = 19
"""Place of the start time among the words of /proc/PID/stat behind the process's name (upstream: proc(5), field 22)."""


@dataclass(frozen=True)
class ContainerShell:
    """See :class:`~backup_standard.drill.ports.Insider`; for container ``vmid`` on ``node``."""

    api: Writer
    node: str
    vmid: int
    shell: Shell
    guard: Guard
    rung: str = "pct exec"
    _ended: dict[int, Ran] = field(default_factory=dict)
    _numbers: Any = field(default_factory=lambda: itertools.count(1))

    @property
    def path(self) -> str:
        """The container in the API."""
        return names.guest_path("lxc", self.node, self.vmid)

    def answers(self) -> bool:
        """Whether a program runs in it now."""
        return self.run(("true",)).rc == 0

    def run(self, argv: Sequence[str], *, timeout: float = 60.0, stdin: str = "") -> Ran:
        """Run a command in the container as its root and wait; the node's SSH limits the time."""
        del timeout
        if stdin:
            raise Refused("a command in a container is given no input")
        command = node_commands.enter(self.vmid, argv)
        self.guard.permit_command(command)
        return self.shell(command)

    def interfaces(self) -> dict[str, dict[str, Any]]:
        """Cards by name, as the node lists them: ``mac`` in lower case, ``addresses`` with prefix; no ``lo``.

        A release whose API does not tell them (7) is asked on the node, which does what newer ones do.
        """
        try:
            listed: Sequence[Mapping[str, Any]] = self.api.get(f"{self.path}/interfaces") or []
        except ApiError as problem:
            if problem.status != _NO_SUCH_ROUTE:
                raise
            return self._seen_by_node()
        return {
            str(card["name"]): {
                "mac": str(card.get("hwaddr") or card.get("hardware-address", "")).lower(),
                "addresses": list(_addresses(card)),
            }
            for card in listed
            if card["name"] != "lo"
        }

    def connects(self, address: str, port: int) -> bool:
        """Whether a TCP connection is accepted in the container's network, opened there by its node."""
        command = node_commands.connect(self.vmid, address, port)
        self.guard.permit_command(command)
        return self.shell(command).rc == 0

    def _seen_by_node(self) -> dict[str, dict[str, Any]]:
        command = node_commands.cards(self.vmid)
        self.guard.permit_command(command)
        ran = self.shell(command)
        if ran.rc:
            raise Refused(f"{' '.join(command)} failed on the node: {ran.stderr.strip() or ran.rc}")
        return network.parse_ip_addr(ran.stdout)

    def execute(self, command: Sequence[str], stdin: str = "") -> int:
        """Run a program to its end; returns the number under which its result is kept."""
        number = next(self._numbers)
        self._ended[number] = self.run(command, stdin=stdin)
        return int(number)

    def status(self, pid: int) -> dict[str, Any]:
        """What a program left, in an agent's words; told once."""
        ran = self._ended.pop(pid)
        return {"exited": 1, "exitcode": ran.rc, "out-data": ran.stdout, "err-data": ran.stderr}


def _addresses(card: Mapping[str, Any]) -> Sequence[str]:
    """Every address of a card with its prefix; older releases give one of each family alone (``inet``, ``inet6``)."""
    every = [f"{one['ip-address']}/{one['prefix']}" for one in card.get("ip-addresses", [])]
    return every or [str(card[key]) for key in ("inet", "inet6") if card.get(key)]


class InContainer(Posix):
    """Linux in a container: the kernel, and so its boot id and uptime, are the node's; its own init tells its age."""

    name = "linux container"
    evidence: Sequence[str] = ("cat", "/proc/sys/kernel/random/boot_id", "/proc/1/stat", "/proc/self/stat")

    def boot_of(self, said: str) -> tuple[str, float]:
        """The node's boot id with the tick at which init began, and the seconds since.

        The command's own start tells the present on the same clock. /proc/uptime would not do: it is the node's, or the
        container's, by whether the node covers it (lxcfs). ValueError or IndexError when it is something else.
        """
        boot_id, *processes = said.splitlines()
        began, now = (int(line.rpartition(")")[2].split()[_STARTED]) for line in processes)
        return f"{boot_id}/{began}", (now - began) / TICKS


IN_CONTAINER = InContainer()
