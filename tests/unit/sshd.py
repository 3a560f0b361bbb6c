"""A real SSH server on loopback whose commands a test answers; for the client's own behaviour."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

import paramiko

Answer = tuple[int, bytes, bytes]


@dataclass
class Sshd:
    """A running server. ``answer`` gets the command line and stdin; a callable ``bridge`` may take over the channel."""

    key: paramiko.PKey
    keys: dict[str, list[paramiko.PKey]] = field(default_factory=dict)
    passwords: dict[str, str] = field(default_factory=dict)
    answer: Callable[[str, bytes], Answer] = lambda line, _stdin: (0, f"{line}\n".encode(), b"")
    bridge: Callable[[str], int | None] = lambda _line: None
    port: int = 0
    logins: int = 0
    commands: list[str] = field(default_factory=list)
    transports: list[paramiko.Transport] = field(default_factory=list)

    def known_hosts_line(self, key: paramiko.PKey | None = None) -> str:
        key = key or self.key
        return f"[127.0.0.1]:{self.port} {key.get_name()} {key.get_base64()}\n"

    def drop(self) -> None:
        """End every connection, as a restart of sshd does."""
        for transport in self.transports:
            transport.close()
            transport.join(5)


def new_key() -> paramiko.PKey:
    return paramiko.ECDSAKey.generate(bits=256)


@contextmanager
def sshd(**settings: Any) -> Iterator[Sshd]:
    server = Sshd(new_key(), **settings)
    listener = socket.create_server(("127.0.0.1", 0))
    server.port = listener.getsockname()[1]
    thread = threading.Thread(target=_accept, args=(server, listener), daemon=True)
    thread.start()
    try:
        yield server
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        thread.join()
        server.drop()


def _accept(server: Sshd, listener: socket.socket) -> None:
    while True:
        try:
            peer, _ = listener.accept()
        except OSError:
            return
        peer.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        transport = paramiko.Transport(peer)
        transport.add_server_key(server.key)
        server.transports.append(transport)
        try:
            transport.start_server(server=_Session(server))
        except (paramiko.SSHException, EOFError, OSError):
            transport.close()
            peer.close()


class _Session(paramiko.ServerInterface):
    def __init__(self, server: Sshd) -> None:
        self.server = server

    def get_allowed_auths(self, username: Any) -> str:  # noqa: ARG002
        return "publickey,password"

    def check_auth_publickey(self, username: Any, key: Any) -> Any:
        good = key in self.server.keys.get(username, [])
        self.server.logins += good
        return paramiko.AUTH_SUCCESSFUL if good else paramiko.AUTH_FAILED

    def check_auth_password(self, username: Any, password: Any) -> Any:
        good = username in self.server.passwords and self.server.passwords[username] == password
        self.server.logins += good
        return paramiko.AUTH_SUCCESSFUL if good else paramiko.AUTH_FAILED

    def check_channel_request(self, kind: Any, chanid: Any) -> Any:  # noqa: ARG002
        return paramiko.OPEN_SUCCEEDED

    def check_channel_exec_request(self, channel: Any, command: Any) -> bool:
        threading.Thread(target=self._run, args=(channel, command.decode()), daemon=True).start()
        return True

    def _run(self, channel: paramiko.Channel, line: str) -> None:
        self.server.commands.append(line)
        port = self.server.bridge(line)
        with suppress(OSError, EOFError):
            if port is None:
                self._answer(channel, line)
            else:
                _pump(channel, port)

    def _answer(self, channel: paramiko.Channel, line: str) -> None:
        channel.settimeout(5)
        stdin = b""
        while chunk := channel.recv(65536):
            stdin += chunk
        rc, out, err = self.server.answer(line, stdin)
        channel.sendall_stderr(err)
        channel.sendall(out)
        if rc >= 0:
            channel.send_exit_status(rc)
        channel.close()


_ROUND_TRIPS = threading.Lock()


def _settled(transport: paramiko.Transport) -> None:
    """Return when the client knows that its command was started: paramiko tells it after it has asked us to run it."""
    with _ROUND_TRIPS:
        transport.global_request("keepalive@sshd.example", wait=True)


def _pump(channel: paramiko.Channel, port: int) -> None:
    try:
        far = socket.create_connection(("127.0.0.1", port), timeout=5)
    except OSError as problem:
        _settled(channel.get_transport())
        channel.sendall_stderr(f"socat[1] E connect(): {problem.strerror}\n".encode())
        channel.send_exit_status(1)
        channel.close()
        return

    def forth() -> None:
        with suppress(OSError, EOFError):
            while data := channel.recv(65536):
                far.sendall(data)
            far.shutdown(socket.SHUT_WR)

    with far:
        thread = threading.Thread(target=forth, daemon=True)
        thread.start()
        try:
            while data := far.recv(65536):
                channel.sendall(data)
        finally:
            with suppress(OSError, EOFError):
                channel.close()
            thread.join(5)
