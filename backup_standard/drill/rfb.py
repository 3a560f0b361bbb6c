"""A small RFB (VNC) client: enough to read one picture of a console. RFC 6143, protocol 3.8, raw encoding."""

from __future__ import annotations

import struct
from collections.abc import Callable
from dataclasses import dataclass

from cryptography.hazmat.decrepit.ciphers.algorithms import TripleDES
from cryptography.hazmat.primitives.ciphers import Cipher, modes

NONE, VNC_AUTH = 1, 2
_PIXELS = struct.pack(">BBBBHHHBBBxxx", 32, 24, 0, 1, 255, 255, 255, 16, 8, 0)
"""32 bits a pixel, little endian: blue, green, red, unused."""
_LARGEST = 64 * 1024 * 1024


class RfbError(Exception):
    """The console's server refused, or does not speak RFB as expected."""


@dataclass(frozen=True)
class Picture:
    """A screen: width, height, and three bytes (red, green, blue) a pixel."""

    width: int
    height: int
    rgb: bytes


class Stream:
    """Exactly as many bytes as asked for, from chunks of any length (websocket messages)."""

    def __init__(self, receive: Callable[[], bytes], send: Callable[[bytes], object]) -> None:
        self._receive, self.send, self._rest = receive, send, b""

    def take(self, count: int) -> bytes:
        """Return the next ``count`` bytes; RfbError when the connection ends before."""
        if count > _LARGEST:
            raise RfbError(f"the server announces {count} bytes at once")
        parts = [self._rest]
        have = len(self._rest)
        while have < count:
            chunk = self._receive()
            if not chunk:
                raise RfbError("the connection ended")
            parts.append(chunk)
            have += len(chunk)
        data = b"".join(parts)
        self._rest = data[count:]
        return data[:count]

    def number(self, form: str) -> int:
        """One big-endian number of a struct format (B, H, I)."""
        value: int = struct.unpack(">" + form, self.take(struct.calcsize(form)))[0]
        return value


def take_picture(stream: Stream, password: str) -> Picture:
    """Log in and read the whole screen once. RfbError says what went wrong."""
    stream.take(12)
    stream.send(b"RFB 003.008\n")
    _authenticate(stream, password)
    stream.send(b"\x01")
    width, height = stream.number("H"), stream.number("H")
    stream.take(16)
    stream.take(stream.number("I"))
    stream.send(b"\x00\0\0\0" + _PIXELS)
    stream.send(struct.pack(">BxHi", 2, 1, 0))
    stream.send(struct.pack(">BBHHHH", 3, 0, 0, 0, width, height))
    return Picture(width, height, _read_screen(stream, width, height))


def response(challenge: bytes, password: str) -> bytes:
    """The answer to a VNC challenge: DES with the password's bytes, their bits reversed, as the key."""
    key = password.encode("latin-1", "replace")[:8].ljust(8, b"\0")
    mirrored = bytes(int(f"{byte:08b}"[::-1], 2) for byte in key)
    cipher = Cipher(TripleDES(mirrored * 3), modes.ECB()).encryptor()  # noqa: S305 - the protocol's own choice
    return cipher.update(challenge) + cipher.finalize()


def _authenticate(stream: Stream, password: str) -> None:
    offered = stream.take(stream.number("B"))
    if not offered:
        raise RfbError(_reason(stream))
    if VNC_AUTH in offered and password:
        stream.send(bytes([VNC_AUTH]))
        stream.send(response(stream.take(16), password))
    elif NONE in offered:
        stream.send(bytes([NONE]))
    else:
        raise RfbError(f"the server offers only security types {list(offered)}")
    if stream.number("I") != 0:
        raise RfbError(_reason(stream))


def _reason(stream: Stream) -> str:
    return stream.take(stream.number("I")).decode("utf-8", "replace")


def _read_screen(stream: Stream, width: int, height: int) -> bytes:
    screen = bytearray(width * height * 3)
    missing = width * height
    while missing > 0:
        kind = stream.number("B")
        if kind != 0:
            _skip(stream, kind)
            continue
        stream.take(1)
        for _ in range(stream.number("H")):
            missing -= _read_rectangle(stream, screen, width, height)
    return bytes(screen)


def _read_rectangle(stream: Stream, screen: bytearray, width: int, height: int) -> int:
    left, top, across, down = (stream.number("H") for _ in range(4))
    if stream.number("I") != 0:
        raise RfbError("the server sent a rectangle that is not raw")
    if left + across > width or top + down > height:
        raise RfbError("the server sent a rectangle outside the screen")
    pixels = stream.take(across * down * 4)
    for row in range(down):
        line = pixels[row * across * 4 : (row + 1) * across * 4]
        start = ((top + row) * width + left) * 3
        target = memoryview(screen)[start : start + across * 3]
        target[0::3], target[1::3], target[2::3] = line[2::4], line[1::4], line[0::4]
    return across * down


def _skip(stream: Stream, kind: int) -> None:
    if kind == 1:
        stream.take(3)
        stream.take(stream.number("H") * 6)
    elif kind == 3:  # noqa: PLR2004 - the guest put text on the clipboard
        stream.take(3)
        stream.take(stream.number("I"))
    elif kind != 2:  # noqa: PLR2004 - bell
        raise RfbError(f"the server sent an unknown message ({kind})")
