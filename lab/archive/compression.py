"""Compressed streams as ``vzdump`` makes them: zstd (frame checksum on), gzip, or none."""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol

import zstandard

from lab.archive.layout import ArchiveDamaged
from lab.archive.vma_reader import Input
from lab.archive.vma_writer import Output
from lab.hypervisor import HypervisorError

CHUNK = 64 * 1024
SUFFIXES = {"zst": "zstd", "gz": "gzip", "lzo": "lzo"}
GZIP = zlib.MAX_WBITS | 16


def compression_of(name: str) -> str:
    """The compression an archive's name tells: "zstd", "gzip", "lzo" or "0"."""
    return SUFFIXES.get(name.rsplit(".", 1)[-1], "0")


class _Engine(Protocol):
    def compress(self, data: bytes, /) -> bytes: ...

    def flush(self) -> bytes: ...


class _Through:
    """An output that compresses what is written to it."""

    def __init__(self, out: Output, engine: _Engine) -> None:
        self._out, self._engine = out, engine

    def write(self, data: bytes, /) -> int:
        if packed := self._engine.compress(data):
            self._out.write(packed)
        return len(data)

    def finish(self) -> None:
        self._out.write(self._engine.flush())


def _compressing(kind: str, level: int, threads: int) -> _Engine | None:
    if kind == "zstd":
        return zstandard.ZstdCompressor(level=level, threads=threads, write_checksum=True).compressobj()
    if kind == "gzip":
        return zlib.compressobj(level, zlib.DEFLATED, GZIP)
    if kind in {"0", ""}:
        return None
    raise HypervisorError(f"the lab does not compress with '{kind}'; it knows zstd, gzip and 0 (none)")


@contextmanager
def compressor(out: Output, kind: str, *, level: int = 1, threads: int = 0) -> Iterator[Output]:
    """A stream that compresses into ``out`` ("zstd", "gzip", "0"). The end of the block ends the frame.

    After an exception the frame stays unfinished, as after an interrupted backup. ``threads``: zstd workers.
    """
    engine = _compressing(kind, level, threads)
    if engine is None:
        yield out
        return
    through = _Through(out, engine)
    yield through
    through.finish()


class _Frames(Protocol):
    """What zlib and zstandard offer for one compressed frame."""

    @property
    def eof(self) -> bool: ...

    @property
    def unused_data(self) -> bytes: ...

    def decompress(self, data: bytes, /) -> bytes: ...


class _Decompressed:
    """An input that decompresses; damage raises ArchiveDamaged with the decompressor's own line."""

    def __init__(self, inp: Input, kind: str, name: str) -> None:
        self._kind, self._name = kind, name
        self._chunks = self._decode(inp)
        self._rest = memoryview(b"")

    def read(self, size: int, /) -> bytes:
        if len(self._rest) < size:
            self._rest = memoryview(b"".join(self._gathered(size)))
        taken, self._rest = self._rest[:size], self._rest[size:]
        return bytes(taken)

    def _gathered(self, size: int) -> list[memoryview]:
        pieces, have = [self._rest], len(self._rest)
        try:
            while have < size and (chunk := next(self._chunks, None)) is not None:
                pieces.append(memoryview(chunk))
                have += len(chunk)
        except ArchiveDamaged as damage:
            damage.rest = b"".join(pieces)
            self._rest = memoryview(b"")
            raise
        return pieces

    def _frame(self) -> _Frames:
        if self._kind == "zstd":
            return zstandard.ZstdDecompressor().decompressobj()
        return zlib.decompressobj(GZIP)

    def _decode(self, inp: Input) -> Iterator[bytes]:
        frame, data, begun = self._frame(), inp.read(CHUNK), False
        if not data:
            raise self._damaged("unexpected end of file")
        while data:
            try:
                yield frame.decompress(data)
            except (zstandard.ZstdError, zlib.error) as error:
                raise self._damaged(_reason(str(error))) from error
            begun = True
            if frame.eof:
                data = frame.unused_data or inp.read(CHUNK)
                frame, begun = self._frame(), False
            else:
                data = inp.read(CHUNK)
        if begun:
            raise self._damaged("Read error (39) : premature end")

    def _damaged(self, reason: str) -> ArchiveDamaged:
        if self._kind == "gzip":
            reason = "not in gzip format" if reason == "unsupported format" else reason
            return ArchiveDamaged(reason, decoder=f"gzip: {self._name}: {reason}")
        line = f"{self._name} : {reason} " if reason[:1].isupper() else f"zstd: {self._name}: {reason} "
        return ArchiveDamaged(reason, decoder=line)


def _reason(error: str) -> str:
    """Word a library's error as the command-line tool words it."""
    if "Unknown frame descriptor" in error or "incorrect header check" in error:
        return "unsupported format"
    for known in ("Restored data doesn't match checksum", "Data corruption detected"):
        if known in error:
            return f"Decoding error (36) : {known}"
    return f"Decoding error (36) : {error}"


def decompressor(inp: Input, kind: str, name: str = "archive") -> Input:
    """A stream that decompresses from ``inp``; ``name`` appears in the decompressor's messages.

    A frame that is cut short, does not match its checksum or is followed by garbage raises ArchiveDamaged on reading.
    """
    if kind in {"0", ""}:
        return inp
    if kind not in {"zstd", "gzip"}:
        raise HypervisorError(f"the lab does not read '{kind}'; it knows zstd, gzip and 0 (none)")
    return _Decompressed(inp, kind, name)
