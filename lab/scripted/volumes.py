"""Volumes in memory: large on paper, as small as what was written."""

from __future__ import annotations

from collections.abc import Iterator

PAGE = 64 * 1024


class SparseDisk:
    """A disk of ``size`` bytes that keeps only the pages that were written (see :class:`lab.archive.Disk`)."""

    def __init__(self, size: int) -> None:
        self.size = size
        self.pages: dict[int, bytearray] = {}

    def copy(self, size: int | None = None) -> SparseDisk:
        """Return an independent copy, of another size if wanted."""
        twin = SparseDisk(self.size if size is None else size)
        twin.pages = {number: bytearray(page) for number, page in self.pages.items()}
        return twin

    def ranges(self) -> Iterator[tuple[int, int]]:
        """Give the pages that were written."""
        for number in sorted(self.pages):
            yield number * PAGE, min((number + 1) * PAGE, self.size)

    def read_at(self, offset: int, length: int) -> bytes:
        """Give bytes, zeros where nothing was written."""
        end, pieces = min(offset + length, self.size), []
        while offset < end:
            number, start = divmod(offset, PAGE)
            take = min(PAGE - start, end - offset)
            page = self.pages.get(number)
            pieces.append(bytes(take) if page is None else bytes(page[start : start + take]))
            offset += take
        return b"".join(pieces)

    def write_at(self, offset: int, data: bytes | memoryview) -> None:
        """Write bytes."""
        at = 0
        while at < len(data):
            number, start = divmod(offset + at, PAGE)
            take = min(PAGE - start, len(data) - at)
            page = self.pages.setdefault(number, bytearray(PAGE))
            page[start : start + take] = data[at : at + take]
            at += take
