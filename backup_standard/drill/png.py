"""PNG files from raw pixels."""

from __future__ import annotations

import struct
import zlib


def encode(width: int, height: int, rgb: bytes) -> bytes:
    """A PNG of ``width`` by ``height`` pixels; ``rgb`` holds three bytes a pixel, row after row."""
    if len(rgb) != width * height * 3:
        raise ValueError(f"{len(rgb)} bytes do not make {width} x {height} pixels")
    rows = b"".join(b"\0" + rgb[start : start + width * 3] for start in range(0, len(rgb), width * 3))
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n" + _chunk(b"IHDR", header) + _chunk(b"IDAT", zlib.compress(rows, 9)) + _chunk(b"IEND", b"")
    )


def is_blank(rgb: bytes) -> bool:
    """Whether every pixel has the same colour: a console that shows nothing."""
    return rgb == rgb[:3] * (len(rgb) // 3)


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
