"""An SSH connection that serves many commands: opened at the first, opened again when it was lost between two."""

from __future__ import annotations

import contextlib
import io
import logging
import socket
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

import paramiko

from backup_standard.errors import ConnectionFailed, LoginRefused, OperatorError
from backup_standard.hosts import trust
from backup_standard.inventory.secrets import Secret, lab_cure

CONNECT_TIMEOUT = 20.0
"""Seconds for connection, key exchange and login, each."""
COMMAND_TIMEOUT = 120.0
"""Seconds of silence after which a command counts as lost, unless its caller says otherwise."""

_NO_MEANS = "No authentication methods available"
"""What paramiko says, not as an AuthenticationException, when it finds no key to try."""

_NO_SERVER = ("SSH protocol banner", "No existing session")
"""What paramiko says when the far end keeps silent or speaks something else."""

logging.getLogger("paramiko").setLevel(logging.CRITICAL)  # its thread prints tracebacks; we raise what matters


@dataclass(frozen=True)
class Output:
    """What a command left: exit status and both outputs as bytes."""

    rc: int
    stdout: bytes
    stderr: bytes


@dataclass(frozen=True)
class Account:
    """How to log in: with a key file, a password, or (neither) the SSH agent and the keys in ~/.ssh.

    ``held``: a private key that is in no file, as OpenSSH writes an Ed25519 key. ``sudo``: commands that need root go
    through sudo.
    """

    user: str
    key: Path | None = None
    password: Secret | None = field(default=None, repr=False)
    held: Secret | None = field(default=None, repr=False)
    sudo: bool = False


Sock = Callable[[], "socket.socket | paramiko.Channel"]
"""Opens what the connection runs over, where that is not a plain TCP connection."""


class SshClient:
    """One host and account; safe for use by several threads."""

    def __init__(
        self,
        host: str,
        port: int,
        account: Account,
        known: paramiko.HostKeys,
        known_path: Path,
        *,
        over: Sock | None = None,
    ) -> None:
        self.host, self.port, self.account = host, port, account
        self._known, self._known_path, self._over = known, known_path, over
        self._client: paramiko.SSHClient | None = None
        self._lock = threading.Lock()

    @property
    def where(self) -> str:
        """As messages name it."""
        return f"ssh {self.account.user}@{trust.entry_name(self.host, self.port)}"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the connection."""
        with self._lock:
            client, self._client = self._client, None
        if client:
            _quietly(client.close)

    def connect(self) -> Self:
        """Connect and log in. Untrusted (host key), LoginRefused, ConnectionFailed."""
        self._transport()
        return self

    def run(self, command: str, *, stdin: bytes = b"", timeout: float | None = None) -> Output:
        """Run a command line and wait for it; ``timeout`` in seconds of silence. ConnectionFailed when it is lost."""
        timeout = COMMAND_TIMEOUT if timeout is None else timeout
        channel = self.open(command)
        with closed_after(channel):
            try:
                channel.settimeout(timeout)
                if stdin:
                    channel.sendall(stdin)
                channel.shutdown_write()
                return _collect(channel, timeout)
            except TimeoutError:
                raise ConnectionFailed(
                    f"no sign of life from the command within {timeout:g} s: {command}", where=self.where
                ) from None
            except (paramiko.SSHException, OSError, EOFError) as problem:
                raise ConnectionFailed(f"the connection was lost: {problem}", where=self.where) from None

    def open(self, command: str) -> paramiko.Channel:
        """Start a command and return its channel, for a caller that talks to it. ConnectionFailed when it cannot."""
        for last in (False, True):
            try:
                channel = self._transport().open_session(timeout=CONNECT_TIMEOUT)
                channel.exec_command(command)
            except (paramiko.SSHException, OSError, EOFError) as problem:
                self.close()
                if last:
                    raise ConnectionFailed(f"no command could be started: {problem}", where=self.where) from None
            else:
                return channel
        raise AssertionError("not reached")  # pragma: no cover

    def _transport(self) -> paramiko.Transport:
        with self._lock:
            transport = self._client.get_transport() if self._client else None
            if transport is None or not transport.is_active():
                self._client = self._connected()
                transport = self._client.get_transport()
                _without_delay(transport)
            if transport is None:
                raise ConnectionFailed("the connection ended at once", where=self.where)
            return transport

    def _connected(self) -> paramiko.SSHClient:
        client = paramiko.SSHClient()
        client.get_host_keys().update(self._known)
        client.set_missing_host_key_policy(trust.Strict(self.host, self.port, self._known_path))
        try:
            self._log_in(client)
        except BaseException:
            _quietly(client.close)
            raise
        return client

    def _log_in(self, client: paramiko.SSHClient) -> None:
        account = self.account
        own_keys = account.key is None and account.password is None and account.held is None
        try:
            client.connect(
                self.host,
                self.port,
                account.user,
                password=account.password.reveal() if account.password else None,
                pkey=_key_of(account, self.where),
                look_for_keys=own_keys,
                allow_agent=own_keys,
                timeout=CONNECT_TIMEOUT,
                banner_timeout=CONNECT_TIMEOUT,
                auth_timeout=CONNECT_TIMEOUT,
                channel_timeout=CONNECT_TIMEOUT,
                # a channel serves as a socket
                sock=self._over() if self._over else None,
            )
        except paramiko.BadHostKeyException as problem:
            raise trust.changed(self.host, self.port, self._known_path, problem) from None
        except paramiko.AuthenticationException as problem:
            raise self._refused(problem) from None
        except OperatorError:
            raise
        except (paramiko.SSHException, OSError, EOFError) as problem:
            if str(problem) == _NO_MEANS:
                raise self._refused(problem) from None
            raise self._failed(problem) from None

    def _refused(self, problem: Exception) -> LoginRefused:
        means = f"the key {self.account.key}" if self.account.key else "the keys of the SSH agent and ~/.ssh"
        if self.account.password or self.account.held:
            means = "the password" if self.account.password else "the throw-away key"
        return LoginRefused(
            f"the account {self.account.user} is not let in with {means} ({problem})",
            where=self.where,
            next_step=f"check that {self.account.user} exists there and accepts this credential",
        )

    def _failed(self, problem: Exception) -> ConnectionFailed:
        text = str(problem) or type(problem).__name__
        if any(sign in text for sign in _NO_SERVER):
            text = "no SSH server answers there"
        if isinstance(problem, TimeoutError):
            text = f"no answer within {CONNECT_TIMEOUT:g} s"
        if isinstance(problem, paramiko.ssh_exception.NoValidConnectionsError):
            text = "nothing listens there (connection refused)"
        if isinstance(problem, socket.gaierror):
            text = f"the name {self.host} is not known"
        return ConnectionFailed(text, where=self.where, next_step="check address and port, and that sshd runs there")


def _quietly(close: Callable[[], object]) -> None:
    """Close what may be gone already: that a connection broke is told by what was asked of it, not by its end."""
    with contextlib.suppress(paramiko.SSHException, OSError, EOFError):
        close()


@contextlib.contextmanager
def closed_after(channel: paramiko.Channel) -> Iterator[None]:
    """Close a command's channel in the end, whatever became of it."""
    try:
        yield
    finally:
        _quietly(channel.close)


