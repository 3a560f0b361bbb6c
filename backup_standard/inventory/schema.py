"""Every key of an inventory, as pydantic models: the source of validation and of the JSON Schema for editors.

What spans several keys (two guests with one temporary VMID, a threshold weaker than the standard) is in
:mod:`backup_standard.inventory.coherence`.
"""

from __future__ import annotations

import datetime as dt
import difflib
import re
import zoneinfo
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, PrivateAttr, model_validator

from backup_standard.quantities import parse_duration


def _duration(value: object) -> object:
    if isinstance(value, int | float):
        raise ValueError(f"{value!r} has no unit; write 90s, 30m, 26h or 7d")  # noqa: TRY004 - pydantic's way
    return parse_duration(value) if isinstance(value, str) else value


Duration = Annotated[dt.timedelta, BeforeValidator(_duration)]
Role = Literal["golden-template", "docker-host", "dns", "monitoring", "client-data", "infrastructure", "scratch"]
MANDATORY_ROLES: frozenset[str] = frozenset(
    {"golden-template", "docker-host", "dns", "monitoring", "client-data", "infrastructure"}
)
REQUIRED_ROLES: tuple[str, ...] = ("golden-template", "docker-host", "dns", "monitoring")
Vmid = Annotated[int, Field(ge=100, le=999_999_999)]


def _reference(value: str) -> str:
    if not re.match(r"(env|file|cmd):.", value):
        raise ValueError("a secret is a reference: env:NAME, file:PATH or cmd:COMMAND, never the secret itself")
    return value


SecretRef = Annotated[str, AfterValidator(_reference)]


class Strict(BaseModel):
    """Base of every section: unknown keys are errors, values do not change after loading."""

    model_config = ConfigDict(extra="forbid", frozen=True)


def _zone(value: str) -> str:
    names = zoneinfo.available_timezones()
    if value not in names:
        near = difflib.get_close_matches(value, sorted(names), n=1)
        hint = f"; did you mean {near[0]}?" if near else ""
        raise ValueError(f"{value!r} is not an IANA time zone such as Europe/Berlin{hint}")
    return value


class SiteSection(Strict):
    """The place: its name and its time zone (the policy's 02:00 is local time there)."""

    name: str
    timezone: Annotated[str, AfterValidator(_zone)] = Field(description="IANA name, for example Europe/Berlin")


class HoldsSecret(Strict):
    """A section with a secret's reference; ``where`` (file, line and key) is set by the loader, for messages."""

    _where: str = PrivateAttr(default="")

    @property
    def where(self) -> str:
        """Where the reference stands: ``FILE:LINE: key``; empty for an inventory that was not read from a file."""
        return self._where

    def stands_at(self, where: str) -> None:
        """Note where this section's secret stands."""
        self._where = where


class Token(HoldsSecret):
    """An API token: ``id`` as user@realm!name, ``secret`` a reference."""

    id: str = Field(pattern=r"^[^@!\s]+@[^@!\s]+![^@!\s]+$", description="USER@REALM!NAME, for example audit@pve!suite")
    secret: SecretRef


class ApiSection(Strict):
    """Where the Proxmox VE API answers, how its certificate is verified, and with which tokens."""

    url: str = Field(pattern=r"^https://[^/]+$", description="https://HOST:8006")
    ca: str | None = Field(
        default=None, description="path of the CA certificate (pve-root-ca.pem); ~ and variables are expanded"
    )
    fingerprint: str | None = Field(
        default=None,
        pattern=r"^([0-9A-Fa-f]{2}:){31}[0-9A-Fa-f]{2}$",
        description="SHA-256 of the certificate, AB:CD:… (32 pairs)",
    )
    audit_token: Token
    drill_token: Token | None = None
    timeout: Duration = Field(default=dt.timedelta(seconds=45), description="for one request")


class NodeSection(Strict):
    """A node's own side: SSH as ``user@host[:port]``, strict host keys, key by path."""

    ssh: str = Field(pattern=r"^[^@\s]+@[^@\s:]+(:\d+)?$", description="USER@HOST or USER@HOST:PORT")
    key: str | None = Field(default=None, description="private key file; default: the SSH agent and ~/.ssh")
    known_hosts: str = "~/.ssh/known_hosts"


class PolicySection(Strict):
    """What this client's policy says; defaults are the standard's. A value may tighten a must, never weaken it."""

    storage: str = Field(description="the dedicated backup storage")
    start: str = Field(default="02:00", pattern=r"^\d{2}:\d{2}$", description="local time of the site, HH:MM")
    keep_nights: int = Field(default=7, ge=1, description="distinct nights that retention keeps at least")
    compress: Literal["zstd"] = "zstd"
    rpo: Duration = Field(default=dt.timedelta(hours=26), description="greatest age of the newest archive")
    low_usage: str = Field(
        default="22:00-06:00",
        pattern=r"^([01]\d|2[0-3]):[0-5]\d-([01]\d|2[0-3]):[0-5]\d$",
        description="hours of low usage, local time of the site: FROM-TO",
    )
    summer_time_tolerance: Duration = Field(
        default=dt.timedelta(hours=1), description="how far a node in another time zone may be off the start"
    )


