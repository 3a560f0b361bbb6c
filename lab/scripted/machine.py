"""A guest that is switched on: its taps on the node, its screen and serial port, and what its monitor says."""

from __future__ import annotations

import errno
import os
import time
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path

from lab.hypervisor import HypervisorError, drive_keys
from lab.scripted.agent import Agent
from lab.scripted.console import SerialConsole
from lab.scripted.guest import Card, ScriptedGuest
from lab.scripted.network import Network
from lab.scripted.rfb import HEIGHT, WIDTH, Screen, frame
from lab.scripted.shell import Context

NO_SYSTEM = [
    "SeaBIOS (version rel-1.16.2)",
    "",
    "Booting from Hard Disk...",
    "Boot failed: not a bootable disk",
    "",
    "No bootable device.",
]
NODE_PORTS = {22, 8006}
"""TCP ports that the node itself has open."""
OPTIONS = {
    "bridge",
    "tag",
    "firewall",
    "link_down",
    "mtu",
    "queues",
    "rate",
    "trunks",
    "name",
    "ip",
    "ip6",
    "gw",
    "gw6",
    "hwaddr",
    "type",
}


class Machine:
    """One guest from power-on to power-off. ``guest`` is None while it does not run a system."""

    def __init__(
        self,
        vmid: int,
        config: Mapping[str, str],
        volids: Mapping[str, str],
        network: Network,
        boot: Callable[[], ScriptedGuest | None],
        *,
        paused: bool,
        pid: int,
    ) -> None:
        self.vmid, self.config, self.volids, self.pid = vmid, config, volids, pid
        self.started = time.monotonic()
        self.guest: ScriptedGuest | None = None
        self.agent: Agent | None = None
        self.state = "paused (prelaunch)" if paused else "running"
        self._boot, self._network = boot, network
        prefix = "veth" if "rootfs" in volids else "tap"
        self._screen: Screen | None = None
        self._serials: dict[int, SerialConsole] = {}
        self._taps = [f"{prefix}{vmid}i{key[3:]}" for key in self._cards()]
        with network.lock:
            self._add_taps(prefix)
        if not paused:
            self.boot()

    def _add_taps(self, prefix: str) -> None:
        for tap, options in zip(self._taps, self._cards().values(), strict=True):
            link = self._network.add("", tap, "tap" if prefix == "tap" else "veth")
            link.up, link.master = True, options.get("bridge", "")

    def _cards(self) -> dict[str, dict[str, str]]:
        return {
            key: card_options(value)
            for key, value in sorted(self.config.items())
            if key.startswith("net") and key[3:].isdigit()
        }

    def boot(self) -> None:
        """Start the system on the disk, if there is one."""
        self._leave()
        self.state = "running"
        self.guest = self._boot()
        if self.guest is None:
            return
        self.agent = Agent(self.guest)
        self.guest.host.dial = self._dial
        for tap, options in zip(self._taps, self._cards().values(), strict=True):
            card = self.guest.plug(partial(self._bridge, tap), options["mac"], linked=options.get("link_down") != "1")
            self._network.endpoints.append(card)

    def _bridge(self, tap: str) -> str:
        """Return the bridge that a tap is on now."""
        link = self._network.links("").get(tap)
        return link.master if link and link.up else ""

    def _dial(self, _context: Context, address: str, port: int | None) -> None:
        """Speak to an address from inside the guest: only neighbours on its bridges are there."""
        cards = self.guest.cards if self.guest else []
        if any(address in card.addresses() for card in cards):
            return
        for card in cards:
            found = self._network.owner(card.bridge, address) if card.up else None
            if isinstance(found, Card) and (port is None or str(port) in found.guest.listening()):
                return
            if isinstance(found, str) and (port is None or (found == "" and port in NODE_PORTS)):
                return
            if found is not None:
                raise ConnectionRefusedError(errno.ECONNREFUSED, os.strerror(errno.ECONNREFUSED))
        raise OSError(errno.EHOSTUNREACH, os.strerror(errno.EHOSTUNREACH))

    def _leave(self) -> None:
        cards = self.guest.cards if self.guest else []
        if self.guest:
            self.guest.switched_off = True
        with self._network.lock:
            self._network.endpoints[:] = [known for known in self._network.endpoints if known not in cards]

    def power_off(self) -> None:
        """Take everything away that the guest had on the node and on this machine."""
        self._leave()
        with self._network.lock:
            for tap in self._taps:
                if tap in self._network.links(""):
                    self._network.delete("", tap)
        for console in [self._screen, *self._serials.values()]:
            if console:
                console.close()

    def lines(self) -> list[str]:
        """Return the text on the screen."""
        if self.guest is None or not self.guest.is_up:
            return NO_SYSTEM if self.guest is None else ["Booting from Hard Disk...", "GRUB loading."]
        release = self.guest.host.release
        return [
            f"{release.name} {release.version_id} {self.guest.host.hostname} tty1",
            "",
            f"{self.guest.host.hostname} login: _",
        ]

    def information(self, command: str) -> str:
        """Answer an ``info`` command of the monitor."""
        if command == "info status":
            return f"VM status: {self.state}\r\n"
        if command == "info blockstats":
            lines = (
                f"drive-{key}: rd_bytes=65536 wr_bytes=4096 rd_operations=16 wr_operations=1\r\n"
                for key in drive_keys(self.config)
            )
            return "".join(lines)
        return f"unknown command: '{command.split(' ', maxsplit=1)[0]}'\r\n"

    def screen(self, folder: Path) -> Screen:
        """Return the screen's socket."""
        if self._screen is None:
            self._screen = Screen(folder / f"vnc{self.vmid}.sock", self.lines)
        return self._screen

    def serial(self, folder: Path, index: int) -> SerialConsole:
        """Return a serial port's socket; HypervisorError when the configuration has no such port."""
        if self.config.get(f"serial{index}") != "socket":
            raise HypervisorError(f"VM {self.vmid} has no serial port {index}")
        if index not in self._serials:
            self._serials[index] = SerialConsole(folder / f"serial{self.vmid}-{index}.sock", lambda: self.guest)
        return self._serials[index]

    def picture(self) -> bytes:
        """Return the screen as a PPM file."""
        return f"P6\n{WIDTH} {HEIGHT}\n255\n".encode() + frame(self.lines())


def card_options(value: str) -> dict[str, str]:
    """Read a network card of a configuration; ``mac`` is its address whatever the model."""
    options: dict[str, str] = {}
    for part in value.split(","):
        key, _equals, text = part.partition("=")
        options[key if key in OPTIONS else "mac"] = text if key in OPTIONS else text or "02:00:00:00:00:00"
    if "hwaddr" in options:
        options["mac"] = options["hwaddr"]
    return options
