"""Tells the node the time: answers its time requests (NTP, RFC 5905) that the courier brings through a port."""

from __future__ import annotations

import socket
import struct
import threading
import time
from pathlib import Path

from lab.vm.qmp import connect

NTP_EPOCH = 2_208_988_800
"""Seconds from 1900, where NTP counts from, to 1970."""
PACKET = 48


def stamp(moment: float) -> bytes:
    """Return a moment (seconds since 1970) as an NTP time stamp."""
    seconds, fraction = divmod(moment + NTP_EPOCH, 1)
    return struct.pack("!II", int(seconds), int(fraction * (1 << 32)))


def reply(request: bytes, received: float, sent: float) -> bytes:
    """Return the answer of a server of stratum 2 to a client's request."""
    version = request[0] & 0b00111000
    head = struct.pack("!BBbbIII", version | 4, 2, max(request[2], 0), -20, 0, 1 << 4, 0x4C414230)
    return head + stamp(received) + request[40:48] + stamp(received) + stamp(sent)


class TimeServer:
    """Answers on one port in a thread of its own until it is closed. ``skew`` (seconds) is added to every answer."""

    def __init__(self, path: Path) -> None:
        self.skew = 0.0
        self._link: socket.socket = connect(path, timeout=10)
        self._link.settimeout(None)
        threading.Thread(target=self._serve, name="time-server", daemon=True).start()

    def _serve(self) -> None:
        while request := self._read():
            received = time.time() + self.skew
            try:
                self._link.sendall(reply(request, received, time.time() + self.skew))
            except OSError:
                return

    def _read(self) -> bytes:
        data = b""
        while len(data) < PACKET:
            try:
                part = self._link.recv(PACKET - len(data))
            except OSError:
                return b""
            if not part:
                return b""
            data += part
        return data

    def close(self) -> None:
        """Stop answering."""
        self._link.close()
