"""Containers on the node: processes in namespaces of their own, on a root file system of their own volume.

What Proxmox VE does with LXC is derived from its documentation and schema here, not recorded from a real one.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping, Sequence

from lab.hypervisor import CommandResult, HypervisorError
from lab.vm.courier import Courier
from lab.vm.guest_qemu import properties
from lab.vm.volumes import Volumes

SCRIPT = "/usr/local/sbin/lab-container"


def cards_of(config: Mapping[str, str]) -> list[tuple[int, list[str]]]:
    """Return the network cards that are plugged in, by index: name, bridge, MAC, static address, gateway; "-" for none.

    Of the two families the lab's script sets IPv4; a card with ``link_down`` is left out.
    """
    found = []
    for key in sorted(
        (key for key in config if key.startswith("net") and key[3:].isdigit()), key=lambda key: int(key[3:])
    ):
        net = properties(str(config[key]))
        if net.get("link_down") == "1":
            continue
        address = net.get("ip", "")
        card = [
            net.get("name") or "eth0",
            net.get("bridge"),
            net.get("hwaddr"),
            address if "/" in address else "",
            net.get("gw"),
        ]
        found.append((int(key[3:]), [word or "-" for word in card]))
    return found


class Containers:
    """All containers that were started. Safe for several threads."""

    def __init__(self, courier: Courier, volumes: Volumes) -> None:
        self._courier, self._volumes = courier, volumes
        self._since: dict[int, float] = {}
        self._lock = threading.Lock()

    def start(self, vmid: int, config: Mapping[str, str], rootfs: str) -> None:
        """Start a container."""
        device = self._volumes.device(rootfs)
        settings = f"DEVICE={device}\nHOSTNAME={config.get('hostname', f'CT{vmid}')}\n"
        with self._courier.put(path=f"/run/lab-container-{vmid}") as sink:
            sink.write(settings.encode())
        self._check(["systemctl", "start", f"pve-container@{vmid}.service"])
        for index, card in cards_of(config):
            self._check([SCRIPT, "join", str(vmid), str(index), *card])
        with self._lock:
            self._since[vmid] = time.monotonic()

    def stop(self, vmid: int) -> None:
        """Stop a container."""
        with self._lock:
            self._since.pop(vmid, None)
        self._check(["systemctl", "stop", f"pve-container@{vmid}.service"])
        # it was killed, which is no failure of the node; a unit that is unloaded by now has none to forget
        self._courier.run(["systemctl", "reset-failed", f"pve-container@{vmid}.service"])

    def forget(self, vmid: int) -> None:
        """Remove the mount point and the settings of a stopped container, which stay between its starts."""
        folder = f"/var/lib/lxc/{vmid}"
        if self._courier.run(["test", "-d", folder]).rc == 0:
            self._check(["rmdir", f"{folder}/rootfs", folder])
        self._check(["rm", "-f", f"/run/lab-container-{vmid}"])

    def knows(self, vmid: int) -> bool:
        """Tell whether a container was started and not stopped."""
        return vmid in self._since

    def is_running(self, vmid: int) -> bool:
        """Ask the node whether a container that was started still runs."""
        if vmid not in self._since:
            return False
        return self._courier.run(["systemctl", "is-active", "-q", f"pve-container@{vmid}.service"]).rc == 0

    def uptime(self, vmid: int) -> int:
        """Return the seconds since a container was started."""
        return int(time.monotonic() - self._since[vmid])

    def pid(self, vmid: int) -> int:
        """Return the number of a container's main process on the node."""
        told = self._courier.run(["systemctl", "show", "-P", "MainPID", f"pve-container@{vmid}.service"]).stdout
        return int(told.strip() or 0)

    def adopt(self, vmids: Sequence[int]) -> None:
        """Take over containers that run in a restored node."""
        self._since = dict.fromkeys(vmids, time.monotonic())

    def execute(self, vmid: int, argv: Sequence[str]) -> CommandResult:
        """Run a command inside a container."""
        return self._courier.run([f"{SCRIPT}-exec", str(vmid), *argv])

    def interfaces(self, vmid: int) -> CommandResult:
        """List a container's network cards with the node's tools: the container's own may be of another kind."""
        return self._courier.run(["nsenter", "-t", str(self.pid(vmid)), "-n", "--", "ip", "-j", "addr"])

    def _check(self, argv: list[str]) -> None:
        done = self._courier.run(argv)
        if done.rc:
            raise HypervisorError(f"{argv[0].rsplit('/', 1)[-1]}: {done.stderr.strip() or f'exit {done.rc}'}")
