"""Screens and terminals of guests: proxies with short-lived tickets, and the sockets behind their websockets.

Upstream: PVE/API2/Qemu.pm vncproxy, vncwebsocket, termproxy; PVE/AccessControl.pm assemble_vnc_ticket (a ticket is good
for 40 seconds, for one user, one guest and one port); pve-xtermjs for the terminal's framing. Derived, not recorded.
"""

from __future__ import annotations

import re
import secrets
import string
from dataclasses import dataclass

from lab.pve.call import ApiError, Call, die
from lab.pve.config import guest_of
from lab.pve.consoles import Session
from lab.pve.site import GuestRecord
from lab.pve.tasks import TaskError, TaskLog

CONNECT = 10.0
"""Seconds a proxy waits for its one client."""
_PRINTABLE = string.ascii_letters + string.digits


@dataclass(frozen=True)
class Stream:
    """What a websocket is joined to: a unix socket of this machine. ``close`` ends the proxy's task."""

    session: Session
    socket: str

    @property
    def terminal(self) -> bool:
        """Whether the client speaks the terminal's framing rather than RFB."""
        return self.session.serial is not None

    def close(self) -> None:
        """Tell the proxy's task that the connection has ended."""
        self.session.closed.set()


def _serve(call: Call, kind: str, session: Session) -> str:
    consoles = call.site.consoles

    def worker(log: TaskLog) -> None:
        try:
            if not session.connected.wait(CONNECT):
                raise TaskError("connection timed out")
            while not session.closed.wait(0.2):
                log.check()
        finally:
            session.closed.set()
            consoles.drop(session)

    return call.site.tasks.start(call, kind, session.vmid, worker)


def _secret_data(session: Session) -> str:
    return f"/vms/{session.vmid}:{session.port}"


def vncproxy(call: Call) -> object:
    """POST …/vncproxy: port, ticket and, for the screen, the password that RFB asks for.

    Release 9 gives a password of eight characters that also leads the ticket; in 8.4 the ticket is the password (of
    which RFB uses the first eight characters), unless ``generate-password`` asks for one.
    """
    guest = guest_of(call)
    word = "".join(secrets.choice(_PRINTABLE) for _ in range(8))
    session = call.site.consoles.open(guest.vmid, call.user, None, word)
    ticket = call.site.access.ticket(call.user, "PVEVNC", _secret_data(session))
    modern = call.site.major >= 9
    if modern:
        ticket = f"{word}:{ticket}"
    elif not call.params.get("generate-password"):
        session.password = ticket[:8]
    answer = _proxy(call, session, "vncproxy", ticket)
    answer["cert"] = call.site.certificate
    if modern or call.params.get("generate-password"):
        answer["password"] = word
    return answer


def termproxy(call: Call) -> object:
    """POST …/termproxy: a serial console; tokens could not use it before release 9."""
    guest = guest_of(call)
    number = _serial_port(guest, call.params.get("serial"))
    session = call.site.consoles.open(guest.vmid, call.user, number, "")
    return _proxy(call, session, "vncproxy", call.site.access.ticket(call.user, "PVEVNC", _secret_data(session)))


def _serial_port(guest: GuestRecord, wanted: str | None) -> int:
    ports = sorted(
        int(key[6:]) for key, value in guest.config.items() if re.fullmatch(r"serial\d", key) and value == "socket"
    )
    chosen = int(wanted[6:]) if wanted else next(iter(ports), -1)
    if chosen not in ports:
        die("unable to find a serial interface")
    return chosen


def _proxy(call: Call, session: Session, kind: str, ticket: str) -> dict[str, object]:
    upid = _serve(call, kind, session)
    return {"user": call.user, "ticket": ticket, "port": session.port, "upid": upid}


def ticket_is_good(call: Call, session: Session, ticket: str) -> bool:
    """Whether a ticket opens this proxy for the caller; the password that may lead it counts too."""
    word, _, rest = ticket.partition(":")
    if word != "PVEVNC":
        if not secrets.compare_digest(word.encode(), session.password.encode()):
            return False
        ticket = rest
    return call.site.access.check_bound_ticket(ticket, "PVEVNC", call.user, _secret_data(session))


def _session(call: Call) -> Session:
    session = call.site.consoles.find(int(call.params["port"]))
    vmid, ticket = guest_of(call).vmid, str(call.params["vncticket"])
    if session is None or session.vmid != vmid or not ticket_is_good(call, session, ticket):
        raise ApiError(401, "permission denied - invalid PVEVNC ticket")
    return session


def open_stream(call: Call) -> Stream:
    """What GET …/vncwebsocket joins its websocket to; 401 for a ticket that is not good, 500 when nothing listens."""
    guest, session = guest_of(call), _session(call)
    if session.connected.is_set():
        die("connection to the console is in use")
    if not call.site.hypervisor.is_running(guest.vmid):
        session.closed.set()
        die(f"VM {guest.vmid} not running")
    hypervisor = call.site.hypervisor
    if session.serial is None:
        socket = hypervisor.vnc(guest.vmid, session.password)
    else:
        socket = hypervisor.serial(guest.vmid, session.serial)
    session.connected.set()
    return Stream(session, socket)


def vncwebsocket(call: Call) -> object:
    """GET …/vncwebsocket without an upgrade: the ticket is checked and the port returned."""
    return {"port": str(_session(call).port)}


class TerminalFrames:
    """Takes a terminal client's frames apart: ``0:LEN:DATA`` is input, ``1:COLUMNS:ROWS:`` a size, ``2`` a ping.

    The first line is "USER:TICKET"; it is answered with "OK" or the connection ends.
    """

    def __init__(self, call: Call, session: Session) -> None:
        self._call, self._session = call, session
        self._pending = b""
        self.authorized = False

    def feed(self, data: bytes) -> tuple[bytes, bytes]:
        """Bytes for the guest and bytes to answer with; PermissionError when the first line proves nothing."""
        self._pending += data
        answer = b""
        if not self.authorized:
            line, newline, rest = self._pending.partition(b"\n")
            if not newline:
                return b"", b""
            self._authorize(line.decode("utf-8", "replace"))
            self._pending, answer = rest, b"OK"
        return self._frames(), answer

    def _authorize(self, line: str) -> None:
        user, ticket = line.rsplit(":PVEVNC:", 1) if ":PVEVNC:" in line else ("", "")
        if user != self._session.user or not ticket_is_good(self._call, self._session, f"PVEVNC:{ticket}"):
            raise PermissionError("terminal: the first line is not the user and ticket of this console")
        self.authorized = True

    def _frames(self) -> bytes:
        out = b""
        while self._pending:
            if found := re.match(rb"0:(\d+):", self._pending):
                end = found.end() + int(found[1])
                if len(self._pending) < end:
                    break
                out += self._pending[found.end() : end]
            elif found := re.match(rb"1:\d+:\d+:|2", self._pending):
                end = found.end()
            else:
                break
            self._pending = self._pending[end:]
        return out
