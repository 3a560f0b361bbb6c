"""A picture of a temporary guest's console, by the VNC websocket that its token may open.

Upstream (PVE/API2/Qemu.pm vncproxy, vncwebsocket): the proxy waits about 10 s for the websocket; the VNC password is
``password`` of the answer, or the ticket on versions that do not give one; VNC uses its first 8 characters.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol
from urllib.parse import urlencode

from backup_standard import waiting
from backup_standard.drill import png, rfb
from backup_standard.drill.blur import blurred
from backup_standard.drill.ports import Writer
from backup_standard.errors import OperatorError

PATIENCE = 20.0
"""Seconds that a blank console is given to show something."""


class Websocket(Protocol):
    """What is used of an open websocket."""

    def recv(self) -> bytes | str:
        """The next message."""
        ...

    def send_binary(self, payload: bytes) -> object:
        """Send one message."""
        ...

    def close(self) -> object:
        """End the connection."""
        ...


Open = Callable[[str], Websocket]
"""Opens a websocket of the API, given its path and query."""


@dataclass(frozen=True)
class Screen:
    """A PNG, or the honest reason why there is none."""

    png: bytes | None
    reason: str = ""


BLURRED = "blurred, as the inventory says (drill.screen: blurred)"
LEFT_OUT = "left out, as the inventory says (drill.screen: no)"
NOT_RUNNING = "the guest does not run, so its console shows nothing"
NO_SCREEN = "a container has no screen"


def capture(
    api: Writer, open_websocket: Open, node: str, vmid: int, *, blur: bool = False, patience: float = PATIENCE
) -> Screen:
    """Take a picture of the console; never raises for what a site may forbid or lack.

    With ``blur`` the clear picture is given up at once: what is returned shows that there is something, not what.
    """
    last: list[rfb.Picture] = []

    def look() -> bool:
        last[:] = [_picture(api, open_websocket, node, vmid)]
        return not png.is_blank(last[0].rgb)

    try:
        if api.get(f"/nodes/{node}/qemu/{vmid}/status/current").get("status") != "running":
            return Screen(None, NOT_RUNNING)
        waiting.until(look, timeout=patience, what="something on the console")
    except waiting.NotReady:
        pass
    except (OperatorError, rfb.RfbError, OSError, ValueError) as problem:
        return Screen(None, str(problem).splitlines()[0])
    except Exception as problem:
        if type(problem).__module__.split(".")[0] != "websocket":
            raise
        return Screen(None, f"the console's websocket failed: {problem}")
    picture = last[0]
    told = "the console shows nothing" if png.is_blank(picture.rgb) else ""
    if blur:
        picture, told = blurred(picture), told or BLURRED
    return Screen(png.encode(picture.width, picture.height, picture.rgb), told)


def _picture(api: Writer, open_websocket: Open, node: str, vmid: int) -> rfb.Picture:
    path = f"/nodes/{node}/qemu/{vmid}"
    answer = api.write("POST", f"{path}/vncproxy", {"websocket": 1})
    query = urlencode({"port": answer["port"], "vncticket": answer["ticket"]})
    socket = open_websocket(f"{path}/vncwebsocket?{query}")
    try:
        stream = rfb.Stream(lambda: _bytes(socket.recv()), socket.send_binary)
        return rfb.take_picture(stream, str(answer.get("password") or answer["ticket"]))
    finally:
        socket.close()


def _bytes(message: bytes | str) -> bytes:
    return message.encode("latin-1") if isinstance(message, str) else message
