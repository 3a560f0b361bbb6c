"""The lock files of guests, the lock key in their configuration, and how long things wait.

A task or request that changes a guest holds its lock file; another one waits for it and then gives up with the real
text (upstream: PVE/AbstractConfig.pm lock_config_full, check_lock).
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from lab.pve.call import die

if TYPE_CHECKING:
    from lab.pve.site import GuestRecord, Site

_FILES = {"qemu": "/var/lock/qemu-server/lock-{vmid}.conf", "lxc": "/run/lock/lxc/pve-config-{vmid}.lock"}
_NOUN = {"qemu": "VM", "lxc": "CT"}


@dataclass
class Patience:
    """How long the real thing waits, in seconds; fast tests shorten it."""

    lock: float = 10.0
    agent: float = 3.0
    header: float = 60.0


class GuestLocks:
    """One lock for each VMID; the thread that holds it may take it again."""

    def __init__(self, patience: Patience) -> None:
        self._patience = patience
        self._locks: dict[int, threading.RLock] = {}
        self._guard = threading.Lock()

    @contextmanager
    def hold(self, vmid: int, log: Callable[[str], None] | None = None, kind: str = "qemu") -> Iterator[None]:
        """Hold a guest's lock file; a wait is told to ``log``, and ends with 500 after the usual ten seconds."""
        with self._guard:
            lock = self._locks.setdefault(vmid, threading.RLock())
        if not lock.acquire(blocking=False):
            if log:
                log("trying to acquire lock...")
            if not lock.acquire(timeout=self._patience.lock):
                die(f"can't lock file '{_FILES[kind].format(vmid=vmid)}' - got timeout")
            if log:
                log(" OK")
        try:
            yield
        finally:
            lock.release()


def check_lock(guest: GuestRecord) -> None:
    """Refuse when the configuration carries a lock: "VM is locked (backup)"."""
    if lock := guest.config.get("lock"):
        die(f"{_NOUN[guest.kind]} is locked ({lock})")


def set_lock(site: Site, guest: GuestRecord, lock: str) -> None:
    """Put a lock into the configuration."""
    with site.lock:
        guest.config["lock"] = lock


def clear_lock(site: Site, guest: GuestRecord, lock: str) -> bool:
    """Take a lock out of the configuration; whether it was there."""
    with site.lock:
        return guest.config.get("lock") == lock and guest.config.pop("lock", None) is not None


def check_protection(guest: GuestRecord, text: str) -> None:
    """Refuse for a protected guest: "TEXT - protection mode enabled"."""
    if str(guest.config.get("protection", 0)) == "1":
        die(f"{text} - protection mode enabled")
