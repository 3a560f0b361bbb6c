"""The guest agent of a temporary guest, asked through the API."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from backup_standard import waiting
from backup_standard.drill import names
from backup_standard.drill.ports import Ran, Writer
from backup_standard.errors import ApiError, ConnectionFailed

PING_UNAVAILABLE = ("is not running", "No QEMU guest agent configured", "got timeout", "Broken pipe")


@dataclass(frozen=True)
class Agent:
    """The agent of guest ``vmid`` on ``node``."""

    api: Writer
    node: str
    vmid: int
    rung: str = "agent"

    @property
    def path(self) -> str:
        """The guest in the API."""
        return names.guest_path("qemu", self.node, self.vmid)

    def answers(self) -> bool:
        """Whether it answers a ping now (upstream waits about 3 s for a silent agent)."""
        try:
            self.api.write("POST", self._path("ping"))
        except ApiError as problem:
            if any(text in str(problem) for text in PING_UNAVAILABLE):
                return False
            raise
        return True

    def run(self, argv: Sequence[str], *, timeout: float = 60.0, stdin: str = "") -> Ran:
        """Run a command in the guest as its agent's account (root) and wait; ``timeout`` in seconds.

        A program that does not exist makes the real API fail with 596 and no text, so it counts as exit status 127.
        """
        try:
            pid = self.execute(argv, stdin)
        except (ApiError, ConnectionFailed) as problem:
            if "(596 " in str(problem) or "execute child process" in str(problem):
                return Ran(127, "", f"{argv[0]}: not found")
            raise
        ended = waiting.until(
            lambda: self.status(pid),
            ready=lambda status: bool(status.get("exited")),
            timeout=timeout,
            what=f"{argv[0]} in guest {self.vmid}",
            longest_pause=1.0,
        )
        code = ended.get("exitcode", 128 + int(ended.get("signal", 0)))
        return Ran(int(code), str(ended.get("out-data", "")), str(ended.get("err-data", "")))

    def interfaces(self) -> dict[str, dict[str, Any]]:
        """Network interfaces by name: ``mac`` in lower case, ``addresses`` with prefix, ``lo`` left out."""
        answer = self.api.get(self._path("network-get-interfaces"))
        found = answer.get("result", [])
        listed: Sequence[Mapping[str, Any]] = found if isinstance(found, list) else []
        return {
            str(entry["name"]): {
                "mac": str(entry.get("hardware-address", "")).lower(),
                "addresses": [f"{ip['ip-address']}/{ip['prefix']}" for ip in entry.get("ip-addresses", [])],
            }
            for entry in listed
            if entry["name"] != "lo"
        }

    def execute(self, command: Sequence[str], stdin: str = "") -> int:
        """Start a program in the guest, with a text as its input; returns its process id."""
        given = {"input-data": stdin} if stdin else {}
        started = self.api.write("POST", self._path("exec"), {"command": list(command), **given})
        return int(started["pid"])

    def status(self, pid: int) -> dict[str, Any]:
        """What exec-status says; that a process has ended is told once."""
        status: dict[str, Any] = self.api.get(self._path("exec-status"), pid=pid)
        return status

    def _path(self, command: str) -> str:
        return f"{self.path}/agent/{command}"
