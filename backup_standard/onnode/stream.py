"""A stream of bytes with a position, and the ways in which reading an archive can end."""

from __future__ import annotations

from collections.abc import Iterator


class Damaged(Exception):
    """The archive is not whole; the text says where and how."""


class Unproven(Exception):
    """Nothing can be said of the archive; the text says why."""


class Aborted(Exception):
    """Reading was given up for the sake of others; the text says why."""


class Stream:
    """Bytes from chunks; ``position`` is how many were read, ``what`` names them in messages."""

    def __init__(self, chunks: Iterator[bytes], what: str) -> None:
        self._chunks, self._chunk, self._at = chunks, b"", 0
        self.position, self.what = 0, what

    def read(self, size: int) -> bytes:
        """So many bytes; fewer only at the end."""
        pieces = []
        while size > 0:
            piece = self._chunk[self._at : self._at + size]
            if piece:
                pieces.append(piece)
                self._at += len(piece)
                self.position += len(piece)
                size -= len(piece)
                continue
            chunk = next(self._chunks, None)
            if chunk is None:
                break
            self._chunk, self._at = chunk, 0
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)

    def pieces(self, size: int) -> Iterator[bytes]:
        """The next so many bytes in pieces of at most 1 MiB; what is lacking at the end does not come."""
        while size > 0:
            piece = self.read(min(size, 1 << 20))
            if not piece:
                return
            size -= len(piece)
            yield piece

    def at(self, position: int) -> str:
        """A position in words."""
        return f"byte {position} of {self.what}"


def shown(text: str) -> str:
    """A name out of an archive, safe to print: ASCII, escaped, at most 80 characters."""
    return ascii(text)[1:-1][:80]
