"""Guest configurations as Proxmox writes them: ``key: value`` lines, and values that are comma-separated properties."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

_DRIVE = re.compile(r"(?:ide|sata|scsi|virtio|efidisk|tpmstate|mp)\d+|rootfs")
_MOUNT = re.compile(r"rootfs|mp\d+")
_CARD = re.compile(r"net\d+")
_DATA = re.compile(r"(?:ide|sata|scsi|virtio)\d+|rootfs|mp\d+")
_RAW = re.compile(r"^(lxc\.[\w.]+)\s*=")
"""How a raw setting of LXC may be written, too (upstream: PVE/LXC/Config.pm)."""
_SIZE = re.compile(r"(\d+(?:\.\d+)?)([KMGT]?)")
_FACTOR = {"": 1, "K": 2**10, "M": 2**20, "G": 2**30, "T": 2**40}


def parse(text: str) -> dict[str, str]:
    """The keys of a configuration file, without comments and the sections (snapshots) behind the first ``[``."""
    keys: dict[str, str] = {}
    for line in text.splitlines():
        if line.startswith("["):
            break
        key, colon, value = _RAW.sub(r"\1:", line).partition(":")
        if colon and not line.startswith("#"):
            keys[key.strip()] = value.strip()
    return keys


def texts(answer: Mapping[str, Any]) -> dict[str, str]:
    """A configuration as the API gives it (numbers are numbers there), with every value as the file has it."""
    return {key: str(value) for key, value in answer.items()}


def is_mount(key: str) -> bool:
    """Whether a key is a mount of a container, its root included."""
    return _MOUNT.fullmatch(key) is not None


def properties(value: str) -> dict[str, str]:
    """``virtio=BC:24:…,bridge=vmbr0`` as a mapping. A part without ``=`` (the volume of a drive) has the key ""."""
    found: dict[str, str] = {}
    for part in value.split(","):
        key, equals, text = part.partition("=")
        found[key if equals else ""] = text if equals else key
    return found


def drives(config: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    """Every drive, or mount of a container: key and value, CD drives included."""
    return ((key, value) for key, value in config.items() if _DRIVE.fullmatch(key))


def is_cdrom(value: str) -> bool:
    """Whether a drive is a CD drive (an ISO, a cloud-init image, or empty)."""
    return properties(value).get("media") == "cdrom"


def disks(config: Mapping[str, str]) -> dict[str, str]:
    """The drives that hold data: key and volume."""
    return {key: properties(value).get("", "") for key, value in drives(config) if not is_cdrom(value)}


def own_volumes(config: Mapping[str, str], vmid: int) -> list[str]:
    """The volumes that belong to a VMID by their name: disks, cloud-init and firmware state, and unused ones."""
    keys = [key for key in config if _DRIVE.fullmatch(key) or key.startswith(("unused", "vmstate"))]
    found = (properties(config[key]).get("", "") for key in keys)
    return sorted({volid for volid in found if ":" in volid and f"-{vmid}-" in volid})


def disk_bytes(config: Mapping[str, str]) -> int:
    """The sum of the sizes that the drives with data state, in bytes."""
    sizes = (properties(value).get("size", "0") for _key, value in drives(config) if not is_cdrom(value))
    return sum(size_bytes(size) for size in sizes)


def disk_sizes(config: Mapping[str, str]) -> dict[str, int]:
    """The size of each disk and mount point that states one, in bytes; firmware state and CD drives are left out."""
    data = {key: value for key, value in config.items() if _DATA.fullmatch(key) and not is_cdrom(value)}
    found = {key: properties(value).get("size") for key, value in data.items()}
    return {key: size_bytes(size) for key, size in found.items() if size}


def memory_bytes(config: Mapping[str, str]) -> int:
    """The memory that a guest is given at most, in bytes (upstream's default: 512 MiB; 9 also writes properties)."""
    stated = re.search(r"\d+", str(config.get("memory", "")))
    return (int(stated[0]) if stated else 512) * 2**20


def cards(config: Mapping[str, str]) -> dict[int, dict[str, str]]:
    """The network cards by number, each as its properties; ``model`` ("veth" in containers) and ``macaddr`` too."""
    found: dict[int, dict[str, str]] = {}
    for key, value in config.items():
        if _CARD.fullmatch(key):
            found[int(key[3:])] = _card(properties(value))
    return found


def _card(parts: dict[str, str]) -> dict[str, str]:
    if "name" in parts or "hwaddr" in parts:
        named = {key: value for key, value in parts.items() if key not in {"", "hwaddr"}}
        return {**named, "model": "veth", **({"macaddr": parts["hwaddr"]} if "hwaddr" in parts else {})}
    models = {key: value for key, value in parts.items() if value.count(":") == 5 and key != "macaddr"}  # noqa: PLR2004 - a MAC address
    if models:
        model, mac = next(iter(models.items()))
        rest = {key: value for key, value in parts.items() if key != model}
        return {**rest, "model": model, "macaddr": mac}
    return {**{key: value for key, value in parts.items() if key}, "model": parts.get("model", parts.get("", ""))}


def size_bytes(text: str) -> int:
    """``256M`` in bytes; 0 for what is no size."""
    match = _SIZE.fullmatch(text)
    return int(float(match[1]) * _FACTOR[match[2]]) if match else 0
