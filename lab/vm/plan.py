"""What the machinery is asked to set up: the site's guests, described without any of the control plane's types."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class PlannedGuest:
    """A guest of the site: its configuration, its one volume, and the configuration its archives carry."""

    vmid: int
    config: Mapping[str, str]
    drive: str
    volid: str
    size: int
    archived_config: str
    runs: bool
    port: int | None = None
    """A TCP port that answers when the guest's service is up."""
    address: str = ""

    @property
    def container(self) -> bool:
        """Whether it is a container."""
        return self.drive == "rootfs"

    @property
    def volids(self) -> Mapping[str, str]:
        """Drive keys with their volumes."""
        return {self.drive: self.volid}


@dataclass(frozen=True)
class MadeArchive:
    """A real archive on the backup disk: where it lies, its size, the bytes of data and of disk in it, its id."""

    vmid: int
    path: str
    size: int
    stored: int
    disk: int
    uuid: str
