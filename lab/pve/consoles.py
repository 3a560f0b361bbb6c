"""The console proxies that wait for a client or serve one, by port."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field

from lab.pve.call import die

PORTS = range(5900, 6000)


@dataclass
class Session:
    """One waiting or connected proxy. ``serial`` is None for the screen, else the number of the serial port."""

    port: int
    vmid: int
    user: str
    serial: int | None
    password: str
    connected: threading.Event = field(default_factory=threading.Event)
    closed: threading.Event = field(default_factory=threading.Event)


class Consoles:
    """The proxies of a site by port."""

    def __init__(self) -> None:
        self._sessions: dict[int, Session] = {}
        self._lock = threading.Lock()

    def open(self, vmid: int, user: str, serial: int | None, password: str) -> Session:
        """Take the next free port."""
        with self._lock:
            port = next((port for port in PORTS if port not in self._sessions), None)
            if port is None:
                die("unable to find free port (5900-5999)")
            session = self._sessions[port] = Session(port, vmid, user, serial, password)
            return session

    def find(self, port: int) -> Session | None:
        """The proxy that listens on a port."""
        with self._lock:
            return self._sessions.get(port)

    def drop(self, session: Session) -> None:
        """Free the port."""
        with self._lock:
            self._sessions.pop(session.port, None)
