"""The node's end of the courier: commands, files and bulk bytes over virtio-serial ports, one request at a time each.

A request is a length (4 bytes, network order) and JSON; streams are chunks of (length, bytes) that end with length 0.
A line ``LABSYNC:token`` where a length is expected starts a session afresh and is sent back.
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import socket
import struct
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

PORTS = Path("/dev/virtio-ports")
CHUNK = 1 << 18
ABORTED = 0xFFFFFFFF
TIME_ADDRESS = ("127.0.0.1", 11123)


class GoneError(Exception):
    """The other side closed the port."""


class Port:
    """One virtio-serial port: exact reads, whole writes."""

    def __init__(self, path: Path) -> None:
        self.fd = os.open(path, os.O_RDWR)

    def wait_connected(self) -> None:
        """Return once the other side has the port open."""
        poller = select.poll()
        poller.register(self.fd, select.POLLIN)
        while any(event & select.POLLHUP for _, event in poller.poll(1000)):
            select.select([], [], [], 0.05)

    def read(self, size: int) -> bytes:
        """Read exactly ``size`` bytes; GoneError when the other side left."""
        data = bytearray()
        while len(data) < size:
            part = os.read(self.fd, min(CHUNK, size - len(data)))
            if not part:
                raise GoneError
            data += part
        return bytes(data)

    def write(self, data: bytes) -> None:
        """Write everything."""
        view = memoryview(data)
        while view:
            view = view[os.write(self.fd, view[:CHUNK]) :]

    def send(self, answer: dict[str, object], *bodies: bytes) -> None:
        """Send a JSON answer and the bytes that belong to it."""
        text = json.dumps(answer).encode()
        self.write(struct.pack("!I", len(text)) + text + b"".join(bodies))

    def chunks(self) -> Iterator[bytes]:
        """Yield the chunks of a stream; raises OSError when the sender gave it up."""
        while length := struct.unpack("!I", self.read(4))[0]:
            if length == ABORTED:
                raise InterruptedError("the sender gave the stream up")
            yield self.read(length)


def run(port: Port, request: dict[str, object]) -> None:
    """Run a command to its end and send back exit status and both outputs."""
    stdin = port.read(int(str(request["stdin"])))
    argv = [str(word) for word in request["argv"]]  # type: ignore[attr-defined]
    try:
        done = subprocess.run(
            argv, input=stdin, capture_output=True, timeout=float(str(request["timeout"])), check=False
        )
    except FileNotFoundError as error:
        port.send({"rc": 127, "out": 0, "err": len(text := f"{error}\n".encode())}, text)
        return
    port.send({"rc": done.returncode, "out": len(done.stdout), "err": len(done.stderr)}, done.stdout, done.stderr)


@contextlib.contextmanager
def sink(request: dict[str, object]) -> Iterator[int]:
    """Give the descriptor a stream is written to: a file, or the standard input of a command."""
    if "argv" not in request:
        fd = os.open(str(request["path"]), os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644)
        try:
            yield fd
            os.fdatasync(fd)
        finally:
            os.close(fd)
        if request.get("mtime") is not None:
            os.utime(str(request["path"]), (float(str(request["mtime"])),) * 2)
        return
    argv = [str(word) for word in request["argv"]]  # type: ignore[attr-defined]
    with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE) as process:
        assert process.stdin
        assert process.stderr
        yield process.stdin.fileno()
        process.stdin.close()
        text = process.stderr.read().decode(errors="replace")
        if process.wait():
            raise OSError(5, f"{argv[0]}: exit {process.returncode}: {text[-500:].strip()}")


def put(port: Port, request: dict[str, object]) -> None:
    """Take a stream into a file or a command. After an error the rest of the stream is read and thrown away."""
    stream, size = port.chunks(), 0
    try:
        with sink(request) as fd:
            for chunk in stream:
                view = memoryview(chunk)
                while view:
                    view = view[os.write(fd, view) :]
                size += len(chunk)
    except InterruptedError:
        raise
    except OSError:
        for _ in stream:
            continue
        raise
    port.send({"size": size})


def get(port: Port, request: dict[str, object]) -> None:
    """Send a file (or a part of it), or what a command prints, as a stream and then an answer."""
    try:
        left = int(str(request.get("limit", -1)))
        with source(request) as fd:
            while left and (data := os.read(fd, CHUNK if left < 0 else min(CHUNK, left))):
                port.write(struct.pack("!I", len(data)) + data)
                left -= len(data) if left > 0 else 0
    finally:
        port.write(struct.pack("!I", 0))
    port.send({})


@contextlib.contextmanager
def source(request: dict[str, object]) -> Iterator[int]:
    """Give the descriptor a stream is read from."""
    if "argv" not in request:
        fd = os.open(str(request["path"]), os.O_RDONLY)
        try:
            yield fd
        finally:
            os.close(fd)
        return
    argv = [str(word) for word in request["argv"]]  # type: ignore[attr-defined]
    with subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout
        assert process.stderr
        yield process.stdout.fileno()
        text = process.stderr.read().decode(errors="replace")
        if process.wait():
            raise OSError(5, f"{argv[0]}: exit {process.returncode}: {text[-500:].strip()}")


def listdir(request: dict[str, object]) -> dict[str, object]:
    """Name, size and times of the files of a folder."""
    found = []
    with os.scandir(str(request["path"])) as entries:
        for entry in entries:
            facts = entry.stat(follow_symlinks=False)
            found.append([entry.name, facts.st_size, facts.st_mtime, facts.st_ctime])
    return {"files": found}


def usage(request: dict[str, object]) -> dict[str, object]:
    """Space of the file system that holds a path."""
    path = Path(str(request["path"]))
    facts = os.statvfs(path)
    mountpoint = path.resolve()
    while not mountpoint.is_mount():
        mountpoint = mountpoint.parent
    unit = facts.f_frsize
    return {
        "total": facts.f_blocks * unit,
        "used": (facts.f_blocks - facts.f_bfree) * unit,
        "avail": facts.f_bavail * unit,
        "mountpoint": str(mountpoint),
    }


def small(request: dict[str, object]) -> dict[str, object]:
    """Do one of the small things that need no stream."""
    path = Path(str(request.get("path", "/")))
    match request["op"]:
        case "list":
            return listdir(request)
        case "usage":
            return usage(request)
        case "rename":
            path.rename(str(request["target"]))
        case "unlink":
            path.unlink()
        case "makedirs":
            path.mkdir(parents=True, exist_ok=True)
        case "clock":
            return {"now": time.time()}
        case operation:
            raise OSError(38, f"the courier knows no operation {operation!r}")
    return {}


STREAMS = {"run": run, "put": put, "get": get}


def answer(port: Port) -> None:
    """Read one request and answer it."""
    head = port.read(4)
    if head == b"LABS":
        line = head
        while not line.endswith(b"\n"):
            line += port.read(1)
        port.write(line)
        return
    request = json.loads(port.read(struct.unpack("!I", head)[0]))
    try:
        if request["op"] in STREAMS:
            STREAMS[request["op"]](port, request)
        else:
            port.send(small(request))
    except subprocess.TimeoutExpired as error:
        port.send({"error": str(error), "errno": 110})
    except OSError as error:
        port.send({"error": error.strerror or str(error), "errno": error.errno or 5})


def serve(path: Path) -> None:
    """Answer requests on one port for ever."""
    port = Port(path)
    while True:
        port.wait_connected()
        with contextlib.suppress(GoneError):
            while True:
                answer(port)


def serve_time(path: Path) -> None:
    """Hand time requests of this host to the outer machine and its answers back (48 bytes each way)."""
    port = Port(path)
    local = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    local.bind(TIME_ADDRESS)
    while True:
        packet, sender = local.recvfrom(1024)
        port.wait_connected()
        port.write(packet[:48])
        with contextlib.suppress(GoneError):
            local.sendto(port.read(48), sender)


def main() -> None:
    """Start one process for each port and end when one of them ends, so that the service starts afresh."""
    for path in sorted(PORTS.glob("lab.*")):
        if os.fork() == 0:
            (serve_time if path.name == "lab.time" else serve)(path)
            sys.exit(1)
    os.wait()
    sys.exit(1)


if __name__ == "__main__":
    main()
