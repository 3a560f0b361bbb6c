"""A scripted guest that runs: its cards on the node's bridges, its units, its files, its programs."""

from __future__ import annotations

import json
import secrets
import time
import uuid
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from lab.hypervisor import CommandResult
from lab.scripted import services
from lab.scripted.host import ScriptedHost
from lab.scripted.image import GuestImage
from lab.scripted.network import link_local
from lab.scripted.shell import Context, Program, fail, not_scripted, ok
from lab.scripted.units import Unit

UNIT_OF_PORT = {
    "22": "ssh.service",
    "53": "dnsmasq.service",
    "8080": "docker.service",
    "9100": "prometheus-node-exporter.service",
}


@dataclass
class Card:
    """A network card of a running guest. ``port`` tells the bridge of the node its tap is on now."""

    guest: ScriptedGuest
    index: int
    port: Callable[[], str]
    mac: str
    linked: bool

    @property
    def bridge(self) -> str:
        """The bridge it is on, "" for none."""
        return self.port()

    @property
    def up(self) -> bool:
        """Whether the guest answers through this card."""
        return self.linked and self.guest.is_up and bool(self.bridge)

    def addresses(self) -> list[str]:
        """Return the addresses of this card, its link-local one included."""
        return [*(own.split("/")[0] for own in self.guest.addresses(self.index)), link_local(self.mac)]


