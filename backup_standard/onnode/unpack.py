"""The archive's bytes as they come, counted and hashed, and unpacked: zstd and lzop by the node's own tools."""

from __future__ import annotations

import hashlib
import os
import subprocess
import threading
import zlib
from collections.abc import Callable, Iterator

from backup_standard.onnode.pace import Pace
from backup_standard.onnode.stream import Damaged, Stream, Unproven

CHUNK = 256 * 1024
GZIP = zlib.MAX_WBITS | 16
MAGIC = {"zstd": b"\x28\xb5\x2f\xfd", "gzip": b"\x1f\x8b", "lzo": b"\x89LZO\0\r\n\x1a\n"}
TOOLS = {"zstd": ("zstd", "-dc", "--no-progress"), "lzo": ("lzop", "-dc")}
LZO_FLAGS, LZO_SUMS = 17, 0x303
"""Offset of lzop's flags, and those that tell of checksums (upstream: lzop's conf.h)."""


class Source:
    """What comes in on a file descriptor. ``tell`` gets the count of bytes from time to time."""

    def __init__(self, descriptor: int, pace: Pace, tell: Callable[[int], None]) -> None:
        self._descriptor, self._pace, self._tell = descriptor, pace, tell
        self._sum = hashlib.sha256()
        self.count, self.ended = 0, False

    def chunks(self) -> Iterator[bytes]:
        """The bytes, at the pace that is allowed."""
        while True:
            data = os.read(self._descriptor, CHUNK)
            if not data:
                self.ended = True
                return
            self._sum.update(data)
            self.count += len(data)
            self._tell(self.count)
            yield data
            self._pace.wait_for(len(data))

    @property
    def sha256(self) -> str:
        """Of all bytes so far."""
        return self._sum.hexdigest()


def has_checksum(compression: str, head: bytes) -> bool:
    """Whether the packed data carries checksums, by its first bytes (zstd: RFC 8878, frame header descriptor)."""
    if compression == "zstd":
        return len(head) > 4 and bool(head[4] & 4)  # noqa: PLR2004 - behind the magic number
    if compression == "lzo":
        return bool(int.from_bytes(head[LZO_FLAGS : LZO_FLAGS + 4], "big") & LZO_SUMS)
    return compression == "gzip"


class Unpacked:
    """The unpacked archive as a :class:`Stream`; ``checksummed`` says whether every byte of it was checked."""

    def __init__(self, source: Source, compression: str) -> None:
        self._source, self._compression = source, compression
        chunks = source.chunks()
        head = next(chunks, b"")
        if not head:
            raise Damaged("the file is empty")
        if not head.startswith(MAGIC.get(compression, b"")):
            raise Damaged(f"byte 0 of the file: this is not {compression} data, although its name says so")
        self.checksummed = has_checksum(compression, head)
        self._tool: _Tool | None = None
        what = "the file" if compression == "none" else "the unpacked archive"
        self.stream = Stream(self._opened(_with(head, chunks)), what)

    def _opened(self, chunks: Iterator[bytes]) -> Iterator[bytes]:
        if self._compression == "none":
            return chunks
        if self._compression == "gzip":
            return _gunzip(chunks, self._source)
        self._tool = _Tool(TOOLS[self._compression], chunks, self._source)
        return self._tool.chunks()

    def close(self) -> None:
        """End the unpacking tool."""
        if self._tool:
            self._tool.close()


def _with(head: bytes, chunks: Iterator[bytes]) -> Iterator[bytes]:
    yield head
    yield from chunks


def _gunzip(chunks: Iterator[bytes], source: Source) -> Iterator[bytes]:
    engine = zlib.decompressobj(GZIP)
    fresh = True
    for chunk in chunks:
        data = chunk
        while data:
            if fresh and not MAGIC["gzip"].startswith(data[:2]):
                raise Damaged(f"trailing garbage: {len(data)} bytes or more from byte {source.count - len(data)} on")
            fresh = False
            try:
                yield engine.decompress(data)
            except zlib.error as error:
                place = f"byte {source.count} of the file"
                raise Damaged(f"the gzip data is damaged at or before {place}: {error}") from None
            data = engine.unused_data
            if engine.eof:
                engine, fresh = zlib.decompressobj(GZIP), True
    if not fresh:
        raise Damaged(f"the gzip data is cut short: the file ends at byte {source.count}, in the middle of it")


class _Tool:
    """A program that unpacks: a thread gives it what comes in, the caller takes what comes out."""

    def __init__(self, argv: tuple[str, ...], chunks: Iterator[bytes], source: Source) -> None:
        self._name, self._chunks, self._source = argv[0], chunks, source
        self._failure: BaseException | None = None
        try:
            self._process = subprocess.Popen(
                argv, bufsize=0, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE
            )
        except FileNotFoundError:
            raise Unproven(f"{self._name} is not installed on the node (apt install {self._name})") from None
        self._feeder = threading.Thread(target=self._feed, daemon=True)
        self._feeder.start()

    def _feed(self) -> None:
        target = self._process.stdin
        assert target is not None
        try:
            for chunk in self._chunks:
                rest = memoryview(chunk)
                while rest:
                    rest = rest[target.write(rest) :]
            target.close()
        except BrokenPipeError:  # it has ended: its own words say why
            return
        except BaseException as failure:  # noqa: BLE001 - raised in the caller's thread
            self._failure = failure
            self._process.kill()

    def chunks(self) -> Iterator[bytes]:
        """What it gives; at the end its verdict."""
        source = self._process.stdout
        assert source is not None
        while True:
            data = source.read(CHUNK)
            if not data:
                break
            yield data
        error = self._process.stderr
        said = error.read().decode("utf-8", "replace") if error else ""
        rc = self._process.wait()
        self._feeder.join()
        if self._failure:
            raise self._failure
        if rc:
            reason = " ".join(said.split()) or f"it ended with {rc}"
            raise Damaged(f"{self._name} fails at or before byte {self._source.count} of the file: {reason}")

    def close(self) -> None:
        """Kill it if it still runs, and wait for its end."""
        self._process.kill()
        self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout, self._process.stderr):
            if pipe:
                pipe.close()
