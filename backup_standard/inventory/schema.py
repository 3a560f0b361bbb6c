"""Every key of an inventory, as pydantic models: the source of validation and of the JSON Schema for editors."""

from __future__ import annotations

import datetime as dt
import re
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from backup_standard.quantities import parse_duration

Duration = Annotated[
    dt.timedelta, BeforeValidator(lambda value: parse_duration(value) if isinstance(value, str) else value)
]
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


class SiteSection(Strict):
    """The place: its name and its time zone (the policy's 02:00 is local time there)."""

    name: str
    timezone: str = Field(description="IANA name, for example Europe/Berlin")


class Token(Strict):
    """An API token: ``id`` as user@realm!name, ``secret`` a reference."""

    id: str = Field(pattern=r"^[^@!\s]+@[^@!\s]+![^@!\s]+$")
    secret: SecretRef


class ApiSection(Strict):
    """Where the Proxmox VE API answers, how its certificate is verified, and with which tokens."""

    url: str = Field(pattern=r"^https://[^/]+$", description="https://HOST:8006")
    ca: str | None = Field(
        default=None, description="path of the CA certificate (pve-root-ca.pem); ~ and variables are expanded"
    )
    fingerprint: str | None = Field(
        default=None, pattern=r"^([0-9A-Fa-f]{2}:){31}[0-9A-Fa-f]{2}$", description="SHA-256 of the certificate"
    )
    audit_token: Token
    drill_token: Token | None = None
    timeout: Duration = Field(default=dt.timedelta(seconds=45), description="for one request")


class NodeSection(Strict):
    """A node's own side: SSH as ``user@host[:port]``, strict host keys, key by path."""

    ssh: str = Field(pattern=r"^[^@\s]+@[^@\s:]+(:\d+)?$")
    key: str | None = Field(default=None, description="private key file; default: the SSH agent and ~/.ssh")
    known_hosts: str = "~/.ssh/known_hosts"


class PolicySection(Strict):
    """What this client's policy says; defaults are the standard's. A value may tighten a must, never weaken it."""

    storage: str = Field(description="the dedicated backup storage")
    start: str = Field(default="02:00", pattern=r"^\d{2}:\d{2}$")
    keep_nights: int = Field(default=7, ge=1)
    compress: Literal["zstd"] = "zstd"
    rpo: Duration = Field(default=dt.timedelta(hours=26), description="greatest age of the newest archive")


class Login(Strict):
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
    pool: str | None = None
    gateway: bool = Field(default=True, description="false: drill through the guest agent alone")


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

    client: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")
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

    @model_validator(mode="after")
    def _temporary_vmids_are_their_own(self) -> Inventory:
        taken: dict[int, int] = {}
        for vmid, guest in self.guests.items():
            temporary = guest.drill.vmid if guest.drill else None
            if temporary is None:
                continue
            if temporary in self.guests:
                raise ValueError(f"guest {vmid}: temporary VMID {temporary} is a production guest of this inventory")
            if temporary in taken:
                raise ValueError(
                    f"guest {vmid}: temporary VMID {temporary} is already that of guest {taken[temporary]}"
                )
            taken[temporary] = vmid
        return self

    def mandatory(self) -> dict[int, GuestSection]:
        """The guests the policy demands backups of, by VMID."""
        return {vmid: guest for vmid, guest in self.guests.items() if guest.role in MANDATORY_ROLES}


def json_schema() -> dict[str, Any]:
    """The inventory's JSON Schema, for editors."""
    return Inventory.model_json_schema(by_alias=True)