class ScriptedGuest:
    """A guest made of an image; ``is_up`` from ``boot_seconds`` after it was started.

    ``agent_dead`` and ``password_refused`` are faults; a service is stopped through ``host.services``.
    """

    def __init__(self, image: GuestImage, *, boot_seconds: float = 0.0, clock: Callable[[], float] = time.time) -> None:
        self.image = image
        self.cards: list[Card] = []
        self.agent_dead = self.password_refused = False
        self.frozen = self.switched_off = False
        self._ready = time.monotonic() + boot_seconds
        units = {name: Unit(active=state) for name, state in image.services.items()}
        self.host = ScriptedHost(
            image.hostname,
            services=units,
            clock=clock,
            booted=clock(),
            boot_id=str(uuid.uuid4()),
            accounts={"root": 0, **{name: account.uid for name, account in image.accounts.items()}},
            programs=dict(PROGRAMS),
        )
        files = {"/etc/ssh/ssh_host_ed25519_key.pub": f"{image.public_key()}\n"} if image.host_key else {}
        for path, text in {**files, **image.files}.items():
            self.host.files.makedirs(path.rpartition("/")[0] or "/")
            self.host.files.write(path, text.encode())
        for command, (rc, out, err) in image.commands.items():
            self.host.extra[command] = CommandResult(int(rc), str(out), str(err))
        self.host.programs |= {"docker": self._docker, "ss": self._ss}
        self.host.files.dynamic |= {
            "/proc/net/tcp": lambda: _sockets(self.listening(), "0A"),
            "/proc/net/udp": lambda: _sockets([port for port, kind in self.listening().items() if kind == "dns"], "07"),
        }

    @property
    def is_up(self) -> bool:
        """Whether it has booted."""
        return not self.switched_off and time.monotonic() >= self._ready

    def plug(self, port: Callable[[], str], mac: str, *, linked: bool) -> Card:
        """Give the guest its next card."""
        card = Card(self, len(self.cards), port, mac, linked)
        self.cards.append(card)
        link = self.host.network.add("", f"eth{card.index}", "ether", mac.lower())
        link.up, link.addresses = True, self.addresses(card.index)
        return card

    def addresses(self, index: int) -> list[str]:
        """Return the addresses of a card with their prefix lengths."""
        return list(self.image.addresses[index]) if index < len(self.image.addresses) else []

    def listening(self) -> dict[str, str]:
        """Return the TCP ports that are open now, with what serves them: a stopped unit closes its port."""
        return {
            port: kind
            for port, kind in self.image.ports.items()
            if self.host.services.get(UNIT_OF_PORT.get(port, ""), Unit()).active == "active"
        }

    def answer(self, port: str, request: bytes) -> bytes:
        """Answer on a TCP port; empty as long as the request is not whole."""
        return services.answer(self.listening().get(port, ""), self.image.records, request)

    def may_log_in(self, name: str, *, key: str = "", password: str = "") -> bool:
        """Tell whether SSH or the console lets an account in with a public key ("ssh-ed25519 …") or a password."""
        account = self.image.accounts.get(name)
        if account is None:
            return False
        if key:
            return any(key.split()[:2] == own.split()[:2] for own in account.keys)
        return not self.password_refused and account.accepts_password(password)

    def _docker(self, _context: Context, arguments: list[str]) -> CommandResult:
        if "docker.service" not in self.host.services:
            return fail(127, "sh: 1: docker: not found")
        if self.host.services["docker.service"].active != "active":
            return fail(
                1, "Cannot connect to the Docker daemon at unix:///var/run/docker.sock. Is the docker daemon running?"
            )
        if arguments[:1] == ["inspect"] and len(arguments) in {2, 4}:
            return self._inspect(arguments[-1], arguments[1:-1])
        if arguments[:1] == ["ps"] and arguments[-2:] == ["--format", "{{.Names}}"]:
            shown = [
                name
                for name, status in self.image.containers.items()
                if status == "running" or {"-a", "--all"} & {*arguments}
            ]
            return ok("".join(f"{name}\n" for name in shown))
        raise not_scripted(["docker", *arguments])

    def _inspect(self, name: str, form: list[str]) -> CommandResult:
        if name not in self.image.containers:
            return CommandResult(1, "[]\n", f"Error: No such object: {name}\n")
        status = self.image.containers[name]
        state = {"Status": status, "Running": status == "running", "Paused": False, "Restarting": False, "ExitCode": 0}
        if form:
            shown = {"{{.State.Status}}": status, "{{.State.Running}}": str(status == "running").lower()}.get(form[-1])
            if shown is None or form[0] not in {"--format", "-f"}:
                raise not_scripted(["docker", "inspect", *form, name])
            return ok(f"{shown}\n")
        return ok(json.dumps([{"Id": secrets.token_hex(32), "Name": f"/{name}", "State": state}]) + "\n")

    def _ss(self, _context: Context, arguments: list[str]) -> CommandResult:
        flags = {*arguments}
        if not flags <= {"--numeric", "--listening", "--all", "--tcp", "--udp", "-l", "-n", "-t", "-ltn", "-tln", "-H"}:
            raise not_scripted(["ss", *arguments])
        head = "" if "-H" in flags else "State Recv-Q Send-Q Local Address:Port Peer Address:Port\n"
        if "--udp" in flags:
            udp = [port for port, kind in self.listening().items() if kind == "dns"]
            return ok(head + "".join(f"UNCONN 0 0 0.0.0.0:{port} 0.0.0.0:*\n" for port in udp))
        return ok(
            head
            + "".join(
                f"LISTEN 0 128 {own}:{port} {own}:*\n" for port in self.listening() for own in ("0.0.0.0", "[::]")
            )
        )


def _sockets(ports: Iterable[str], state: str) -> bytes:
    """Render /proc/net/tcp or udp: sockets of any address that wait for anybody (upstream: proc_pid_net(5))."""
    head = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n"
    row = "{:4}: 00000000:{:04X} 00000000:0000 {} 00000000:00000000 00:00000000 00000000     0        0 {} 1\n"
    return (head + "".join(row.format(at, int(port), state, 4000 + at) for at, port in enumerate(ports))).encode()


def _getent(context: Context, arguments: list[str]) -> CommandResult:
    """``getent passwd NAME``."""
    if arguments[:1] != ["passwd"] or len(arguments) != 2:
        raise not_scripted(["getent", *arguments])
    name = arguments[1]
    if name not in context.host.accounts:
        return fail(2)
    uid = context.host.accounts[name]
    return ok(f"{name}:x:{uid}:{uid}::{'/root' if name == 'root' else f'/home/{name}'}:/bin/bash\n")


PROGRAMS: Mapping[str, Program] = {"getent": _getent}
