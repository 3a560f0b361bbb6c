"""The keys of an inventory that say how guests are drilled, and on which ground."""

from __future__ import annotations

import datetime as dt
import re
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, model_validator

from backup_standard.inventory.checks import DataCheck, ServiceCheck
from backup_standard.inventory.fields import Address, Duration, HoldsSecret, Interface, SecretRef, Strict, Vmid


class Login(HoldsSecret):
    """How a drill logs in to the restored guest. One of ``key``, ``password`` and ``throwaway_key`` at least."""

    user: str
    key: str | None = Field(default=None, description="private key file")
    password: SecretRef | None = None
    throwaway_key: bool = Field(
        default=False, description="a fresh key for each drill, put into the copy through its guest agent (pct exec)"
    )
    through: Literal["ssh", "agent"] = Field(
        default="ssh", description="agent: for Windows guests without an SSH server; needs a password"
    )
    port: int = 22
    host_key: str | None = Field(
        default=None, description="public host key, or file:PATH of it; default: read through the guest agent"
    )

    @model_validator(mode="after")
    def _some_credential(self) -> Login:
        own = self.key is not None or self.password is not None
        if self.throwaway_key and (own or self.through == "agent"):
            raise ValueError("throwaway_key: true goes with neither key, password nor through: agent")
        if not own and not self.throwaway_key:
            raise ValueError("give key: FILE or password: REFERENCE, or throwaway_key: true")
        if self.through == "agent" and self.password is None:
            raise ValueError("a login through the agent needs password: REFERENCE")
        return self


class DrillOfGuest(Strict):
    """How one guest is drilled: temporary VMID, address, login, services, data, screen."""

    vmid: Vmid | None = Field(default=None, description="temporary VMID; default: the next free one of the range")
    login: Login | None = None
    address: Interface | None = Field(default=None, description="the guest's address with prefix, 10.0.0.20/24")
    gateway: Address | None = Field(
        default=None, description="its production gateway; the drill gateway takes this address"
    )
    interface: str | None = Field(default=None, description="expected interface name, for example eth0")
    boot_timeout: Duration = dt.timedelta(minutes=10)
    services_timeout: Duration | None = Field(
        default=None, description="how long all services together are waited for; default: 10m"
    )
    services: list[ServiceCheck] | Literal["none"] = Field(default_factory=list)
    services_reason: str | None = Field(default=None, description="why there are no services, where services: none")

    data: list[DataCheck] = Field(default_factory=list, description="what shows that the data came back")
    screen: Literal["yes", "no", "blurred"] = Field(
        default="yes", description="no or blurred where the console may show a client's data"
    )

    @model_validator(mode="after")
    def _none_needs_a_reason(self) -> DrillOfGuest:
        if self.services == "none" and not self.services_reason:
            raise ValueError("services: none needs services_reason")
        return self


def _vmid_range(value: str) -> str:
    match = re.fullmatch(r"(\d{3,9})-(\d{3,9})", value)
    if not match or int(match[1]) > int(match[2]):
        raise ValueError("a range of VMIDs is written LOW-HIGH, for example 9000-9099")
    return value


class DrillSection(Strict):
    """The ground drills stand on: isolated bridge, target storage, reserved VMIDs."""

    bridge: str
    storage: str
    vmids: Annotated[str, AfterValidator(_vmid_range)]
    pool: str | None = Field(default=None, description="resource pool that temporary guests are put in")
    gateway: bool = Field(default=True, description="false: drill through the guest agent alone")
    protect_archive: bool = Field(
        default=False, description="protect the archive from pruning while its drill runs; it is unprotected afterwards"
    )
    restores_at_once: int = Field(default=1, ge=1, description="how many restores may go onto the storage at once")

    def reserved(self) -> range:
        """The VMIDs of the range, both ends included."""
        low, high = self.vmids.split("-")
        return range(int(low), int(high) + 1)
