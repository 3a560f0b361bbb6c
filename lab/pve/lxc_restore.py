"""The task that restores a container from an archive.

Derived from upstream's source (PVE/API2/LXC.pm create_vm, PVE/LXC/Create.pm sanitize_and_merge_config); nothing of it
was recorded. What was given in the call is laid over the archived configuration before ``unique`` is applied, so with
``unique`` the archived network cards win. Whatever fails, the container is gone again.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from lab.archive import ArchiveDamaged
from lab.hypervisor import HypervisorError
from lab.pve import rights, volumes
from lab.pve.archive_access import Archive
from lab.pve.call import ApiError, Call, die
from lab.pve.config import fresh
from lab.pve.guestconfig import Config, format_size, join_properties, parse, parse_size, split_properties
from lab.pve.tasks import TaskError, TaskLog

MOUNT = re.compile(r"rootfs|mp\d+")
_DROPPED = re.compile(MOUNT.pattern + r"|unused\d+|snapshots|parent|template|digest|unprivileged|lock")
_RAW = re.compile(r"(lxc\.[a-z0-9._]+)\s*[:=]\s*(.*)")
_CARD = re.compile(r"net\d+")
GIB = 1 << 30


class ContainerRestore:
    """The worker of "vzrestore" up to the power-on."""

    def __init__(self, call: Call, archive: Archive, given: Config, storage: str) -> None:
        self.call, self.archive, self.given, self.storage = call, archive, given, storage
        self.vmid = int(call.params["vmid"])

    def run(self, log: TaskLog) -> None:
        """Restore; on any failure free what was made and forget the container."""
        site = self.call.site
        with site.guest_locks.hold(self.vmid, log, "lxc"):
            guest = site.guest(self.vmid, "lxc")
            made: list[str] = []
            try:
                config = self._restore(log, made)
            except (ApiError, TaskError, HypervisorError, ArchiveDamaged) as error:
                volumes.undo(site, self.vmid, made)
                raise TaskError(f"unable to restore CT {self.vmid} - {getattr(error, 'text', error)}") from error
            with site.lock:
                guest.config, guest.pool = config, self.call.params.get("pool") or guest.pool
            volumes.rescan(site, guest)

    def _restore(self, log: TaskLog, made: list[str]) -> Config:
        hypervisor = self.call.site.hypervisor
        text = hypervisor.read_container_config(self.archive.path)
        archived = parse(text, "lxc").config
        log(f"recovering backed-up configuration from '{self.archive.volid}'")
        self._check_bridges(archived)
        self._check_privileged(archived)
        mounts, late = self._mounts(archived)
        volids = {key: self._make(key, properties, made, log) for key, properties in mounts.items()}
        log(f"restoring '{self.archive.volid}' now..")
        log(f"extracting archive '{self.archive.path}'")
        root = split_properties(volids["rootfs"], "volume")["volume"]
        moved = [0]

        def progress(done: int, _total: int) -> None:
            log.check()
            moved[0] = done

        hypervisor.extract_container_archive(self.archive.path, root, progress)
        log(f"Total bytes read: {moved[0]}")
        log("merging backed-up and given configuration..")
        return {**self._merge(archived, text, log), **volids, **late}

    def _check_bridges(self, archived: Config) -> None:
        recovered = {key: value for key, value in archived.items() if _CARD.fullmatch(key) and key not in self.given}
        given = {key: value for key, value in self.given.items() if _CARD.fullmatch(key)}
        rights.check_bridges(self.call, [_as_nic(value) for value in (recovered | given).values()])

    def _check_privileged(self, archived: Config) -> None:
        """Since 9.0 a new privileged container asks for Sys.Modify on / (upstream: pve-container 6.0.6)."""
        unprivileged = self.given.get("unprivileged", archived.get("unprivileged", 0))
        if str(unprivileged) != "1" and self.call.site.major >= 9:
            self.call.check("/", "Sys.Modify")

    def _mounts(self, archived: Config) -> tuple[dict[str, dict[str, str]], dict[str, str]]:
        """Return what to make, the given mounts if any, else the archived ones; and bind mounts, for root alone."""
        given = {
            key: split_properties(str(value), "volume") for key, value in self.given.items() if MOUNT.fullmatch(key)
        }
        if given:
            return {key: given[key] for key in _in_order(given)}, {}
        mounts: dict[str, dict[str, str]] = {}
        late: dict[str, str] = {}
        for key in _in_order(archived):
            value = archived[key]
            properties = split_properties(str(value), "volume")
            if not properties["volume"].startswith("/"):
                mounts[key] = properties
                continue
            kind = "device" if properties["volume"].startswith("/dev/") else "bind"
            if key == "rootfs":
                die(f"restoring rootfs to {kind} mount is only possible by specifying -rootfs manually!")
            if not self.call.is_root:
                die(f"restoring '{key}' to {kind} mount is only possible for root")
            late[key] = str(value)
        return mounts, late

    def _make(self, key: str, properties: dict[str, str], made: list[str], log: TaskLog) -> str:
        """Make the volume of one mount and return its value in the configuration."""
        storage, size = self._wanted(key, properties)
        rights.check_storage(self.call, storage)
        volid = volumes.allocate(self.call.site, storage, self.vmid, size, log)
        made.append(volid)
        kept = {name: value for name, value in properties.items() if name not in {"volume", "size"}}
        return join_properties({**kept, "volume": volid, "size": format_size(size)}, "volume")

    def _wanted(self, key: str, properties: dict[str, str]) -> tuple[str, int]:
        if asked := re.fullmatch(r"([^:\s]+):(\d+(?:\.\d+)?)", properties.get("volume", "")):
            return asked[1], int(float(asked[2]) * GIB)
        if key in self.given:
            die(f"{key}: the lab makes new volumes only (STORAGE:GIB)")
        size = parse_size(properties.get("size", ""))
        if not size:
            die(f"unable to detect disk size - please specify {key} (size)")
        return self.storage, size

    def _merge(self, archived: Config, text: str, log: TaskLog) -> Config:
        merged: Config = {key: value for key, value in self.given.items() if not MOUNT.fullmatch(key)}
        if "unprivileged" in archived:
            merged.setdefault("unprivileged", archived["unprivileged"])
        for key, value in archived.items():
            if not _DROPPED.fullmatch(key):
                merged.setdefault(key, value)
        self._raw(text, merged, log)
        identity = fresh()
        for key in [key for key in merged if _CARD.fullmatch(key)]:
            if self.call.params.get("unique") and key in archived:
                merged[key] = archived[key]
            card = split_properties(str(merged[key]), "name")
            if self.call.params.get("unique") or "hwaddr" not in card:
                card["hwaddr"] = identity.mac()
            merged[key] = ",".join(f"{name}={value}" for name, value in card.items())
        return merged

    def _raw(self, text: str, merged: Config, log: TaskLog) -> None:
        """Raw settings come back for root alone; everybody else is warned (the task then ends as "WARNINGS: 1")."""
        raw = [found for line in text.partition("\n[")[0].splitlines() if (found := _RAW.fullmatch(line.strip()))]
        if raw and self.call.is_root:
            merged |= {found[1]: found[2] for found in raw}
        elif raw:
            log.warning("skipping custom lxc options, restore manually as root:")
            for found in raw:
                log(f"{found[1]}: {found[2]}")


def _in_order(config: Mapping[str, object]) -> list[str]:
    """Return the keys of mounts, the root first."""
    return sorted(
        filter(MOUNT.fullmatch, config), key=lambda key: (key != "rootfs", int(key[2:]) if key != "rootfs" else 0)
    )


def _as_nic(value: str | int) -> str:
    card = split_properties(str(value), "name")
    return "virtio" + "".join(f",{key}={card[key]}" for key in ("bridge", "tag") if key in card)
