"""Everything that a drill asks of the lab, seen on its way: API requests and commands on the node.

A test sets one trap on the wire; when the request it waits for comes by, the trap decides what becomes of it.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import paramiko

from lab.hypervisor import CommandResult
from lab.pve import server
from lab.pve.dispatch import Answer, Request
from lab.pve.site import Site
from lab.scripted_ssh import _finish
from tests.labsite import LabSite

DRILL_TOKEN = "drill@pve!suite"
LOOKS = re.compile(
    r"GET |audit: |ip -o |ip -j |ip netns list|bridge |cat |stat |pvesm list |findmnt|ip netns exec \S+ socat"
)
"""What changes nothing on the site: reads of the API, and the node commands that look."""


@dataclass(frozen=True)
class Ask:
    """One request: ``POST /nodes/pve1/qemu (restore)`` or ``ip netns add drill211``; a UPID is cut to type and id."""

    text: str
    on_node: bool = False

    @property
    def writes(self) -> bool:
        """Whether it may change the site."""
        return not LOOKS.match(self.text)


@dataclass
class Trap:
    """Waits for the first request of this text; ``strike`` gets it and what carries it out."""

    text: str
    strike: Callable[[Ask, Callable[[], Any]], Any]
    sprung: threading.Event = field(default_factory=threading.Event)

    def catches(self, ask: Ask) -> bool:
        """Whether this is the one."""
        return not self.sprung.is_set() and ask.text == self.text


class Cut(ConnectionResetError):
    """The connection ends here, without an answer."""


class Failed(Exception):
    """The command on the node ends with status 1 and has done nothing."""


class Wire:
    """Listens on a site's API and on its node's SSH. ``api_down`` and ``node_down`` cut every request."""

    def __init__(self, lab: LabSite) -> None:
        self.asked: list[Ask] = []
        self.trap: Trap | None = None
        self.api_down = self.node_down = False
        self.before_each: Callable[[], None] = lambda: None
        self._lock, self._lab = threading.Lock(), lab
        lab.server.answer = self._answer
        self._run = lab.ssh._run
        lab.ssh._run = self._command  # type: ignore[method-assign]

    def reset(self) -> None:
        """Forget what was heard, and let everything pass."""
        self.asked, self.trap = [], None
        self.api_down = self.node_down = False
        self.before_each = lambda: None

    def cut_node(self) -> None:
        """Break every SSH connection to the node."""
        for transport in list(self._lab.ssh._transports):
            transport.close()

    def _answer(self, site: Site, request: Request) -> Answer:
        ask = Ask(_text(request))
        answer: Answer = self._pass(ask, self.api_down, lambda: server.answer(site, request))
        return answer

    def _command(self, channel: paramiko.Channel, account: str, line: str) -> None:
        try:
            self._pass(Ask(line, on_node=True), self.node_down, lambda: self._run(channel, account, line))
        except Failed:
            _finish(channel, CommandResult(1, "", "the lab let this command fail"))
        except Cut:
            transport = channel.get_transport()
            if transport:
                transport.close()

    def _pass(self, ask: Ask, down: bool, carry_out: Callable[[], Any]) -> Any:  # noqa: FBT001
        with self._lock:
            self.asked.append(ask)
            trap = self.trap if self.trap and self.trap.catches(ask) else None
            if trap:
                trap.sprung.set()
            self.before_each()
        if trap:
            return trap.strike(ask, carry_out)
        if down:
            raise Cut
        return carry_out()


def _text(request: Request) -> str:
    restores = {"archive", "ostemplate"} & set(request.params)
    protecting = {"1": " (protect)", "0": " (unprotect)"}.get(str(request.params.get("protected", "")), "")
    command = " ".join(request.params.get("command", ()) if request.path.endswith("/agent/exec") else ())
    reader = "" if DRILL_TOKEN in request.authorization else "audit: "
    return (
        f"{reader}{request.method} {_plain(request.path)}{' (restore)' if restores else protecting} {command}".rstrip()
    )


def _plain(path: str) -> str:
    path = re.sub(r"UPID:[^/]*?:(qm\w+|vz\w+|vnc\w+):(\d*):[^/]*", r"UPID:\1:\2", path.replace("%3A", ":"))
    return path.replace("%2F", "/")
