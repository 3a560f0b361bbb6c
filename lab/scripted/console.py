"""A guest's serial console on a unix socket: a login prompt, then a shell of scripted programs."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Callable
from pathlib import Path

from lab.scripted.guest import ScriptedGuest
from lab.scripted.listener import Listener

END = b"\r\n"


class SerialConsole:
    """The serial port of one guest. Every connection sees a fresh login prompt, once the guest has booted."""

    def __init__(self, path: Path, guest: Callable[[], ScriptedGuest | None]) -> None:
        self.path, self._guest = path, guest
        self._listener = Listener(path, self._serve)

    def close(self) -> None:
        """Take the socket away; the listening thread ends."""
        self._listener.close()

    def _serve(self, client: socket.socket) -> None:
        with client, contextlib.suppress(OSError, EOFError):
            guest = self._guest()
            if guest is not None:
                _Login(client, guest).run()
            while client.recv(256):
                """Nobody answers: what is typed is lost."""


class _Login:
    """One connection: getty, login and shell."""

    def __init__(self, client: socket.socket, guest: ScriptedGuest) -> None:
        self._client, self._guest = client, guest
        self._waiting, self._after_return = b"", False

    def run(self) -> None:
        """Ask for accounts until the other side goes away."""
        host = self._guest.host
        while True:
            self._say(f"\r\n{host.release.name} {host.release.version_id} {host.hostname} ttyS0\r\n\r\n")
            self._say(f"{host.hostname} login: ")
            name = self._line(echo=True)
            self._say("Password: ")
            password = self._line(echo=False)
            self._say("\r\n")
            if self._guest.may_log_in(name, password=password):
                self._shell(name)
            else:
                self._say("\r\nLogin incorrect\r\n")

    def _shell(self, name: str) -> None:
        host = self._guest.host
        while True:
            self._say(f"{name}@{host.hostname}:~$ ")
            line = self._line(echo=True)
            if line.strip() in {"exit", "logout"}:
                return
            if line.strip():
                result = host.line(host.context(user=name), line)
                self._say((result.stdout + result.stderr).replace("\n", "\r\n"))

    def _say(self, text: str) -> None:
        self._client.sendall(text.encode())

    def _line(self, *, echo: bool) -> str:
        """Read up to the next return, which terminals send as CR, programs as LF or both."""
        line = b""
        while True:
            if not self._waiting:
                self._waiting = self._client.recv(256)
                if not self._waiting:
                    raise EOFError
            byte, self._waiting = self._waiting[:1], self._waiting[1:]
            second, self._after_return = byte == b"\n" and self._after_return, byte == b"\r"
            if second:
                continue
            if byte in {b"\r", b"\n"}:
                if echo:
                    self._client.sendall(END)
                return line.decode("utf-8", "replace")
            line += byte
            if echo:
                self._client.sendall(byte)
