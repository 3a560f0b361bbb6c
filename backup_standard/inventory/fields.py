"""What an inventory's sections are made of: the strict base, durations, VMIDs and references to secrets."""

from __future__ import annotations

import datetime as dt
import ipaddress
import re
from typing import Annotated

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, PrivateAttr

from backup_standard.quantities import parse_duration


def _duration(value: object) -> object:
    if isinstance(value, int | float):
        raise ValueError(f"{value!r} has no unit; write 90s, 30m, 26h or 7d")  # noqa: TRY004 - pydantic's way
    return parse_duration(value) if isinstance(value, str) else value


Duration = Annotated[dt.timedelta, BeforeValidator(_duration)]
Vmid = Annotated[int, Field(ge=100, le=999_999_999)]


def _reference(value: str) -> str:
    if not re.match(r"(env|file|cmd):.", value):
        raise ValueError("a secret is a reference: env:NAME, file:PATH or cmd:COMMAND, never the secret itself")
    return value


SecretRef = Annotated[str, AfterValidator(_reference)]


def _interface(value: str) -> str:
    try:
        ipaddress.ip_interface(value)
    except ValueError:
        raise ValueError(f"{value!r} is no address with prefix; write it as 10.0.0.20/24") from None
    return value


def _address(value: str) -> str:
    try:
        ipaddress.ip_address(value)
    except ValueError:
        raise ValueError(f"{value!r} is no address; write it as 10.0.0.1, without a prefix") from None
    return value


Interface = Annotated[str, AfterValidator(_interface)]
Address = Annotated[str, AfterValidator(_address)]


class Strict(BaseModel):
    """Base of every section: unknown keys are errors, values do not change after loading."""

    model_config = ConfigDict(extra="forbid", frozen=True)


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
