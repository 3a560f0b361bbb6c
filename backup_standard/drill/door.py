"""The restored guest's SSH server as a drill reaches it: through the node, from inside the drill gateway."""

from __future__ import annotations

import secrets
import shlex
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any

from backup_standard.drill import throwaway
from backup_standard.drill.ports import Ran
from backup_standard.drill.tls import Stream
from backup_standard.errors import ConnectionFailed
from backup_standard.hosts import Recorder, SshClient, guest_client, guest_host
from backup_standard.hosts.ssh import Account
from backup_standard.inventory.secrets import Secret


def run_on(client: SshClient, argv: Sequence[str], *, timeout: float = 60.0) -> Ran:
    """Run a command, given as its arguments, over an SSH connection."""
    output = client.run(shlex.join(argv), timeout=timeout)
    return Ran(output.rc, output.stdout.decode("utf-8", "replace"), output.stderr.decode("utf-8", "replace"))


@dataclass(frozen=True)
class SshSession:
    """A login that stands."""

    client: SshClient

    def run(self, argv: Sequence[str], *, timeout: float = 30.0) -> Ran:
        """Run a command as the account that logged in."""
        return run_on(self.client, argv, timeout=timeout)

    def host(self, name: str, recorder: Recorder | None) -> Any:
        """A testinfra host over this login."""
        return guest_host(self.client, name, recorder)

    def close(self) -> None:
        """End the login."""
        self.client.close()


@dataclass(frozen=True)
class GatewayPorts:
    """The ports of one guest; see :class:`backup_standard.drill.ports.Ports`."""

    node: SshClient
    namespace: str
    address: str

    def exchange(
        self, port: int, request: bytes, *, enough: Callable[[bytes], bool] | None = None, timeout: float = 10.0
    ) -> bytes:
        """Speak to a TCP port of the guest from the gateway."""
        channel = self.node.open(shlex.join(self._socat(port)))
        deadline, answer = time.monotonic() + timeout, b""
        try:
            channel.settimeout(timeout)
            channel.sendall(request)
            while not (enough and enough(answer)) and time.monotonic() < deadline:
                chunk = channel.recv(65536)
                if not chunk:
                    break
                answer += chunk
        except OSError as problem:
            raise ConnectionFailed(f"port {port} of the guest went silent: {problem or 'no answer'}") from None
        finally:
            with suppress(OSError, EOFError):  # the connection that carries it may be gone
                channel.close()
        if not answer:
            raise ConnectionFailed(f"port {port} of the guest does not answer the gateway")
        return answer

    def open(self, port: int) -> Stream:
        """A connection to a TCP port of the guest from the gateway."""
        channel: Stream = self.node.open(shlex.join(self._socat(port)))
        return channel

    def is_open(self, port: int) -> bool:
        """Whether a connection to the port succeeds."""
        return run_on(self.node, self._socat(port), timeout=15.0).rc == 0

    def _socat(self, port: int) -> tuple[str, ...]:
        target = f"[{self.address}]" if ":" in self.address else self.address
        return ("ip", "netns", "exec", self.namespace, "socat", "-", f"TCP:{target}:{port}")


@dataclass(frozen=True)
class SshDoor(GatewayPorts):
    """The SSH server of one guest; see :class:`backup_standard.drill.ports.Door`."""

    account: Account
    host_key: str
    port: int = 22

    @property
    def user(self) -> str:
        """The account's name."""
        return self.account.user

    @property
    def method(self) -> str:
        """How the account proves itself."""
        if self.account.held:
            return "throw-away key"
        return "password" if self.account.password else "key"

    @property
    def wrong_means(self) -> Sequence[str]:
        """Both are tried, whichever the account uses."""
        return ("key", "password")

    def enter(self) -> SshSession:
        """Log in as the inventory says."""
        return self._enter(self.account)

    def enter_wrongly(self, means: str) -> SshSession:
        """Try a fresh random password, or a key made for this one try."""
        password = Secret(secrets.token_urlsafe(18)) if means == "password" else None
        held = None if means == "password" else throwaway.private_key()[0]
        return self._enter(replace(self.account, key=None, held=held, password=password))

    def _enter(self, account: Account) -> SshSession:
        client = guest_client(self.node, self.namespace, self.address, account, self.host_key, port=self.port)
        return SshSession(client.connect())
