"""Guest configuration files as text and as keys: parse, render, digest, property strings.

A file holds the description as comment lines, then ``key: value`` lines in alphabetical order, then sections for
pending changes and snapshots (upstream: PVE/QemuServer.pm parse_vm_config, write_vm_config). The digest of a guest is
the SHA-1 of its file's text.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import quote, unquote

Value = str | int
Config = dict[str, Value]

QEMU_NUMBERS = frozenset(
    [
        "acpi",
        "allow-ksm",
        "autostart",
        "balloon",
        "ciupgrade",
        "cores",
        "cpuunits",
        "freeze",
        "keephugepages",
        "kvm",
        "localtime",
        "migrate_speed",
        "numa",
        "onboot",
        "protection",
        "reboot",
        "shares",
        "smp",
        "sockets",
        "tablet",
        "tdf",
        "template",
        "vcpus",
        "snaptime",
    ]
)
"""Keys of virtual machines that the API gives as integers; everything else is text, ``memory`` and ``agent`` too."""

LXC_NUMBERS = frozenset(
    [
        "console",
        "cores",
        "cpuunits",
        "debug",
        "memory",
        "onboot",
        "protection",
        "swap",
        "template",
        "tty",
        "unprivileged",
        "snaptime",
    ]
)
"""Keys of containers that the API gives as integers."""

FLOATS = frozenset({"cpulimit", "migrate_downtime"})
"""Keys of both kinds that may have a fraction."""

_SAFE = "".join(chr(code) for code in range(0x20, 0x7F) if chr(code) not in ":%")


@dataclass
class GuestFile:
    """A parsed configuration file: the current keys, pending changes, and one set of keys for each snapshot."""

    config: Config = field(default_factory=dict)
    pending: Config = field(default_factory=dict)
    snapshots: dict[str, Config] = field(default_factory=dict)


def typed(key: str, value: Value, kind: str = "qemu") -> Value:
    """The value as it is kept: an integer for numeric keys, else text."""
    text = str(value)
    numbers = QEMU_NUMBERS if kind == "qemu" else LXC_NUMBERS
    return int(text) if key in numbers and re.fullmatch(r"-?\d+", text) else text


def shown(key: str, value: Value, kind: str = "qemu") -> Value | float:
    """The value as the API gives it: like :func:`typed`, and limits as numbers."""
    text = str(value)
    if key in FLOATS and re.fullmatch(r"\d+(\.\d+)?", text):
        return int(text) if text.isdigit() else float(text)
    return typed(key, value, kind)


def parse(text: str, kind: str = "qemu") -> GuestFile:
    """Read a configuration file; lines that say nothing are left out."""
    found = GuestFile()
    section = found.config
    comments: list[str] = []
    for line in text.splitlines():
        if head := re.fullmatch(r"\[([^\]]+)\]\s*", line):
            _describe(section, comments)
            comments = []
            name = head[1]
            section = found.pending if name.upper() == "PENDING" else found.snapshots.setdefault(name, {})
        elif line.startswith("#"):
            comments.append(unquote(line[1:]))
        elif pair := re.fullmatch(r"([a-z][a-z0-9_-]*\d*):\s*(.*?)\s*", line):
            section[pair[1]] = typed(pair[1], pair[2] or " ", kind)
    _describe(section, comments)
    return found


def _describe(section: Config, comments: list[str]) -> None:
    if comments:
        section["description"] = "\n".join(comments).rstrip("\n")


def render(config: Mapping[str, Value]) -> str:
    """The text of one section: description first, then the keys in alphabetical order."""
    lines: list[str] = []
    if "description" in config:
        lines = [f"#{quote(line, safe=_SAFE)}" for line in str(config["description"]).split("\n")]
    lines += [f"{key}: {value}" for key, value in sorted(config.items()) if key != "description"]
    return "".join(f"{line}\n" for line in lines)


def render_file(
    config: Mapping[str, Value],
    pending: Mapping[str, Value] | None = None,
    snapshots: Mapping[str, Mapping[str, Value]] | None = None,
) -> str:
    """The whole file's text, with pending changes and snapshots."""
    parts = [render(config)]
    if pending:
        parts.append(f"[PENDING]\n{render(pending)}")
    parts += [f"[{name}]\n{render(section)}" for name, section in sorted((snapshots or {}).items())]
    return "\n".join(parts)


def digest(text: str) -> str:
    """The digest of a configuration file's text."""
    return hashlib.sha1(text.encode()).hexdigest()  # noqa: S324 - that is the digest the API shows


