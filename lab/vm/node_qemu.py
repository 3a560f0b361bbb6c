"""The node's QEMU: its command line, and the parts of it that must be the same when a saved state is restored."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from lab.settings import BACKUP_SERIAL, LOOPBACK
from lab.vm.hostpackages import program
from lab.vm.recipes import LEAN_KERNEL

CARDS = 14
"""Network cards for guests; each is one guest NIC's other end."""
LANES = 6
"""Courier ports: how many commands and transfers can go on at once."""
MEMORY_MIB = 768
CARD_MAC = "52:54:00:00:01"


@dataclass(frozen=True)
class NodeFiles:
    """Files of a node's machine: overlays over read-only images, the folder of sockets, the physical volumes."""

    kernel: Path
    initrd: Path
    system: Path
    backup: Path
    volumes: tuple[Path, ...]
    sockets: Path


def cpu_of(accelerator: str, *, node: bool) -> list[str]:
    """Return the processor options of an accelerator; emulation leaves out what only costs time."""
    if accelerator == "kvm":
        return ["-accel", "kvm", "-cpu", "host"]
    cache = 256 if node else 128
    return ["-accel", f"tcg,thread=multi,tb-size={cache}", "-cpu", "qemu64,-svm,+ssse3,+sse4.1,+sse4.2,+popcnt"]


def card_socket(sockets: Path, card: int) -> Path:
    """Return the socket behind the node's network card ``card`` (1 …)."""
    return sockets / f"card{card}.sock"


def lane_socket(sockets: Path, lane: int) -> Path:
    """Return the socket of a courier port."""
    return sockets / f"lane{lane}.sock"


def _overlay(path: Path, name: str) -> list[str]:
    file = f"driver=qcow2,node-name={name},discard=unmap,file.driver=file,file.discard=unmap,cache.no-flush=on"
    return ["-blockdev", f"{file},file.filename={path}"]


def _pv(path: Path, number: int) -> list[str]:
    block = f"driver=raw,node-name=pv{number:02d},discard=unmap,cache.no-flush=on,file.driver=file,file.locking=off"
    device = (
        f"scsi-hd,bus=pvs.0,drive=pv{number:02d},serial=PV{number:02d},share-rw=on,channel=0,scsi-id={number},lun=0"
    )
    return ["-blockdev", f"{block},file.filename={path}", "-device", device]


def _card(sockets: Path, card: int) -> list[str]:
    backend = f"stream,id=card{card},server=on,addr.type=unix,addr.path={card_socket(sockets, card)}"
    address = 0x10 + card - 1
    return [
        "-netdev",
        backend,
        "-device",
        f"virtio-net-pci,netdev=card{card},mac={CARD_MAC}:{card:02x},romfile=,addr=0x{address:x}",
    ]


def _lane(sockets: Path, number: int, name: str) -> list[str]:
    backend = f"socket,id={name},path={lane_socket(sockets, number)},server=on,wait=off"
    return ["-chardev", backend, "-device", f"virtserialport,chardev={name},name=lab.{name},nr={number + 1}"]


def command_line(files: NodeFiles, accelerator: str, ssh_port: int, state: Path | None = None) -> list[str]:
    """Return the argument list; ``state`` is a saved state to come up from instead of booting."""
    forward = f"user,id=out,restrict=on,ipv6=off,hostfwd=tcp:{LOOPBACK}:{ssh_port}-10.0.2.15:22"
    line = [
        program("qemu-system-x86_64"),
        "-name",
        "lab-node",
        "-machine",
        "pc",
        *cpu_of(accelerator, node=True),
        "-smp",
        "2",
        "-m",
        str(MEMORY_MIB),
        "-display",
        "none",
        "-nodefaults",
        "-vga",
        "none",
        "-rtc",
        "base=utc,clock=host",
        "-kernel",
        str(files.kernel),
        "-initrd",
        str(files.initrd),
        "-append",
        LEAN_KERNEL,
        "-serial",
        f"file:{files.sockets}/node-console.log",
        "-qmp",
        f"unix:{files.sockets}/node.qmp,server=on,wait=off",
        *_overlay(files.system, "system"),
        "-device",
        "virtio-blk-pci,drive=system,serial=SYSTEM,addr=0x3",
        *_overlay(files.backup, "backup"),
        "-device",
        f"virtio-blk-pci,drive=backup,id=backup,serial={BACKUP_SERIAL},addr=0x4",
        "-device",
        "virtio-scsi-pci,id=pvs,addr=0x5",
        "-device",
        "virtio-serial-pci,max_ports=16,addr=0x6",
        "-netdev",
        forward,
        "-device",
        "virtio-net-pci,netdev=out,romfile=,addr=0x7,mac=52:54:00:00:01:00",
    ]
    for number, path in enumerate(files.volumes):
        line += _pv(path, number)
    for lane in range(LANES):
        line += _lane(files.sockets, lane, f"c{lane}")
    line += _lane(files.sockets, LANES, "time")
    for card in range(1, CARDS + 1):
        line += _card(files.sockets, card)
    return line + (["-incoming", f"exec:cat {state}"] if state else [])
