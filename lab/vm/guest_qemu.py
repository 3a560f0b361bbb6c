"""A guest's QEMU command line, from its configuration as Proxmox VE keeps it."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from lab.hypervisor import HypervisorError
from lab.vm.hostpackages import program
from lab.vm.node_qemu import cpu_of
from lab.vm.recipes import LEAD

NIC_MODELS = {"virtio": "virtio-net-pci", "e1000": "e1000", "rtl8139": "rtl8139", "vmxnet3": "vmxnet3"}
VGA = {"std": "std", "cirrus": "cirrus", "virtio": "virtio", "qxl": "std", "none": "none"}


@dataclass(frozen=True)
class DiskFile:
    """A guest disk: the file that holds it behind ``LEAD`` bytes, and its size in bytes."""

    path: Path
    size: int


@dataclass(frozen=True)
class Nic:
    """A network card: model and address, the bridge it is on, and whether its link is down."""

    key: str
    model: str
    mac: str
    bridge: str
    link_down: bool = False

    @property
    def number(self) -> int:
        """The N of netN."""
        return int(self.key.removeprefix("net"))


@dataclass(frozen=True)
class GuestMachine:
    """All that a guest's command line is made of. ``cards`` maps netN to the socket of the node's card."""

    vmid: int
    config: Mapping[str, str]
    disks: Mapping[str, DiskFile]
    cards: Mapping[str, Path]
    sockets: Path
    accelerator: str
    state: Path | None = None
    paused: bool = False
    extra: list[str] = field(default_factory=list)

    def socket(self, what: str) -> Path:
        """Return the path of one of the guest's sockets ("qmp", "qga", "vnc", "serial0")."""
        return self.sockets / f"{self.vmid}.{what}"


def properties(text: str, first: str = "") -> dict[str, str]:
    """Read a property string; a first part without a key is filed under ``first``."""
    found = {}
    for position, part in enumerate(filter(None, text.split(","))):
        key, equals, value = part.partition("=")
        if equals:
            found[key] = value
        elif position == 0:
            found[first] = part
    return found


def nics(config: Mapping[str, str]) -> list[Nic]:
    """Return the network cards of a configuration, by number."""
    found = []
    for key, text in config.items():
        if not (key.startswith("net") and key[3:].isdigit()):
            continue
        facts = properties(str(text))
        model = next((name for name in facts if name in NIC_MODELS), "virtio")
        mac = facts.get(model, facts.get("macaddr", ""))
        found.append(Nic(key, model, mac, facts.get("bridge", ""), facts.get("link_down") == "1"))
    return sorted(found, key=lambda nic: nic.number)


def boot_order(config: Mapping[str, str], disks: Mapping[str, DiskFile]) -> list[str]:
    """Return the devices to boot from, in order; a configuration without an order boots from its first disk."""
    order = properties(str(config.get("boot", "")), "order").get("order", "")
    return order.split(";") if order else sorted(disks)[:1]


def command_line(machine: GuestMachine) -> list[str]:
    """Return the argument list of a guest's QEMU; HypervisorError for what the lab cannot emulate."""
    config = machine.config
    if config.get("bios") == "ovmf":
        raise HypervisorError("this lab has no UEFI firmware: guests boot by SeaBIOS (bios: seabios) only")
    line = [
        program("qemu-system-x86_64"),
        "-name",
        f"lab-{machine.vmid}",
        "-machine",
        "pc",
        *cpu_of(machine.accelerator, node=False),
        "-smp",
        str(config.get("cores", 1)),
        "-m",
        properties(str(config.get("memory", 512)), "current").get("current", "512"),
        "-display",
        "none",
        "-nodefaults",
        "-no-user-config",
        "-rtc",
        "base=utc,clock=host",
        "-qmp",
        f"unix:{machine.socket('qmp')},server=on,wait=off",
        "-vga",
        _vga(config),
        "-vnc",
        f"unix:{machine.socket('vnc')},password=on",
        "-device",
        "virtio-serial-pci",
        "-chardev",
        f"socket,id=qga,path={machine.socket('qga')},server=on,wait=off",
        "-device",
        "virtserialport,chardev=qga,name=org.qemu.guest_agent.0",
    ]
    line += _identity(config) + _serials(machine) + _disks(machine) + _cards(machine)
    if machine.paused or machine.state:
        line += ["-S"]
    if machine.state:
        line += ["-incoming", f"exec:cat {shlex.quote(str(machine.state))}"]
    return line + machine.extra


def _vga(config: Mapping[str, str]) -> str:
    kind = properties(str(config.get("vga", "std")), "type").get("type", "std")
    return VGA.get(kind, "std")


def _identity(config: Mapping[str, str]) -> list[str]:
    uuid = properties(str(config.get("smbios1", ""))).get("uuid")
    return ["-smbios", f"type=1,uuid={uuid}", "-uuid", uuid] if uuid else []


def _serials(machine: GuestMachine) -> list[str]:
    line = []
    for number in range(4):
        key = f"serial{number}"
        if key in machine.config:
            log = machine.sockets / f"{machine.vmid}.console.log"
            backend = f"socket,id={key},path={machine.socket(key)},server=on,wait=off,logfile={log}"
            line += ["-chardev", backend, "-device", f"isa-serial,chardev={key},index={number}"]
    return line


def _disks(machine: GuestMachine) -> list[str]:
    order = boot_order(machine.config, machine.disks)
    line: list[str] = []
    buses: set[str] = set()
    for key, disk in machine.disks.items():
        stem = key.rstrip("0123456789")
        if stem not in {"virtio", "scsi", "sata", "ide"}:
            continue
        bus = _controller(machine.config, stem)
        if bus and stem not in buses:
            line += bus
            buses.add(stem)
        node = f"driver=raw,node-name={key},offset={LEAD},size={disk.size},discard=unmap,cache.no-flush=on"
        line += ["-blockdev", f"{node},file.driver=file,file.locking=off,file.filename={disk.path}"]
        boot = f",bootindex={order.index(key) + 1}" if key in order else ""
        line += ["-device", _device(stem, key) + boot]
    return line


def _controller(config: Mapping[str, str], stem: str) -> list[str]:
    if stem == "scsi":
        kind = "virtio-scsi-pci" if str(config.get("scsihw", "lsi")).startswith("virtio-scsi") else "lsi53c895a"
        return ["-device", f"{kind},id=scsihw"]
    return ["-device", "ahci,id=ahci"] if stem == "sata" else []


def _device(stem: str, key: str) -> str:
    number = int(key.removeprefix(stem))
    if stem == "virtio":
        return f"virtio-blk-pci,drive={key},id={key},share-rw=on"
    if stem == "scsi":
        return f"scsi-hd,bus=scsihw.0,scsi-id={number},drive={key},id={key},share-rw=on"
    bus = f"ahci.{number}" if stem == "sata" else f"ide.{number // 2},unit={number % 2}"
    return f"ide-hd,bus={bus},drive={key},id={key},share-rw=on"


def _cards(machine: GuestMachine) -> list[str]:
    line = []
    for nic in nics(machine.config):
        backend = f"stream,id={nic.key},server=off,addr.type=unix,addr.path={machine.cards[nic.key]}"
        device = f"{NIC_MODELS[nic.model]},netdev={nic.key},id={nic.key},mac={nic.mac},romfile="
        line += ["-netdev", backend, "-device", device]
    return line
