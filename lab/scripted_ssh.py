"""SSH in front of the node in memory, and behind it the SSH servers of its guests.

The node's server runs scripted commands. ``ip netns exec NAMESPACE socat - TCP:ADDRESS:PORT`` becomes a connection to
whatever answers there by the node's network state: on port 22 a guest's own SSH server with the guest's host key.
"""

from __future__ import annotations

import contextlib
import io
import re
import shlex
import socket
import threading
from collections.abc import Callable, Sequence
from typing import Self, cast

import paramiko
from paramiko.common import (
    AUTH_FAILED,
    AUTH_SUCCESSFUL,
    OPEN_FAILED_ADMINISTRATIVELY_PROHIBITED,
    OPEN_SUCCEEDED,
)

from lab.hypervisor import CommandResult
from lab.memory_node import MemoryNode
from lab.scripted import reach
from lab.scripted.accounts import NodeAccount
from lab.scripted.guest import Card, ScriptedGuest
from lab.scripted.image import new_host_key
from lab.settings import LOOPBACK

CHUNK = 32 * 1024
THROUGH = re.compile(r"^ip netns exec (?P<netns>\S+) (?P<command>.+)$", re.DOTALL)
Run = Callable[[paramiko.Channel, str, str], None]
"""Serves one command: gets the channel, the account and the command line."""


def load_key(pem: str) -> paramiko.Ed25519Key:
    """Return an SSH host key from its PEM text."""
    return paramiko.Ed25519Key.from_private_key(io.StringIO(pem))


def public_text(key: paramiko.PKey) -> str:
    """Return a key's public half as known_hosts and authorized_keys have it."""
    return f"{key.get_name()} {key.get_base64()}"


class _Door(paramiko.ServerInterface):
    """The server's side of one connection: who may log in, and what runs."""

    def __init__(self, admits: Callable[..., bool], run: Run, serving: Callable[[], bool]) -> None:
        self._admits, self._run, self._serving = admits, run, serving
        self._account = ""

    def get_allowed_auths(self, username: str) -> str:  # noqa: ARG002 -- the same for every account
        """Return the ways to log in."""
        return "publickey,password"

    def check_auth_publickey(self, username: str, key: paramiko.PKey) -> int:
        """Admit an account with a key."""
        return self._admit(username, key=public_text(key))

    def check_auth_password(self, username: str, password: str) -> int:
        """Admit an account with a password."""
        return self._admit(username, password=password)

    def _admit(self, account: str, **proof: str) -> int:
        if not self._admits(account, **proof):
            return AUTH_FAILED
        self._account = account
        return AUTH_SUCCESSFUL

    def check_channel_request(self, kind: str, chanid: int) -> int:  # noqa: ARG002 -- any number will do
        """Open sessions only."""
        opened = kind == "session" and self._serving()
        return OPEN_SUCCEEDED if opened else OPEN_FAILED_ADMINISTRATIVELY_PROHIBITED

    def check_channel_exec_request(self, channel: paramiko.Channel, command: bytes) -> bool:
        """Run a command in a thread of its own."""
        line = command.decode("utf-8", "replace")
        threading.Thread(target=self._served, args=(channel, line), name=f"ssh: {line[:40]}", daemon=True).start()
        return True

    def _served(self, channel: paramiko.Channel, line: str) -> None:
        with contextlib.suppress(OSError, EOFError, paramiko.SSHException):
            _settled(channel.get_transport())
            self._run(channel, self._account, line)


_ROUND_TRIPS = threading.Lock()


class _Prompt(socket.socket):
    """A connection that acknowledges at once: clients that wait for that before they send more are 40 ms faster."""

    def recv(self, size: int, flags: int = 0, /) -> bytes:
        """Receive, and acknowledge."""
        self.setsockopt(socket.IPPROTO_TCP, socket.TCP_QUICKACK, 1)
        return super().recv(size, flags)


class _Inside:
    """A channel as the socket of a connection inside it; closing is fine also after what carries it has gone."""

    def __init__(self, channel: paramiko.Channel) -> None:
        self._channel = channel
        self.send, self.recv, self.settimeout = channel.send, channel.recv, channel.settimeout
        self.getpeername = channel.getpeername

    @property
    def _closed(self) -> bool:
        """Whether it ended: paramiko asks its sockets so when it stops."""
        return bool(self._channel.closed)

    def close(self) -> None:
        """Close the channel if its connection still stands."""
        with contextlib.suppress(OSError, EOFError, paramiko.SSHException):
            self._channel.close()


def _settled(transport: paramiko.Transport) -> None:
    """Return when the client was told that its command starts: paramiko tells it only after we are asked to run it."""
    with _ROUND_TRIPS:
        transport.global_request("keepalive@lab.example", wait=True)


