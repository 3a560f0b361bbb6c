"""The outer end of the courier: commands, files and bulk bytes for the node over virtio-serial ports ("lanes").

The node's end is ``tree/node/usr/local/lib/lab/courier.py``, which describes the protocol. Each request has a lane to
itself; there are as many at once as there are lanes. A lane on which a request was broken off is opened afresh.
"""

from __future__ import annotations

import json
import os
import queue
import secrets
import socket
import struct
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol

from lab.hypervisor import CommandResult, HypervisorError
from lab.vm.qmp import connect
from lab.waiting import TimedOut

CHUNK = 1 << 18
ABORTED = 0xFFFFFFFF
COMMAND_SECONDS = 120.0


Ended = Callable[[], str | None]


class CourierLost(HypervisorError):
    """The node does not answer on its ports."""


class ByteSource(Protocol):
    """Anything to read a stream from."""

    def read(self, size: int, /) -> bytes:
        """Return up to ``size`` bytes; none at the end."""
        ...


class Lane:
    """One port. Not safe for several threads: the courier hands it to one at a time."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._socket: socket.socket | None = None

    def open(self, timeout: float, ended: Ended | None = None) -> None:
        """Connect and agree with the node that a session starts here; CourierLost when it does not answer."""
        self.close()
        try:
            link = connect(self._path, timeout=timeout, error=ended)
        except TimedOut as late:
            raise CourierLost(str(late)) from late
        link.settimeout(timeout)
        token = f"LABSYNC:{secrets.token_hex(8)}\n".encode()
        try:
            link.sendall(token)
            self._await(link, token)
        except OSError as error:
            link.close()
            raise CourierLost(f"the node does not answer on {self._path.name}: {error}") from error
        self._socket = link

    @staticmethod
    def _await(link: socket.socket, token: bytes) -> None:
        seen = b""
        while not seen.endswith(token):
            data = link.recv(65536)
            if not data:
                raise ConnectionResetError("the port was closed")
            seen = (seen + data)[-len(token) :]

    def is_open(self) -> bool:
        """Tell whether a session is open."""
        return self._socket is not None

    def close(self) -> None:
        """End the session."""
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    @property
    def link(self) -> socket.socket:
        """The open socket."""
        if self._socket is None:
            raise CourierLost("the courier's lane is closed")
        return self._socket

    def limit(self, seconds: float) -> None:
        """Set how long an answer may take."""
        self.link.settimeout(seconds)

    def read(self, size: int) -> bytes:
        """Read exactly ``size`` bytes."""
        data = bytearray()
        while len(data) < size:
            part = self.link.recv(min(CHUNK, size - len(data)))
            if not part:
                raise CourierLost("the node closed the courier's port")
            data += part
        return bytes(data)

    def request(self, body: dict[str, object], payload: bytes = b"") -> None:
        """Send a request and the bytes that belong to it."""
        text = json.dumps(body).encode()
        self.link.sendall(struct.pack("!I", len(text)) + text + payload)

    def answer(self) -> dict[str, object]:
        """Read an answer; raises the OSError it tells of."""
        answer: dict[str, object] = json.loads(self.read(struct.unpack("!I", self.read(4))[0]))
        if "errno" in answer:
            raise OSError(answer["errno"], str(answer["error"]))
        return answer


class Stream:
    """A stream from the node, to be read to its end."""

    def __init__(self, lane: Lane) -> None:
        self._lane = lane
        self._left = 0
        self._ended = False

    def read(self, size: int, /) -> bytes:
        """Return up to ``size`` bytes, none at the end. Raises the OSError the node met."""
        if self._ended or not size:
            return b""
        if not self._left:
            self._left = struct.unpack("!I", self._lane.read(4))[0]
            if not self._left:
                self._ended = True
                self._lane.answer()
                return b""
        data = self._lane.read(min(size, self._left, CHUNK))
        self._left -= len(data)
        return data

    @property
    def ended(self) -> bool:
        """Whether everything was read."""
        return self._ended


class Sink:
    """A stream to the node: write to it."""

    def __init__(self, lane: Lane) -> None:
        self._lane = lane
        self.size = 0

    def write(self, data: bytes, /) -> int:
        """Send bytes."""
        view = memoryview(data)
        for start in range(0, len(view), CHUNK):
            part = view[start : start + CHUNK]
            self._lane.link.sendall(struct.pack("!I", len(part)) + part)
        self.size += len(view)
        return len(view)

    def finish(self) -> int:
        """End the stream; returns the bytes the node took. Raises the OSError it met."""
        self._lane.link.sendall(struct.pack("!I", 0))
        return int(str(self._lane.answer()["size"]))


class Courier:
    """All lanes of a node. ``ended`` says how the node's machine ended, if it did."""

    def __init__(self, sockets: Sequence[Path], ended: Ended = lambda: None) -> None:
        self._ended = ended
        self._lanes = [Lane(path) for path in sockets]
        self._free: queue.SimpleQueue[Lane] = queue.SimpleQueue()
        for lane in self._lanes:
            self._free.put(lane)

    def wait(self, timeout: float) -> None:
        """Open the first lane, waiting for the node to come up."""
        lane = self._free.get()
        try:
            lane.open(timeout, self._ended)
        finally:
            self._free.put(lane)

    def close(self) -> None:
        """End all sessions (before the node's state is saved, or when it stops)."""
        for lane in self._lanes:
            lane.close()

    @contextmanager
    def lane(self, seconds: float = COMMAND_SECONDS) -> Iterator[Lane]:
        """Take a lane; it is opened when need be, and closed when the request on it broke off."""
        lane = self._free.get(timeout=300)
        clean = False
        try:
            if not lane.is_open():
                lane.open(30.0, self._ended)
            lane.limit(seconds)
            yield lane
            clean = True
        except (TimeoutError, ConnectionError, BrokenPipeError) as error:
            raise CourierLost(f"the node gave no answer on its courier port: {error}") from error
        except OSError as error:
            clean = not isinstance(error, TimeoutError)
            raise
        finally:
            if not clean:
                lane.close()
            self._free.put(lane)

    def run(self, argv: Sequence[str], stdin: bytes = b"", timeout: float = COMMAND_SECONDS) -> CommandResult:
        """Run a command on the node to its end (``timeout`` in seconds, then it is killed)."""
        with self.lane(timeout + 15) as lane:
            lane.request({"op": "run", "argv": list(argv), "stdin": len(stdin), "timeout": timeout}, stdin)
            answer = lane.answer()
            out, err = lane.read(int(str(answer["out"]))), lane.read(int(str(answer["err"])))
        return CommandResult(int(str(answer["rc"])), out.decode(errors="replace"), err.decode(errors="replace"))

    def small(self, operation: str, path: str = "/", **more: object) -> dict[str, object]:
        """Do one of the courier's small operations; FileNotFoundError and its kin as they happened on the node."""
        with self.lane() as lane:
            lane.request({"op": operation, "path": path, **more})
            try:
                return lane.answer()
            except OSError as error:
                raise OSError(error.errno, os.strerror(error.errno or 5), path) from error

    @contextmanager
    def put(self, seconds: float = COMMAND_SECONDS, **target: object) -> Iterator[Sink]:
        """Stream into a file (``path=``, ``mtime=``) or the standard input of a command (``argv=``) on the node."""
        with self.lane(seconds) as lane:
            lane.request({"op": "put", **target})
            sink = Sink(lane)
            try:
                yield sink
            except BaseException:
                lane.close()
                raise
            sink.finish()

    @contextmanager
    def get(self, seconds: float = COMMAND_SECONDS, **origin: object) -> Iterator[Stream]:
        """Stream out of a file (``path=``, ``limit=``) or what a command (``argv=``) prints on the node."""
        with self.lane(seconds) as lane:
            lane.request({"op": "get", **origin})
            stream = Stream(lane)
            try:
                yield stream
            finally:
                if not stream.ended:
                    lane.close()