def split_properties(text: str, default: str = "file") -> dict[str, str]:
    """Split ``first,key=value,…``; a part without a key belongs to ``default``."""
    found: dict[str, str] = {}
    for part in text.split(","):
        key, equals, value = part.partition("=")
        if part:
            found[key if equals else default] = value if equals else part
    return found


def join_properties(properties: Mapping[str, str], default: str = "file") -> str:
    """Write a property string: the default key first and bare, the others in alphabetical order."""
    parts = [properties[default]] if default in properties else []
    parts += [f"{key}={value}" for key, value in sorted(properties.items()) if key != default]
    return ",".join(parts)


NIC_MODELS = frozenset(
    [
        "e1000",
        "e1000-82540em",
        "e1000-82544gc",
        "e1000-82545em",
        "e1000e",
        "i82551",
        "i82557b",
        "i82559er",
        "ne2k_isa",
        "ne2k_pci",
        "pcnet",
        "rtl8139",
        "virtio",
        "vmxnet3",
    ]
)
"""Network card models of virtual machines; the model's own key carries the MAC address."""


@dataclass(frozen=True)
class Nic:
    """One ``netN`` line of a virtual machine; ``options`` holds everything but model and MAC address."""

    model: str
    mac: str | None
    options: Mapping[str, str]

    @classmethod
    def parse(cls, text: str) -> Nic:
        """Read ``virtio=MAC,bridge=vmbr0`` or ``model=virtio,macaddr=MAC,…``."""
        properties = split_properties(text, "model")
        model, mac = properties.pop("model", "virtio"), properties.pop("macaddr", None)
        for name in NIC_MODELS & properties.keys():
            model, mac = name, properties.pop(name)
        return cls(model, mac, properties)

    def __str__(self) -> str:
        head = f"{self.model}={self.mac}" if self.mac else self.model
        return ",".join([head, *(f"{key}={value}" for key, value in sorted(self.options.items()))])

    @property
    def bridge(self) -> str | None:
        """The bridge the card is plugged into."""
        return self.options.get("bridge")


DRIVE = re.compile(r"(?:ide[0-3]|sata[0-5]|scsi(?:[12]?\d|30)|virtio(?:1[0-5]|\d)|efidisk0|tpmstate0)")
"""Keys that name drives of a virtual machine."""

UNUSED = re.compile(r"unused\d+")
"""Keys that name volumes no drive uses."""


def is_drive(key: str) -> bool:
    """Whether a key names a drive (CD-ROMs included)."""
    return DRIVE.fullmatch(key) is not None


def is_cdrom(value: Value) -> bool:
    """Whether a drive line is a CD-ROM or a cloud-init drive."""
    return split_properties(str(value)).get("media") == "cdrom"


def drives(config: Mapping[str, Value]) -> dict[str, str]:
    """Drive key → volume, for every drive with data of its own, in file order."""
    found: dict[str, str] = {}
    for key, value in config.items():
        volume = split_properties(str(value)).get("file", "none")
        if is_drive(key) and not is_cdrom(value) and volume != "none" and ":" in volume:
            found[key] = volume
    return found


def boot_order(config: Mapping[str, Value]) -> list[str]:
    """The devices of ``boot: order=a;b``; without one the ``bootdisk``."""
    order = split_properties(str(config.get("boot", "")), "legacy").get("order", "")
    devices = [name for name in order.split(";") if name]
    return devices or ([str(config["bootdisk"])] if "bootdisk" in config else [])


_UNITS = {"": 1, "K": 1 << 10, "M": 1 << 20, "G": 1 << 30, "T": 1 << 40}


def parse_size(text: str) -> int:
    """Bytes of ``2G``, ``512M``, ``1.5T``; 0 when it is no size."""
    found = re.fullmatch(r"(\d+(?:\.\d+)?)([KMGT]?)", text)
    return int(float(found[1]) * _UNITS[found[2]]) if found else 0


def format_size(size: int) -> str:
    """Bytes as the configuration writes them: the largest unit that divides evenly."""
    for unit in ("T", "G", "M", "K"):
        if size and size % _UNITS[unit] == 0:
            return f"{size // _UNITS[unit]}{unit}"
    return str(size)


def smbios_uuid(config: Mapping[str, Value]) -> str | None:
    """The machine's own uuid."""
    return split_properties(str(config.get("smbios1", "")), "uuid").get("uuid")