class Login(HoldsSecret):
    """How a drill logs in to the restored guest. One of ``key`` or ``password`` at least."""

    user: str
    key: str | None = Field(default=None, description="private key file")
    password: SecretRef | None = None
    port: int = 22
    host_key: str | None = Field(
        default=None, description="public host key, or file:PATH of it; default: read through the guest agent"
    )

    @model_validator(mode="after")
    def _some_credential(self) -> Login:
        if self.key is None and self.password is None:
            raise ValueError("give key: FILE or password: REFERENCE")
        return self


class HttpCheck(Strict):
    """An HTTP request to the guest itself."""

    url: str
    status: int = 200
    body: str | None = Field(default=None, description="text that the body contains")


class DnsCheck(Strict):
    """A name that the guest's own DNS server answers."""

    name: str
    answer: str


class ServiceCheck(Strict):
    """One declared service; exactly one of the keys."""

    unit: str | None = None
    port: int | None = None
    container: str | None = None
    http: HttpCheck | None = None
    dns: DnsCheck | None = None
    command: str | None = None

    @model_validator(mode="after")
    def _exactly_one(self) -> ServiceCheck:
        given = [key for key, value in self if value is not None]
        if len(given) != 1:
            raise ValueError("a service has exactly one of unit, port, container, http, dns, command")
        return self


class DrillOfGuest(Strict):
    """How one guest is drilled: temporary VMID, address, login, services, RTO."""

    vmid: Vmid | None = Field(default=None, description="temporary VMID; default: the next free one of the range")
    login: Login | None = None
    address: str | None = Field(default=None, description="the guest's address with prefix, 10.0.0.20/24")
    gateway: str | None = Field(
        default=None, description="its production gateway; the drill gateway takes this address"
    )
    interface: str | None = Field(default=None, description="expected interface name, for example eth0")
    boot_timeout: Duration = dt.timedelta(minutes=10)
    services: list[ServiceCheck] | Literal["none"] = Field(default_factory=list)
    services_reason: str | None = Field(default=None, description="why there are no services, where services: none")

    @model_validator(mode="after")
    def _none_needs_a_reason(self) -> DrillOfGuest:
        if self.services == "none" and not self.services_reason:
            raise ValueError("services: none needs services_reason")
        return self


class Exemption(Strict):
    """Why a guest needs no backup, and until when that holds."""

    reason: str
    until: dt.date


class GuestSection(Strict):
    """One guest: role, objectives, drill."""

    role: Role
    name: str | None = None
    rpo: Duration | None = None
    rto: Duration | None = None
    drill: DrillOfGuest | None = None
    exempt: Exemption | None = None
    not_backed_up: dict[str, str] = Field(
        default_factory=dict, description="volumes that hold nothing worth keeping: key (scsi1, mp0) and reason"
    )


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

    def reserved(self) -> range:
        """The VMIDs of the range, both ends included."""
        low, high = self.vmids.split("-")
        return range(int(low), int(high) + 1)


class Attestation(Strict):
    """A named person's statement about something that cannot be observed."""

    rule: str
    subject: str
    statement: str
    by: str
    date: dt.date
    until: dt.date


class Waiver(Strict):
    """A known departure from a rule, approved until a date."""

    rule: str
    subject: str
    reason: str
    approved_by: str
    expires: dt.date


class Inventory(Strict):
    """A client's site as it should be."""

    client: str = Field(
        pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$",
        description="short name of letters, digits, dot, dash; names the reports' folder",
    )
    class_: Literal["real", "lab"] = Field(alias="class", default="real")
    site: SiteSection
    api: ApiSection
    nodes: dict[str, NodeSection] = Field(default_factory=dict)
    policy: PolicySection
    guests: dict[Vmid, GuestSection]
    drill: DrillSection | None = None
    not_deployed: dict[Role, str] = Field(default_factory=dict)
    attestations: list[Attestation] = Field(default_factory=list)
    waivers: list[Waiver] = Field(default_factory=list)

    def mandatory(self) -> dict[int, GuestSection]:
        """The guests the policy demands backups of, by VMID."""
        return {vmid: guest for vmid, guest in self.guests.items() if guest.role in MANDATORY_ROLES}


def json_schema() -> dict[str, Any]:
    """The inventory's JSON Schema, for editors.

    Durations are written as text (``26h``). VMIDs stand as keys, which are text in JSON: hence the pattern.
    """
    schema = Inventory.model_json_schema(by_alias=True)
    schema["$schema"] = "https://json-schema.org/draft/2020-12/schema"
    schema["title"] = "Inventory of a client's site"
    plain: dict[str, Any] = _durations_as_text(schema)
    return plain


def _durations_as_text(part: Any) -> Any:
    if isinstance(part, list):
        return [_durations_as_text(item) for item in part]
    if not isinstance(part, dict):
        return part
    plain = {key: _durations_as_text(value) for key, value in part.items()}
    if plain.get("format") == "duration":
        plain.pop("format")
        plain["pattern"] = r"^(\d+(\.\d+)?\s*[smhdwSMHDW]\s*)+$"
        default = plain.get("default")
        if isinstance(default, str):
            plain["default"] = _iso_as_written(default)
    return plain


def _iso_as_written(value: str) -> str:
    """``P1DT2H`` (as pydantic prints defaults) as ``1d 2h``."""
    days, _, rest = value.removeprefix("P").partition("T")
    return " ".join(re.findall(r"\d+[a-z]", f"{days} {rest}".lower()))
