"""A restored guest over SSH, from inside its drill gateway: the node runs ``socat`` in the gateway's namespace."""

from __future__ import annotations

import contextlib
import shlex
from pathlib import Path

import paramiko
from testinfra.host import Host

from backup_standard.errors import ConnectionFailed
from backup_standard.hosts import trust
from backup_standard.hosts.backend import Notes, SshBackend, host_on
from backup_standard.hosts.ssh import Account, SshClient
from backup_standard.inventory.drills import Login
from backup_standard.inventory.secrets import expand, resolve


def account_of(login: Login) -> Account:
    """The account that a drill logs in with. SecretError when its password cannot be read."""
    password = resolve(login.password, where=login.where or "login.password") if login.password else None
    return Account(login.user, key=expand(login.key) if login.key else None, password=password)


def guest_client(
    node: SshClient, namespace: str, address: str, account: Account, host_key: str, *, port: int = 22
) -> SshClient:
    """A connection to a guest through a namespace of its node, not yet opened.

    ``host_key`` is the guest's public key (``ssh-ed25519 AAAA…``) or ``file:PATH`` of it; any other key is refused.
    """
    where = f"host key of guest {address}"
    key = trust.public_key(host_key, where=where)
    known = paramiko.HostKeys()
    known.add(trust.entry_name(address, port), key.get_name(), key)
    return GuestClient(node, namespace, (address, port), account, known)


def guest_host(client: SshClient, name: str, recorder: Notes | None = None) -> Host:
    """A testinfra host on a guest's connection; ``name`` is what commands are recorded under (the temporary VMID)."""
    return host_on(SshBackend(name, client, recorder))


class GuestClient(SshClient):
    """An SSH connection that runs over a command on the node."""

    def __init__(
        self, node: SshClient, namespace: str, target: tuple[str, int], account: Account, known: paramiko.HostKeys
    ) -> None:
        super().__init__(*target, account, known, Path("the drill's host_key"), over=self._tunnel)
        self._node, self._namespace = node, namespace
        self._channel: paramiko.Channel | None = None

    def _tunnel(self) -> paramiko.Channel:
        target = f"[{self.host}]" if ":" in self.host else self.host
        command = f"ip netns exec {shlex.quote(self._namespace)} socat - {shlex.quote(f'TCP:{target}:{self.port}')}"
        self._channel = self._node.open(command)
        return self._channel

    def _failed(self, problem: Exception) -> ConnectionFailed:
        said = self._said()
        reason = f"the guest does not answer on port {self.port} from inside namespace {self._namespace}"
        return ConnectionFailed(f"{reason}: {said or problem}", where=self.where)

    def _said(self) -> str:
        """What socat complained of on the node."""
        text = b""
        if self._channel:
            with contextlib.suppress(TimeoutError, OSError):
                self._channel.settimeout(1.0)
                text = self._channel.recv_stderr(4096)
        return text.decode("utf-8", errors="replace").strip()
