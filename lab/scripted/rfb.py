"""A guest's screen over RFB 3.8: one frame of 320x200 behind VNC authentication (RFC 6143)."""

from __future__ import annotations

import contextlib
import hashlib
import secrets
import socket
import struct
import threading
from collections.abc import Callable
from pathlib import Path

from cryptography.hazmat.decrepit.ciphers.algorithms import TripleDES
from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.modes import ECB

from lab.scripted.listener import Listener

WIDTH, HEIGHT = 320, 200
PIXEL_FORMAT = struct.pack(">BBBBHHHBBBxxx", 32, 24, 0, 1, 255, 255, 255, 16, 8, 0)
MESSAGE_SIZES = {0: 20, 3: 10, 4: 8, 5: 6}
"""Sizes of the client's messages of fixed size: pixel format, update request, key, pointer."""
CELL = 8
_Read = Callable[[int], bytes]


def exactly(read: _Read, size: int) -> bytes:
    """Read ``size`` bytes; EOFError when the other side is gone."""
    data = read(size)
    if len(data) < size:
        raise EOFError
    return data


def frame(lines: list[str]) -> bytes:
    """Draw lines of text as grey marks on black, one 8x8 mark a character; return RGB, three bytes a pixel."""
    picture = bytearray(WIDTH * HEIGHT * 3)
    for row, line in enumerate(lines[: HEIGHT // CELL]):
        for column, character in enumerate(line[: WIDTH // CELL]):
            if character != " ":
                _mark(picture, row * CELL, column * CELL, character)
    return bytes(picture)


def _mark(picture: bytearray, top: int, left: int, character: str) -> None:
    """Draw the mark of a character: 5x7 dots that are always the same for it."""
    dots = hashlib.sha256(character.encode()).digest()
    for y in range(7):
        for x in range(5):
            if dots[y] >> x & 1:
                at = ((top + y) * WIDTH + left + x) * 3
                picture[at : at + 3] = b"\xaa\xaa\xaa"


def response(password: str, challenge: bytes) -> bytes:
    """Return what a client answers to a challenge: DES with the password's bits mirrored, as VNC has it."""
    key = bytes(int(f"{byte:08b}"[::-1], 2) for byte in password.encode()[:8].ljust(8, b"\0"))
    cipher = Cipher(TripleDES(key * 3), ECB()).encryptor()  # noqa: S305 -- the protocol's own cipher
    return cipher.update(challenge) + cipher.finalize()


class Screen:
    """The screen of one guest on a unix socket; each client must know the password, which is good for one login."""

    def __init__(self, path: Path, lines: Callable[[], list[str]]) -> None:
        self.path, self._lines = path, lines
        self._password: str | None = None
        self._lock = threading.Lock()
        self._listener = Listener(path, self._serve)

    def arm(self, password: str) -> None:
        """Set the password of the next login."""
        with self._lock:
            self._password = password

    def close(self) -> None:
        """Take the socket away; the listening thread ends."""
        self._listener.close()

    def _serve(self, client: socket.socket) -> None:
        with client, client.makefile("rb") as incoming, contextlib.suppress(OSError, EOFError):
            if self._login(client, incoming.read):
                self._session(client, incoming.read)

    def _login(self, client: socket.socket, read: _Read) -> bool:
        client.sendall(b"RFB 003.008\n")
        if exactly(read, 12) != b"RFB 003.008\n":
            return False
        client.sendall(b"\x01\x02")
        if exactly(read, 1) != b"\x02":
            return False
        challenge = secrets.token_bytes(16)
        client.sendall(challenge)
        answer = exactly(read, 16)
        with self._lock:
            password, self._password = self._password, None
        if password is None or not secrets.compare_digest(answer, response(password, challenge)):
            reason = b"Authentication failed"
            client.sendall(struct.pack(">II", 1, len(reason)) + reason)
            return False
        client.sendall(bytes(4))
        return True

    def _session(self, client: socket.socket, read: _Read) -> None:
        exactly(read, 1)
        name = b"QEMU"
        client.sendall(struct.pack(">HH", WIDTH, HEIGHT) + PIXEL_FORMAT + struct.pack(">I", len(name)) + name)
        while True:
            kind = exactly(read, 1)[0]
            if kind in MESSAGE_SIZES:
                exactly(read, MESSAGE_SIZES[kind] - 1)
            elif kind == 2:
                exactly(read, 4 * struct.unpack(">xH", exactly(read, 3))[0])
            elif kind == 6:
                exactly(read, struct.unpack(">xxxI", exactly(read, 7))[0])
            else:
                return
            if kind == 3:
                client.sendall(self._update())

    def _update(self) -> bytes:
        picture = frame(self._lines())
        pixels = bytearray(WIDTH * HEIGHT * 4)
        for colour, place in ((2, 0), (1, 1), (0, 2)):
            pixels[place::4] = picture[colour::3]
        return struct.pack(">BxHHHHHi", 0, 1, 0, 0, WIDTH, HEIGHT, 0) + bytes(pixels)
