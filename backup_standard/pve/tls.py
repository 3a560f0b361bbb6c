"""Trust in the API's certificate: always verified, by CA file, pinned SHA-256 fingerprint or this machine's CAs."""

from __future__ import annotations

import datetime as dt
import hashlib
import socket
import ssl
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from requests.adapters import HTTPAdapter
from urllib3.util.ssl_ import create_urllib3_context

from backup_standard.errors import ConnectionFailed, Unreachable, Untrusted
from backup_standard.inventory.schema import ApiSection
from backup_standard.inventory.secrets import expand, lab_cure

DEFAULT_PORT = 8006
SHOW_FINGERPRINT = "openssl x509 -in /etc/pve/local/pve-ssl.pem -noout -fingerprint -sha256"
"""Shows the fingerprint on the node itself (pveproxy-ssl.pem instead where a custom certificate is installed)."""


@dataclass(frozen=True)
class Endpoint:
    """Where the API answers and how its certificate is trusted; ``ca`` is a file's path."""

    host: str
    port: int
    ca: str | None
    fingerprint: str | None
    timeout: float

    @classmethod
    def of(cls, api: ApiSection) -> Endpoint:
        """The endpoint that an inventory describes. ConnectionFailed when its CA file is missing or no certificate."""
        parts = urlsplit(api.url)
        ca = str(expand(api.ca)) if api.ca else None
        endpoint = cls(
            host=parts.hostname or "",
            port=parts.port or DEFAULT_PORT,
            ca=ca,
            fingerprint=api.fingerprint,
            timeout=api.timeout.total_seconds(),
        )
        if ca:
            endpoint.context()
        return endpoint

    @property
    def url(self) -> str:
        """As messages name it."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"https://{host}:{self.port}"

    @property
    def verify(self) -> bool | str:
        """What requests verifies against. False only with a pinned fingerprint, which is then checked instead."""
        if self.fingerprint and not self.ca:
            return False
        return self.ca or system_cas() or True

    def context(self) -> ssl.SSLContext:
        """A context that verifies, for the HTTPS session and for websockets alike.

        Without OpenSSL's strict mode (Python 3.13's default), which refuses the CA that Proxmox VE makes at
        installation because it names no key usage.
        """
        context = create_urllib3_context()
        context.verify_flags &= ~ssl.VERIFY_X509_STRICT
        if self.fingerprint and not self.ca:
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
            return context
        context.verify_mode = ssl.CERT_REQUIRED
        context.check_hostname = not self.fingerprint
        try:
            context.load_verify_locations(self.ca) if self.ca else context.load_default_certs()
        except FileNotFoundError:
            raise ConnectionFailed(
                f"there is no CA file {self.ca}",
                where=self.url,
                next_step=lab_cure(Path(self.ca or "")) or "copy /etc/pve/pve-root-ca.pem of a node there (api.ca)",
            ) from None
        except (ssl.SSLError, OSError):
            raise ConnectionFailed(
                f"{self.ca} is not a CA certificate in PEM form",
                where=self.url,
                next_step="copy /etc/pve/pve-root-ca.pem of a node there (api.ca)",
            ) from None
        return context

    def open(self) -> ssl.SSLSocket:
        """A verified TLS connection to the API, for a websocket. ConnectionFailed as for requests."""
        try:
            plain = socket.create_connection((self.host, self.port), timeout=self.timeout)
            secured = self.context().wrap_socket(plain, server_hostname=self.host)
        except ssl.SSLError as problem:
            raise explain_tls(self, problem) from None
        except OSError as problem:
            raise unreachable(self, problem) from None
        shown = fingerprint_of(secured.getpeercert(binary_form=True) or b"")
        if self.fingerprint and shown != self.fingerprint.upper():
            secured.close()
            raise explain_tls(self, ssl.SSLError("fingerprint"))
        return secured


def system_cas() -> str | None:
    """Where this machine keeps the CAs it trusts; None when Python's build knows no such place."""
    places = ssl.get_default_verify_paths()
    return places.cafile or places.capath


class TrustingAdapter(HTTPAdapter):
    """Makes every connection of a session verify as the endpoint says."""

    def __init__(self, endpoint: Endpoint) -> None:
        self._endpoint = endpoint
        super().__init__()

    def init_poolmanager(self, connections: int, maxsize: int, block: bool = False, **pool: Any) -> None:  # noqa: FBT001, FBT002 - requests' own signature
        """Hand the pin and the context to urllib3."""
        if self._endpoint.fingerprint:
            pool["assert_fingerprint"] = self._endpoint.fingerprint
        pool["ssl_context"] = self._endpoint.context()
        super().init_poolmanager(connections, maxsize, block, **pool)


