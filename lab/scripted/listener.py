"""A unix socket that serves each client in a thread of its own: what a guest's screen and serial port stand on."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Callable
from pathlib import Path


class Listener:
    """Listens from the start until it is closed; ``serve`` gets each connection and closes it."""

    def __init__(self, path: Path, serve: Callable[[socket.socket], None]) -> None:
        self.path, self._serve = path, serve
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.bind(str(path))
        self._socket.listen(4)
        threading.Thread(target=self._accept, name=f"listener {path.name}", daemon=True).start()

    def close(self) -> None:
        """Take the socket away; the listening thread ends."""
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()
        self.path.unlink(missing_ok=True)

    def _accept(self) -> None:
        while True:
            try:
                client, _address = self._socket.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(client,), daemon=True).start()
