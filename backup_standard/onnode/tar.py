"""Checks a container's archive: a tar of its configuration and its root file system, up to its two zero blocks."""

from __future__ import annotations

from typing import Any

from backup_standard.onnode.stream import Damaged, Stream, shown

BLOCK = 512
ZERO = bytes(BLOCK)
WITHOUT_DATA = frozenset(b"123456")
"""Links, devices, folders, pipes: their size says nothing (upstream: POSIX, pax interchange format)."""
OLD_SPARSE = ord("S")
CONFIG = "etc/vzdump/pct.conf"
OURS = "etc/vzdump/"
LARGEST_NOTE = 1 << 20
"""Bytes of an extended header or of the configuration that are looked at, at most."""


def check(stream: Stream) -> dict[str, Any]:
    """Read all of it. Raises Damaged with the place; else tells how many members there are."""
    members = files = 0
    config, name, size = "", "", None
    while True:
        start = stream.position
        head = stream.read(BLOCK)
        if head == ZERO:
            _end(stream, start)
            break
        kind, own_name, own_size = _member(stream, head, start)
        if kind in b"xgLK":
            note = _note(stream, own_size, start)
            if kind == ord("x"):
                name, size = _extended(note, name, size)
            elif kind == ord("L"):
                name = note.rstrip(b"\0").decode("utf-8", "replace")
            continue
        name, size = (name or own_name).removeprefix("./"), own_size if size is None else size
        members += 1
        if name == CONFIG and kind not in WITHOUT_DATA:
            config = _note(stream, size, start, keep=True).decode("utf-8", "replace")
        else:
            _skip(stream, 0 if kind in WITHOUT_DATA else size, start, shown(name))
            files += not name.startswith(OURS) and kind not in WITHOUT_DATA
        name, size = "", None
    _complete(config, files)
    return {"members": members}


def _complete(config: str, files: int) -> None:
    if not config:
        raise Damaged(f"the archive holds no configuration of its container ({CONFIG})")
    if not any(line.startswith("rootfs:") for line in config.splitlines()):
        raise Damaged(f"the configuration in the archive ({CONFIG}) names no root file system")
    if not files:
        raise Damaged("the archive holds no file of a root file system")


def _member(stream: Stream, head: bytes, start: int) -> tuple[int, str, int]:
    """Check a header; its type, name and size."""
    where = stream.at(start)
    if len(head) < BLOCK:
        if not head:
            raise Damaged(f"the archive ends at {where} without the zero blocks that end a tar")
        raise Damaged(f"the archive ends at {stream.at(stream.position)}, in a header that begins at {where}")
    told = _number(head[148:156])
    others = head[:148] + b" " * 8 + head[156:]
    signed = sum(byte - 256 if byte > 127 else byte for byte in others)  # noqa: PLR2004 - as old tars did
    if told is None or told not in {sum(others), signed}:
        raise Damaged(f"{where}: the header of a member does not match its checksum")
    size = _number(head[124:136])
    if size is None or size < 0:
        raise Damaged(f"{where}: the size of a member is no number")
    if head[156] == OLD_SPARSE and head[482]:
        while stream.read(BLOCK)[504:505] not in {b"", b"\0"}:  # more of its map
            continue
    name, prefix = (_text(head[:100]), _text(head[345:500]) if head[257:263] == b"ustar\0" else "")
    return head[156], f"{prefix}/{name}" if prefix else name, size


def _number(field: bytes) -> int | None:
    """A number in octal, or in base 256 where the first bit is set (upstream: GNU tar)."""
    if field[0] & 0x80:
        return int.from_bytes(bytes([field[0] & 0x7F]) + field[1:], "big") if field[0] == 0x80 else -1  # noqa: PLR2004
    digits = field.strip(b"\0 ")
    try:
        return int(digits, 8) if digits else 0
    except ValueError:
        return None


def _text(field: bytes) -> str:
    return field.split(b"\0", 1)[0].decode("utf-8", "replace")


def _note(stream: Stream, size: int, start: int, *, keep: bool = False) -> bytes:
    """The content of a member that says something."""
    if size > LARGEST_NOTE:
        raise Damaged(f"{stream.at(start)}: {'the configuration' if keep else 'an extended header'} of {size} bytes")
    padded = -(-size // BLOCK) * BLOCK
    data = stream.read(padded)
    if len(data) < padded:
        raise Damaged(f"the archive ends at {stream.at(stream.position)}, in the member at {stream.at(start)}")
    return data[:size]


def _extended(note: bytes, name: str, size: int | None) -> tuple[str, int | None]:
    """Name and size as the records of a pax header replace them; each record is ``LENGTH KEY=VALUE`` and a newline."""
    rest = note
    while rest:
        length, _space, _ = rest.partition(b" ")
        if not length.isdigit() or not 0 < int(length) <= len(rest):
            raise Damaged("an extended header of a member is not understood")
        key, _equals, value = rest[len(length) + 1 : int(length) - 1].partition(b"=")
        if key == b"path":
            name = value.decode("utf-8", "replace")
        elif key == b"size" and value.isdigit():
            size = int(value)
        rest = rest[int(length) :]
    return name, size


def _skip(stream: Stream, size: int, start: int, name: str) -> None:
    padded = -(-size // BLOCK) * BLOCK
    got = sum(len(piece) for piece in stream.pieces(padded))
    if got < padded:
        place = stream.at(stream.position)
        raise Damaged(f"the archive ends at {place}, in the content of {name}, whose header is at {stream.at(start)}")


def _end(stream: Stream, start: int) -> None:
    """Check the second zero block, and that only zeros follow."""
    second = stream.read(BLOCK)
    if second != ZERO:
        found = "nothing" if not second else "something else"
        raise Damaged(f"{stream.at(start)}: a zero block is followed by {found}, not by the second one that ends a tar")
    while True:
        place = stream.position
        rest = stream.read(1 << 16)
        if not rest:
            return
        if rest.strip(b"\0"):
            first = place + len(rest) - len(rest.lstrip(b"\0"))
            raise Damaged(f"{stream.at(first)}: trailing garbage after the end of the tar")
