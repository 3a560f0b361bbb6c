"""TLS to a port of the guest, spoken through the drill gateway; its certificate is verified as in production."""

from __future__ import annotations

import hashlib
import ssl
import time
from typing import Protocol

from backup_standard.errors import ConnectionFailed, Untrusted
from backup_standard.inventory.checks import HttpCheck
from backup_standard.inventory.secrets import expand

_CHUNK = 65536


class Stream(Protocol):
    """A connection to a port of the guest, as a socket or a channel of SSH is one."""

    def sendall(self, data: bytes, /) -> object:
        """Send it all."""
        ...

    def recv(self, size: int, /) -> bytes:
        """What came, at most ``size`` bytes; empty at the end."""
        ...

    def settimeout(self, seconds: float, /) -> object:
        """Seconds of silence after which sending and receiving give up."""
        ...

    def close(self) -> object:
        """End it."""
        ...


def context_of(check: HttpCheck) -> ssl.SSLContext:
    """What the check trusts: its CA file, its pinned certificate, or the CAs of this machine. Untrusted if no CA."""
    context = ssl.create_default_context()
    if check.fingerprint:
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE  # the pin is checked instead
    elif check.ca:
        path = expand(check.ca)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        try:
            context.load_verify_locations(path)
        except (OSError, ssl.SSLError) as problem:
            raise Untrusted(f"{path} is no CA certificate that can be read: {problem}") from None
    return context


class Secured:
    """A TLS session over a stream; usable once :meth:`shake` has verified the other end."""

    def __init__(self, stream: Stream, check: HttpCheck, name: str) -> None:
        self._stream, self._pin = stream, (check.fingerprint or "").replace(":", "").lower()
        self._in, self._out = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._tls = context_of(check).wrap_bio(self._in, self._out, server_hostname=name)

    def shake(self) -> None:
        """Agree on keys and verify the certificate: Untrusted when it is not the right one."""
        while True:
            try:
                self._tls.do_handshake()
            except ssl.SSLWantReadError:
                self._exchange()
                continue
            except ssl.SSLCertVerificationError as problem:
                raise Untrusted(f"its certificate is not trusted: {problem.verify_message}") from None
            except ssl.SSLError as problem:
                raise ConnectionFailed(f"it speaks no TLS ({problem.reason or problem})") from None
            self._flush()
            break
        shown = hashlib.sha256(self._tls.getpeercert(binary_form=True) or b"").hexdigest()
        if self._pin and shown != self._pin:
            raise Untrusted(f"its certificate has SHA-256 {shown}, not the pinned {self._pin}")

    def ask(self, request: bytes, *, deadline: float) -> bytes:
        """Send a request and read until the other end has finished, at most until ``deadline`` (monotonic)."""
        self._tls.write(request)
        self._flush()
        answer = b""
        while time.monotonic() < deadline:
            try:
                piece = self._tls.read(_CHUNK)
            except ssl.SSLWantReadError:
                if not self._exchange():
                    break
                continue
            except (ssl.SSLZeroReturnError, ssl.SSLEOFError):
                break
            if not piece:
                break
            answer += piece
        return answer

    def _exchange(self) -> bool:
        """Send what is to be sent and take in what comes; False at the end of the stream."""
        self._flush()
        data = self._stream.recv(_CHUNK)
        self._in.write(data) if data else self._in.write_eof()
        return bool(data)

    def _flush(self) -> None:
        if data := self._out.read():
            self._stream.sendall(data)


def exchange(stream: Stream, check: HttpCheck, name: str, request: bytes, *, timeout: float = 10.0) -> bytes:
    """One request over TLS to the host ``name``, its answer until the end. Untrusted, ConnectionFailed."""
    deadline = time.monotonic() + timeout
    try:
        stream.settimeout(timeout)
        secured = Secured(stream, check, name)
        secured.shake()
        return secured.ask(request, deadline=deadline)
    except OSError as problem:
        raise ConnectionFailed(f"it went silent ({problem or 'no answer'})") from None
    finally:
        stream.close()
