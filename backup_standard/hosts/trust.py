"""Strict host keys: a host whose key is not the known one gets no password, no signature, no command."""

from __future__ import annotations

import base64
import hashlib
from pathlib import Path

import paramiko

from backup_standard.errors import ConnectionFailed, Untrusted
from backup_standard.inventory.secrets import expand


def fingerprint(key: paramiko.PKey) -> str:
    """SHA-256 of a key as ssh-keygen prints it."""
    digest = hashlib.sha256(key.asbytes()).digest()
    return "SHA256:" + base64.b64encode(digest).decode().rstrip("=")


def entry_name(host: str, port: int) -> str:
    """The host as known_hosts names it."""
    return host if port == paramiko.config.SSH_PORT else f"[{host}]:{port}"


def known_hosts(path: Path) -> paramiko.HostKeys:
    """The keys in a known_hosts file; none when there is no such file. ConnectionFailed when it cannot be read."""
    keys = paramiko.HostKeys()
    try:
        keys.load(str(path))
    except FileNotFoundError:
        return keys
    except OSError as problem:
        raise ConnectionFailed(f"the file cannot be read: {problem.strerror}", where=str(path)) from None
    return keys


class Strict(paramiko.MissingHostKeyPolicy):
    """Refuses a host that known_hosts does not list, and says what to add after checking."""

    def __init__(self, host: str, port: int, path: Path) -> None:
        self._host, self._port, self._path = host, port, path

    def missing_host_key(self, client: paramiko.SSHClient, hostname: str, key: paramiko.PKey) -> None:  # noqa: ARG002 - paramiko's signature
        """Raise Untrusted."""
        raise Untrusted(
            f"the host key is not known: presented {key.get_name()} {fingerprint(key)}",
            where=f"ssh {entry_name(self._host, self._port)}",
            next_step=how_to_add(self._host, self._port, self._path, key),
        )


def how_to_add(host: str, port: int, path: Path, key: paramiko.PKey) -> str:
    """How the operator checks a key on the node's own console and makes it known."""
    line = f"{entry_name(host, port)} {key.get_name()} {key.get_base64()}"
    scan = f"ssh-keyscan -p {port} {host}" if port != paramiko.config.SSH_PORT else f"ssh-keyscan {host}"
    return (
        f"on the node's console compare with: ssh-keygen -lf /etc/ssh/ssh_host_{_kind(key)}_key.pub; "
        f"only if they agree, add this line to {path} (also shown by {scan}):\n  {line}"
    )


def changed(host: str, port: int, path: Path, problem: paramiko.BadHostKeyException) -> Untrusted:
    """The host shows another key than the known one."""
    return Untrusted(
        f"the host key has changed: presented {fingerprint(problem.key)}, known {fingerprint(problem.expected_key)}",
        where=f"ssh {entry_name(host, port)}",
        next_step="a node that was installed anew has a new key, an impostor too; "
        f"remove the old one (ssh-keygen -R '{entry_name(host, port)}' -f {path}) only after this: "
        + how_to_add(host, port, path, problem.key),
    )


def _kind(key: paramiko.PKey) -> str:
    name = key.get_name()
    return next((kind for kind in ("ed25519", "ecdsa", "rsa") if kind in name), name)


def public_key(text: str, *, where: str) -> paramiko.PKey:
    """A public key as one line (``ssh-ed25519 AAAA…``) or as ``file:PATH`` of such a line. ConnectionFailed if not."""
    line = text
    if text.startswith("file:"):
        path = expand(text.removeprefix("file:"))
        try:
            line = path.read_text(encoding="utf-8")
        except OSError as problem:
            raise ConnectionFailed(
                f"the public host key cannot be read from {path}: {problem.strerror}", where=where
            ) from None
    try:
        kind, encoded = line.split()[:2]
        return paramiko.PKey.from_type_string(kind, base64.b64decode(encoded))
    except (ValueError, paramiko.SSHException):
        raise ConnectionFailed(
            "the public host key is not in the form 'ssh-ed25519 AAAA…'",
            where=where,
            next_step="take it from /etc/ssh/ssh_host_ed25519_key.pub of the guest",
        ) from None
