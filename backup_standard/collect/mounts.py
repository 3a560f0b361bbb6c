"""Mounts of a node, and what makes them last."""

from __future__ import annotations

import json
from dataclasses import replace

from backup_standard.collect import node_commands
from backup_standard.hosts import Host
from backup_standard.model.gaps import Gap
from backup_standard.model.nodes import Mount
from backup_standard.model.storages import Storage


def read_lasting_mount(host: Host, path: str, fstab: str) -> Mount | Gap | None:
    """The mount that holds a path and what mounts it at boot; None when there is no such path."""
    mount = read_mount(host, path)
    return replace(mount, persistent_by=_persistent_by(host, mount, fstab)) if isinstance(mount, Mount) else mount


def read_mount(host: Host, path: str) -> Mount | Gap | None:
    """The mount that holds a path, None when there is no such path."""
    found = host.run(node_commands.MOUNT, path)
    if found.rc:
        if host.run(node_commands.EXISTS, path).rc:
            return None
        return Gap(f"the mount of {path}", f"findmnt ended with {found.rc}: {found.stderr.strip()}", "util-linux there")
    raw = json.loads(found.stdout)["filesystems"][-1]  # of several mounts on one place the last is what is seen
    return Mount(
        target=raw["target"],
        source=raw["source"],
        fstype=raw["fstype"],
        options=raw["options"],
        fsroot=raw.get("fsroot") or "/",
        flags=",".join(str(raw.get(key) or "") for key in ("vfs-options", "fs-options")),
    )


def read_images(host: Host, storage: Storage) -> tuple[str, ...] | Gap:
    """Files that are guest disks in a storage's own folder, whether a guest still uses them or not."""
    folder = f"{str(storage.path).rstrip('/')}/{storage.subfolders.get('images', 'images').strip('/')}"
    found = host.run(node_commands.IMAGES, folder, node_commands.LINE)
    if found.rc and "No such file" not in found.stderr:
        return Gap(
            f"the guest disks in {folder}", f"find ended with {found.rc}: {found.stderr.strip()}", "readable there"
        )
    return tuple(sorted(found.stdout.splitlines()))


def _persistent_by(host: Host, mount: Mount, fstab: str) -> str | None:
    """What mounts it when the node starts: "fstab", a mount unit, "zfs"; None when nothing does."""
    if mount.target in mounted_by_fstab(fstab):
        return "fstab"
    if mount.fstype == "zfs":
        canmount = host.run(node_commands.CANMOUNT, mount.source)
        service = host.run(node_commands.IS_ENABLED, "zfs-mount.service")
        return "zfs" if canmount.stdout.strip() == "on" and service.rc == 0 else None
    unit = unit_name(mount.target)
    enabled = host.run(node_commands.IS_ENABLED, unit).stdout.strip() == "enabled"
    return unit if enabled else None  # "generated" is a unit from fstab, which noauto may keep from being mounted


def mounted_by_fstab(fstab: str) -> set[str]:
    """The mount points that an fstab mounts at boot, or on first use."""
    found = set()
    for line in fstab.splitlines():
        fields = line.split()
        if len(fields) < 2 or fields[0].startswith("#"):  # noqa: PLR2004 - device and mount point
            continue
        options = fields[3].split(",") if len(fields) > 3 else []  # noqa: PLR2004 - after the type
        if "noauto" not in options or "x-systemd.automount" in options:
            found.add(_unescaped(fields[1]).rstrip("/") or "/")
    return found


def _unescaped(field_text: str) -> str:
    """A field of fstab, where blanks are written in octal."""
    return field_text.replace("\\040", " ").replace("\\011", "\t").replace("\\134", "\\")


def unit_name(target: str) -> str:
    """The name of the systemd unit for a mount point (as systemd-escape --path --suffix=mount gives it)."""
    trimmed = target.strip("/")
    if not trimmed:
        return "-.mount"
    escaped = ""
    for place, letter in enumerate(trimmed):
        if letter == "/":
            escaped += "-"
        elif (letter.isascii() and letter.isalnum()) or letter in ":_" or (letter == "." and place):
            escaped += letter
        else:
            escaped += "".join(f"\\x{byte:02x}" for byte in letter.encode())
    return f"{escaped}.mount"