def _finish(channel: paramiko.Channel, result: CommandResult) -> None:
    """Send a command's outputs and status, and end the channel."""
    if result.stdout:
        channel.sendall(result.stdout.encode("utf-8", "surrogateescape"))
    if result.stderr:
        channel.sendall_stderr(result.stderr.encode())
    channel.send_exit_status(result.rc)
    channel.close()


class ScriptedSsh:
    """The node's SSH server on the loopback address; a context manager.

    ``authorized``: public keys ("ssh-ed25519 AAAA…") that root may log in with. ``host_key``: PEM, a new one if "".
    ``port`` 0 takes a free one. ``accounts`` holds those that are not root.
    """

    def __init__(self, node: MemoryNode, authorized: Sequence[str], *, host_key: str = "", port: int = 0) -> None:
        self._node = node
        self._authorized = {" ".join(key.split()[:2]) for key in authorized}
        self._key = load_key(host_key or new_host_key())
        self.accounts: dict[str, NodeAccount] = {}
        self._listener = socket.create_server((LOOPBACK, port))
        self.port: int = self._listener.getsockname()[1]
        self._lock = threading.Lock()
        self._transports: list[paramiko.Transport] = []
        self._accepting = threading.Thread(target=self._accept, name="scripted ssh", daemon=True)
        self._accepting.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_exception: object) -> None:
        self.close()

    @property
    def public_key(self) -> str:
        """The host key's public half."""
        return public_text(self._key)

    @property
    def known_hosts(self) -> str:
        """The line that a client's known_hosts needs."""
        return f"[{LOOPBACK}]:{self.port} {self.public_key}\n"

    def close(self) -> None:
        """End the server and every connection."""
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._accepting.join(5)
        with self._lock:
            transports, self._transports = self._transports, []
        for transport in reversed(transports):  # those inside others came later
            with contextlib.suppress(OSError, EOFError, paramiko.SSHException):
                transport.close()

    def _accept(self) -> None:
        while True:
            try:
                client, _address = self._listener.accept()
            except OSError:
                return
            client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            door = _Door(self._admits, self._run, lambda: True)
            self._serve(_Prompt(fileno=client.detach()), self._key, door)

    def _serve(self, over: socket.socket | _Inside, key: paramiko.PKey, door: _Door) -> None:
        """Serve one SSH connection over a socket or inside another one, in a thread of its own."""
        transport = paramiko.Transport(cast("socket.socket", over))
        transport.add_server_key(key)
        with self._lock:
            self._transports = [*(known for known in self._transports if known.is_active()), transport]
        with contextlib.suppress(OSError, EOFError, paramiko.SSHException):
            transport.start_server(event=threading.Event(), server=door)

    def _admits(self, account: str, *, key: str = "", password: str = "") -> bool:
        known = self.accounts.get(account)
        keys = self._authorized if account == "root" else {known.key} if known else set()
        return not password and key in keys

    def _run(self, channel: paramiko.Channel, account: str, line: str) -> None:
        if account != "root":
            _finish(channel, self.accounts[account].run(self._node, line))
            return
        target = self._tunnel(line)
        if target is None:
            _finish(channel, self._node.shell(line))
            return
        netns, address, port = target
        try:
            card = reach.connect(self._node.host.network, netns, address, port)
        except OSError as error:
            _finish(
                channel,
                CommandResult(1, "", f"socat[4242] E connect(5, AF=2 {address}:{port}, 16): {error.strerror}\n"),
            )
            return
        self._bridge(channel, card, port)

    def _tunnel(self, line: str) -> tuple[str, str, int] | None:
        """Return namespace, address and port when a command is a tunnel to a guest."""
        through = THROUGH.match(line)
        try:
            words = shlex.split(through["command"] if through else line)
        except ValueError:
            return None
        netns = through["netns"] if through else ""
        if words[:1] != ["socat"] or netns not in self._node.host.network.namespaces:
            return None
        target = reach.socat_target(words[1:])
        return (netns, *target) if target else None

    def _bridge(self, channel: paramiko.Channel, card: Card, port: int) -> None:
        guest = card.guest
        if guest.listening()[str(port)] == "ssh":
            door = _Door(guest.may_log_in, _guest_command(guest), lambda: guest.is_up)
            self._serve(_Inside(channel), load_key(guest.image.host_key), door)
            return
        request, answer = b"", b""
        while not answer and (data := channel.recv(CHUNK)):
            request += data
            answer = guest.answer(str(port), request)
        channel.sendall(answer)
        channel.send_exit_status(0)
        channel.close()


def _guest_command(guest: ScriptedGuest) -> Run:
    """Return what serves a command inside a guest; a guest that was switched off answers nothing more."""

    def run(channel: paramiko.Channel, account: str, line: str) -> None:
        if not guest.is_up:
            channel.get_transport().close()
            return
        _finish(channel, guest.host.line(guest.host.context(user=account), line))

    return run
