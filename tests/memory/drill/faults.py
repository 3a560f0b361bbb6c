"""What may go wrong in a drill, the row that it fails, and how every row is asked for."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import pytest

from backup_standard.drill.engine import STEPS, TEARDOWN, Drill
from backup_standard.drill.progress import Event
from backup_standard.errors import ConnectionFailed, NotRun
from lab.scripted.guest import ScriptedGuest
from tests.drillground import Ground

EVERY_STEP = (*STEPS, TEARDOWN)


RAISED: Mapping[type[Exception], str] = {NotRun: "not run", ConnectionFailed: "error"}
"""What the plugin makes of the exceptions that a row may raise."""


def outcomes(drill: Drill, raised: Mapping[type[Exception], str] = RAISED) -> dict[str, str]:
    """Ask for every row as the rules do; any other exception than those is raised."""
    found = {}
    for name in EVERY_STEP:
        try:
            found[name] = str(drill.step(name).outcome)
        except tuple(raised) as problem:
            found[name] = next(word for kind, word in raised.items() if isinstance(problem, kind))
    return found


Spoil = Callable[[Ground, pytest.MonkeyPatch], None]


def on_phase(ground: Ground, phase: str, do: Callable[[], object]) -> None:
    """Do something when the drill says that a phase begins."""

    class Acting(list[Event]):
        def append(self, event: Event) -> None:
            if event.phase == phase and not any(old.phase == phase for old in self):
                do()
            super().append(event)

    ground.events = Acting()


def corrupt_archive(ground: Ground, _patch: pytest.MonkeyPatch) -> None:
    files = ground.lab.hypervisor.node.files
    newest = max(name for name in (f.name for f in ground.lab.hypervisor.node.listdir("/mnt/backup/dump"))
                 if name.startswith("vzdump-qemu-210") and name.endswith(".zst"))  # fmt: skip
    path = f"/mnt/backup/dump/{newest}"
    data = ground.lab.hypervisor.node.read(path)
    files.write(path, data[:-20])


def take_the_vmid(ground: Ground, _patch: pytest.MonkeyPatch) -> None:
    upid = ground.lab.data("POST", "/nodes/pve1/qemu", "root", vmid=211, name="somebody-elses", memory=64)
    ground.lab.site.tasks.wait(upid)


def bridge_with_an_address(ground: Ground, _patch: pytest.MonkeyPatch) -> None:
    ground.lab.hypervisor.node.host.network.link("", "vmbr9").addresses.append("10.0.0.9/24")


def foreign_port_on_the_bridge(ground: Ground, _patch: pytest.MonkeyPatch) -> None:
    network = ground.lab.hypervisor.node.host.network
    network.add("", "eno7", "ether").master = "vmbr9"


def never_boots(ground: Ground, _patch: pytest.MonkeyPatch) -> None:
    ground.lab.hypervisor.faults.boot_seconds[211] = 3600.0
    ground.inventory = ground.changed(vmid=210, boot_timeout="1s")


def stops_while_booting(ground: Ground, _patch: pytest.MonkeyPatch) -> None:
    ground.lab.hypervisor.faults.boot_seconds[211] = 3600.0
    on_phase(ground, "agent", lambda: ground.lab.data("POST", "/nodes/pve1/qemu/211/status/stop", "root"))


def nobody_gets_in(ground: Ground, patch: pytest.MonkeyPatch) -> None:
    patch.setattr(ScriptedGuest, "may_log_in", lambda *_args, **_kwargs: False)


def anybody_gets_in(ground: Ground, patch: pytest.MonkeyPatch) -> None:
    patch.setattr(ScriptedGuest, "may_log_in", lambda *_args, **_kwargs: True)


def another_interface(ground: Ground, _patch: pytest.MonkeyPatch) -> None:
    ground.inventory = ground.changed(vmid=210, interface="ens18")


def production_is_reachable(ground: Ground, _patch: pytest.MonkeyPatch) -> None:
    def open_up() -> None:
        ground.lab.hypervisor.guest(211).host.dial = lambda _context, _address, _port: None

    on_phase(ground, "network", open_up)


def a_service_is_down(ground: Ground, _patch: pytest.MonkeyPatch) -> None:
    ground.lab.hypervisor.faults.stopped_services[211] = {"dnsmasq.service"}


def missing_canary(ground: Ground, _patch: pytest.MonkeyPatch) -> None:
    ground.inventory = ground.changed(vmid=210, data=[{"file": "/srv/orders.csv", "contains": "order"}])


def slower_than_the_rto(ground: Ground, _patch: pytest.MonkeyPatch) -> None:
    data = ground.inventory.model_dump(by_alias=True)
    data["guests"][210]["rto"] = "0.01s"
    ground.inventory = type(ground.inventory).model_validate(data)


FAULTS: list[tuple[Spoil, str, str]] = [
    (corrupt_archive, "restore", "ended with"),
    (take_the_vmid, "restore", "VMID 211 is taken"),
    (bridge_with_an_address, "boot", "vmbr9 has the address 10.0.0.9/24"),
    (foreign_port_on_the_bridge, "boot", "eno7, which is no temporary guest's"),
    (never_boots, "boot", "not within 1 s"),
    (stops_while_booting, "boot", "the guest is stopped"),
    (nobody_gets_in, "login", "the login as drill was refused"),
    (anybody_gets_in, "login", "anybody can log in"),
    (another_interface, "network", "is on eth0, not on ens18"),
    (production_is_reachable, "network", "production answers the restored guest: node 10.0.0.1 port 8006"),
    (a_service_is_down, "services", "unit dnsmasq is inactive"),
    (slower_than_the_rto, "services", "the RTO is"),
    (missing_canary, "data", "/srv/orders.csv cannot be read"),
]