def fingerprint_of(certificate: bytes) -> str:
    """SHA-256 of a DER certificate as Proxmox prints it: upper case, colons."""
    digest = hashlib.sha256(certificate).hexdigest().upper()
    return ":".join(digest[place : place + 2] for place in range(0, len(digest), 2))


def presented(endpoint: Endpoint) -> x509.Certificate | None:
    """The certificate the host shows, fetched without trusting it and without sending anything; None if none."""
    try:
        pem = ssl.get_server_certificate((endpoint.host, endpoint.port), timeout=endpoint.timeout)
        return x509.load_pem_x509_certificate(pem.encode())
    except (OSError, ValueError):
        return None


def explain_tls(endpoint: Endpoint, problem: BaseException) -> ConnectionFailed:
    """Why the certificate is not trusted: what was presented, what was expected, and the cure."""
    certificate = presented(endpoint)
    if certificate is None:
        return Unreachable(
            f"no TLS connection could be made ({_reason(problem)})",
            where=endpoint.url,
            next_step="check that api.url names the API port of Proxmox VE (8006)",
        )
    shown = fingerprint_of(certificate.public_bytes(Encoding.DER))
    if endpoint.fingerprint and shown != endpoint.fingerprint.upper():
        return Untrusted(
            f"the certificate is not the pinned one: presented {shown}, pinned {endpoint.fingerprint.upper()}",
            where=endpoint.url,
            next_step=f'compare with "{SHOW_FINGERPRINT}" on the node; '
            f"only if that shows {shown}, set it as api.fingerprint",
        )
    return _distrusted(endpoint, certificate, shown, _reason(problem))


def _distrusted(endpoint: Endpoint, certificate: x509.Certificate, shown: str, reason: str) -> ConnectionFailed:
    now = dt.datetime.now(dt.UTC)
    subject = certificate.subject.rfc4514_string() or "no subject"
    names = _names(certificate)
    if certificate.not_valid_after_utc < now:
        what = f"the certificate ({subject}) expired on {certificate.not_valid_after_utc:%Y-%m-%d}"
        cure = "renew it on the node: pvecm updatecerts --force && systemctl restart pveproxy"
    elif certificate.not_valid_before_utc > now:
        what = f"the certificate ({subject}) is valid only from {certificate.not_valid_before_utc:%Y-%m-%d}"
        cure = "check the clocks of this machine and of the node"
    elif endpoint.host not in names and "match" in reason.lower():
        what = f"the certificate is for {', '.join(names) or 'no name at all'}, not for {endpoint.host}"
        cure = "write one of those names in api.url, or pin the fingerprint (api.fingerprint)"
    else:
        trusted = endpoint.ca or "the CAs of this machine"
        what = (
            f"the certificate ({subject}, issued by {certificate.issuer.rfc4514_string()}) is not signed by {trusted}"
        )
        cure = (
            "copy /etc/pve/pve-root-ca.pem of the node and name it in api.ca, or pin the fingerprint (api.fingerprint)"
        )
    return Untrusted(f"{what}; presented SHA-256 {shown}", where=endpoint.url, next_step=cure)


def _names(certificate: x509.Certificate) -> list[str]:
    try:
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return []
    return [str(name.value) for name in names]


def _reason(problem: BaseException) -> str:
    """The innermost text of a chain of wrapped errors."""
    seen: BaseException = problem
    while True:
        inner = getattr(seen, "reason", None)
        inner = (
            inner
            if isinstance(inner, BaseException)
            else next((part for part in seen.args if isinstance(part, BaseException)), None)
        )
        if inner is None:
            return str(seen)
        seen = inner


def unreachable(endpoint: Endpoint, problem: BaseException) -> Unreachable:
    """Why the host could not be reached."""
    text = _reason(problem)
    if "refused" in text.lower():
        what, cure = "nothing listens there (connection refused)", "check host and port of api.url, and pveproxy there"
    elif "timed out" in text.lower():
        what = f"no answer within {endpoint.timeout:g} s"
        cure = "check that this machine may reach it, or raise api.timeout"
    elif isinstance(problem, socket.gaierror) or "resolve" in text.lower():
        what, cure = f"the name {endpoint.host} is not known", "check api.url and this machine's name service"
    else:
        what, cure = f"the connection failed: {text}", "check that the API answers there"
    cure = lab_cure(Path(endpoint.ca or "")) or cure
    return Unreachable(what, where=endpoint.url, next_step=cure)
