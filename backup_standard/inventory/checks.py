"""The keys of an inventory that say what a restored guest must show: its services, and its data."""

from __future__ import annotations

import ipaddress
import re
from typing import Annotated, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field, model_validator

from backup_standard.inventory.fields import Duration, Strict

_ABOUT_A_CHECK = frozenset({"expected_under_isolation"})
"""Keys of a service that say how to take the result, not what to look at."""


def _pattern(value: str) -> str:
    try:
        re.compile(value)
    except re.error as problem:
        raise ValueError(f"{value!r} is not a regular expression: {problem}") from None
    return value


Pattern = Annotated[str, AfterValidator(_pattern)]


def _url(value: str) -> str:
    try:
        url = urlsplit(value)
        whole = url.scheme in {"http", "https"} and url.hostname and url.port != 0
    except ValueError:
        whole = False
    if not whole:
        raise ValueError(f"{value!r} is not a URL that the gateway can ask; write https://HOST[:PORT]/PATH")
    return value


def _ip(value: str) -> str:
    try:
        return str(ipaddress.ip_address(value))
    except ValueError:
        raise ValueError(f"{value!r} is not an IP address") from None


class HttpCheck(Strict):
    """An HTTP request to the guest itself."""

    url: Annotated[str, AfterValidator(_url)] = Field(
        description="http or https://HOST[:PORT]/PATH; HOST is what the certificate is for, and not resolved"
    )
    status: int = 200
    body: str | None = Field(default=None, description="text that the body contains")
    ca: str | None = Field(default=None, description="https: file of the CA; default: the CAs of this machine")
    fingerprint: str | None = Field(
        default=None,
        pattern=r"^([0-9A-Fa-f]{2}:){31}[0-9A-Fa-f]{2}$",
        description="https: SHA-256 of the certificate, AB:CD:… (32 pairs), instead of a CA",
    )

    @model_validator(mode="after")
    def _trust_is_for_tls(self) -> HttpCheck:
        if (self.ca or self.fingerprint) and not self.url.startswith("https:"):
            raise ValueError("ca and fingerprint say which certificate is trusted; they stand beside an https:// url")
        if self.ca and self.fingerprint:
            raise ValueError("give ca or fingerprint, not both")
        return self


class DnsCheck(Strict):
    """A name that the guest's own DNS server answers."""

    name: str = Field(pattern=r"^[^.\s]{1,63}(\.[^.\s]{1,63})*\.?$", description="www.example.org")
    answer: Annotated[str, AfterValidator(_ip)] = Field(description="an address that must be among the answers")


class SqlCheck(Strict):
    """A query that the database's own client runs inside the guest, over its local socket and without a password."""

    client: Literal["psql", "mysql", "mariadb", "sqlite3", "sqlcmd"]
    query: str
    answer: str = Field(description="what the query yields, without heading; columns as the client separates them")
    database: str | None = Field(default=None, description="name of the database; for sqlite3 its file")
    account: str | None = Field(
        default=None, description="system account that the client runs as; default: postgres for psql, else the agent's"
    )
    container: str | None = Field(default=None, description="Docker container that the client runs in")

    @model_validator(mode="after")
    def _file_of_sqlite(self) -> SqlCheck:
        if self.client == "sqlite3" and not self.database:
            raise ValueError("sqlite3 needs database: FILE")
        return self


class CommandCheck(Strict):
    """A command inside the guest and what it must leave."""

    run: str = Field(description="one line for the guest's shell (Linux: sh, Windows: PowerShell)")
    output: str | None = Field(default=None, description="text that its output contains")
    status: int = Field(default=0, description="its exit status")


class ServiceCheck(Strict):
    """One declared service; exactly one of the keys, and ``expected_under_isolation`` beside it where needed."""

    unit: str | None = Field(default=None, description="systemd unit, on Windows a service, that must be active")
    port: int | None = Field(default=None, ge=1, le=65535, description="TCP port that accepts a connection")
    container: str | None = Field(default=None, description="Docker container that must run")
    http: HttpCheck | None = None
    dns: DnsCheck | None = None
    sql: SqlCheck | None = None
    command: str | CommandCheck | None = None
    expected_under_isolation: str | None = Field(
        default=None, description="why this may fail where production is out of reach; shown, never a failure"
    )

    @model_validator(mode="after")
    def _exactly_one(self) -> ServiceCheck:
        given = [key for key, value in self if value is not None and key not in _ABOUT_A_CHECK]
        if len(given) != 1:
            raise ValueError("a service has exactly one of unit, port, container, http, dns, sql, command")
        return self

    def as_command(self) -> CommandCheck | None:
        """The declared command in its long form."""
        return CommandCheck(run=self.command) if isinstance(self.command, str) else self.command


def _folder(value: str) -> str:
    if not re.match(r"/|[A-Za-z]:[\\/]", value):
        raise ValueError(f"{value!r} is no absolute path of a folder; write /srv/data, or D:\\Data on Windows")
    return value


class DataCheck(Strict):
    """Something that shows that the data came back; exactly one of file, folder, heartbeat, modified and command.

    A file and what it holds is a canary. A heartbeat tells when the guest last lived before the backup.
    """

    file: str | None = Field(default=None, description="a file that must be there, absolute path")
    contains: str | None = Field(default=None, description="text in the file")
    matches: Pattern | None = Field(default=None, description="regular expression that the file's text matches")
    sha256: str | None = Field(default=None, pattern=r"^[0-9a-f]{64}$", description="digest of the whole file")
    folder: Annotated[str, AfterValidator(_folder)] | None = Field(
        default=None, description="a folder in which a file that holds something can be read, absolute path"
    )
    mounted: bool = Field(default=False, description="the folder is where a file system of its own is mounted")
    read_only: bool = Field(default=False, description="file or folder lies on what is mounted read-only at home, too")
    heartbeat: str | None = Field(
        default=None, description="a file whose lines begin with moments: seconds since 1970, or 2026-11-24T02:00:00Z"
    )
    modified: str | None = Field(default=None, description="a file whose last change is the heartbeat")
    command: str | None = Field(default=None, description="a command inside the guest that prints such lines")
    rpo: Duration | None = Field(default=None, description="greatest age of this heartbeat; default: the guest's rpo")

    @model_validator(mode="after")
    def _exactly_one(self) -> DataCheck:
        kinds = ("file", "folder", "heartbeat", "modified", "command")
        if sum(getattr(self, key) is not None for key in kinds) != 1:
            raise ValueError("data is shown by exactly one of file, folder, heartbeat, modified, command")
        content = [key for key in ("contains", "matches", "sha256") if getattr(self, key) is not None]
        if self.file is None and content:
            raise ValueError(f"{content[0]} says what a file holds; it stands beside file")
        if self.file is not None and len(content) != 1:
            raise ValueError("a file is known by exactly one of contains, matches, sha256")
        return self

    @model_validator(mode="after")
    def _beside_what_it_is_about(self) -> DataCheck:
        has_age = self.file is None and self.folder is None
        if self.rpo is not None and not has_age:
            raise ValueError(f"rpo is the age of a heartbeat; a {'folder' if self.file is None else 'file'} has none")
        if self.mounted and self.folder is None:
            raise ValueError("mounted is about a folder; it stands beside folder")
        if self.read_only and has_age:
            raise ValueError("read_only is about a file or a folder; a heartbeat is written to")
        return self

    @property
    def path(self) -> str | None:
        """Where the data lies in the guest; None for what a command tells."""
        return self.file or self.folder or self.heartbeat or self.modified