def _without_delay(transport: paramiko.Transport | None) -> None:
    """Send small packets at once: a command is a few of them, and each would wait for the one before."""
    under = getattr(transport, "sock", None)
    if isinstance(under, socket.socket):
        under.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)


def _key_of(account: Account, where: str) -> paramiko.PKey | None:
    if account.held is not None:
        return paramiko.Ed25519Key.from_private_key(io.StringIO(account.held.reveal()))
    return _private_key(account.key, where) if account.key else None


def _private_key(path: Path, where: str) -> paramiko.PKey:
    """The key in a file, whatever its type.

    Given a file's name, paramiko would try it as each type in turn and report the last failure, so that a refused login
    would look like a broken key.
    """
    try:
        return paramiko.PKey.from_path(path)
    except FileNotFoundError:
        raise ConnectionFailed(f"there is no key file {path}", where=where, next_step=lab_cure(path)) from None
    except OSError as problem:
        raise ConnectionFailed(f"the key file {path} cannot be read: {problem.strerror}", where=where) from None
    except (TypeError, paramiko.PasswordRequiredException):
        raise ConnectionFailed(
            f"the key file {path} is encrypted",
            where=where,
            next_step="load it into the SSH agent (ssh-add) and leave key: out of the inventory",
        ) from None
    except (ValueError, paramiko.SSHException):
        raise ConnectionFailed(f"the file {path} holds no private key that SSH knows", where=where) from None


def _collect(channel: paramiko.Channel, silence: float) -> Output:
    """Read both outputs as they come (reading one after the other can block) until the command has ended."""
    out, err = bytearray(), bytearray()
    errors = threading.Thread(target=drain, args=(channel, err), daemon=True)
    errors.start()
    while chunk := channel.recv(65536):
        out += chunk
    errors.join(silence)
    if not channel.status_event.wait(silence):
        raise TimeoutError
    status = channel.recv_exit_status()
    if status < 0:
        raise EOFError("the command ended without an exit status: it was killed, or the connection cut")
    return Output(status, bytes(out), bytes(err))


def drain(channel: paramiko.Channel, into: bytearray, keep: int | None = None) -> None:
    """Read the error output (``keep``: its last bytes) until it ends; closing the channel ends it at the latest."""
    while True:
        try:
            chunk = channel.recv_stderr(65536)
        except TimeoutError:
            continue
        if not chunk:
            return
        into += chunk
        if keep is not None:
            del into[:-keep]
