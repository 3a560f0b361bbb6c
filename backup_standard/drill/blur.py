"""Pictures made unreadable for good: what remains tells that a console shows something, never what.

Letters of a text console are 8 by 16 pixels. Each tile of 32 by 32 becomes its average, in eight steps of brightness
and without colour, so that no letter can be read back from it.
"""

from __future__ import annotations

from backup_standard.drill.rfb import Picture

TILE = 32
"""Width and height of a tile in pixels."""
STEP = 32
"""Size of a step of brightness, of 256."""


def blurred(picture: Picture) -> Picture:
    """The same picture as grey tiles."""
    rows = [_row(picture, top, min(TILE, picture.height - top)) for top in range(0, picture.height, TILE)]
    return Picture(picture.width, picture.height, b"".join(rows))


def _row(picture: Picture, top: int, height: int) -> bytes:
    stride = picture.width * 3
    lines = [picture.rgb[(top + line) * stride : (top + line + 1) * stride] for line in range(height)]
    line = bytearray()
    for left in range(0, picture.width, TILE):
        width = min(TILE, picture.width - left)
        total = sum(sum(one[left * 3 : (left + width) * 3]) for one in lines)
        average = total // (width * height * 3)
        line += bytes([average // STEP * STEP]) * (width * 3)
    return bytes(line) * height
