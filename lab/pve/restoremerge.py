"""What becomes of each line of an archived configuration when it is restored.

Pure: text in, configuration out (upstream: PVE/QemuServer.pm restore_update_config_line, parse_backup_hints and
restore_merge_config; measured: template=0 in the call wins over the archive's template flag).
"""

from __future__ import annotations

import random
import re
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from lab.pve.guestconfig import Config, GuestFile, Nic, Value, format_size, is_cdrom, is_drive, parse, split_properties

_DROPPED = re.compile(r"(lock|parent|unused\d+|digest|snaptime|snapstate|vmstate|runningmachine|runningcpu)")


@dataclass(frozen=True)
class Hint:
    """One ``#qmdump#map:`` line: which drive of the configuration an archived device is, and where it used to live."""

    key: str
    device: str
    storage: str
    format: str


def hints(text: str) -> dict[str, Hint]:
    """Device name (``drive-scsi0``) → hint, in the archive's order."""
    found: dict[str, Hint] = {}
    for line in text.splitlines():
        match = re.fullmatch(r"#qmdump#map:(\S+):(\S+):(\S*):(\S*):", line)
        if match:
            found[match[2]] = Hint(match[1], match[2], match[3], match[4])
    return found


@dataclass
class Fresh:
    """Where new identities come from; tests give a seeded one."""

    random: random.Random

    def mac(self) -> str:
        """A random address with the vendor prefix that Proxmox VE uses for guests."""
        return "BC:24:11:" + ":".join(f"{self.random.randrange(256):02X}" for _ in range(3))

    def uuid(self) -> str:
        """A random version 4 uuid."""
        return str(uuid.UUID(int=self.random.getrandbits(128), version=4))


@dataclass(frozen=True)
class Placed:
    """A restored volume: its name and size in bytes."""

    volid: str
    size: int


def archived_config(text: str) -> Config:
    """The keys of an archived configuration without its hints, as the early checks of a restore read them."""
    return parse(_plain(text)).config


def _plain(text: str) -> str:
    return "".join(f"{line}\n" for line in text.splitlines() if not line.startswith("#qmdump#"))


def restored_config(text: str, placed: Mapping[str, Placed], fresh: Fresh, *, unique: bool) -> Config:
    """The configuration after a restore, before overrides.

    ``placed`` maps drive keys to the volumes that hold their data now. A drive without archived data becomes a comment
    and so part of the description; CD-ROM lines stay as they are.
    """
    head = _plain(text).split("\n[", 1)[0]
    lines = [_restored_line(line, placed, fresh, unique=unique) for line in head.splitlines()]
    found: GuestFile = parse("".join(f"{line}\n" for line in lines if line is not None))
    return found.config


def _restored_line(line: str, placed: Mapping[str, Placed], fresh: Fresh, *, unique: bool) -> str | None:
    match = re.fullmatch(r"([a-z][a-z0-9_-]*\d*):\s*(.*?)\s*", line)
    if not match:
        return line
    key, value = match[1], match[2]
    if _DROPPED.fullmatch(key):
        return None
    if is_drive(key):
        return _restored_drive(key, value, placed)
    changed = _IDENTITIES.get(key.rstrip("0123456789") if key.startswith("net") else key)
    return f"{key}: {changed(value, fresh, unique)}" if changed else line


def _restored_drive(key: str, value: str, placed: Mapping[str, Placed]) -> str:
    if is_cdrom(value):
        return f"{key}: {value}"
    if key not in placed:
        return f"#{key}: {value}"
    properties = split_properties(value)
    kept = {name: text for name, text in properties.items() if name not in {"file", "format", "size"}}
    kept["size"] = format_size(placed[key].size)
    return f"{key}: {placed[key].volid}," + ",".join(f"{name}={text}" for name, text in sorted(kept.items()))


def _nic(value: str, fresh: Fresh, unique: bool) -> str:  # noqa: FBT001
    nic = Nic.parse(value)
    return str(Nic(nic.model, fresh.mac(), nic.options)) if unique and nic.mac else value


def _smbios(value: str, fresh: Fresh, unique: bool) -> str:  # noqa: FBT001
    if not unique:
        return value
    return re.sub(r"uuid=[^,]+", f"uuid={fresh.uuid()}", value) if "uuid=" in value else f"{value},uuid={fresh.uuid()}"


def _generation(value: str, fresh: Fresh, _unique: bool) -> str:  # noqa: FBT001
    return value if value == "0" else fresh.uuid()


_IDENTITIES: dict[str, Callable[[str, Fresh, bool], str]] = {"net": _nic, "smbios1": _smbios, "vmgenid": _generation}


def merge_overrides(config: Mapping[str, Value], overrides: Mapping[str, Value], fresh: Fresh) -> Config:
    """Put the keys given in the restore call over the restored ones; a card without an address gets a random one."""
    merged = {**config, **overrides}
    for key in overrides:
        merged[key] = complete_nic(key, merged[key], fresh)
    return dict(merged)


def complete_nic(key: str, value: Value, fresh: Fresh) -> Value:
    """A ``netN`` value as it is stored: with an address, options in order. Other keys are returned as they are."""
    if not re.fullmatch(r"net\d+", key):
        return value
    nic = Nic.parse(str(value))
    return str(Nic(nic.model, nic.mac or fresh.mac(), nic.options))
