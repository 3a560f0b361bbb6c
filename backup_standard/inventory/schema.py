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

from pydantic import AfterValidator, Field

from backup_standard.inventory.drills import DrillOfGuest, DrillSection
from backup_standard.inventory.fields import Duration, HoldsSecret, SecretRef, Strict, Vmid
from backup_standard.inventory.groups import GroupSection

Role = Literal["golden-template", "docker-host", "dns", "monitoring", "client-data", "infrastructure", "scratch"]
MANDATORY_ROLES: frozenset[str] = frozenset(
    {"golden-template", "docker-host", "dns", "monitoring", "client-data", "infrastructure"}
)
REQUIRED_ROLES: tuple[str, ...] = ("golden-template", "docker-host", "dns", "monitoring")


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
    sudo: bool | None = Field(
        default=None, description="whether the audit's commands go through sudo -n; default: for every account but root"
    )

    @property
    def uses_sudo(self) -> bool:
        """Whether the account needs sudo to read what only root may."""
        return not self.ssh.startswith("root@") if self.sudo is None else self.sudo


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
    groups: dict[str, GroupSection] = Field(
        default_factory=dict, description="applications of several guests, drilled together"
    )
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
