"""An HTTPS server on loopback that says what a test wants it to say: for clients' faults, not for a site's content."""

from __future__ import annotations

import datetime as dt
import ipaddress
import json
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from backup_standard.inventory.schema import ApiSection, Token
from backup_standard.pve.tls import fingerprint_of

TOKEN = Token(id="audit@pve!suite", secret="env:FAKE_PVE_TOKEN")
DROP = object()
"""An answer that is none: the connection is closed instead."""


@dataclass
class Asked:
    """One request as it arrived."""

    method: str
    path: str
    params: dict[str, list[str]]
    authorization: str


@dataclass
class FakePve:
    """A running server; ``answer`` is called for each request and returns (status, reason, body) or DROP."""

    port: int
    ca: Path
    fingerprint: str
    answer: Callable[[Asked], object] = lambda _asked: (200, "OK", {"data": None})
    asked: list[Asked] = field(default_factory=list)

    def api(self, **changes: Any) -> ApiSection:
        values = {"url": f"https://127.0.0.1:{self.port}", "ca": str(self.ca), "audit_token": TOKEN, "timeout": "5s"}
        return ApiSection.model_validate({**values, **changes})

    def says(self, *answers: object) -> None:
        """Give these answers in turn; the last one for good."""
        left = list(answers)
        self.answer = lambda _asked: left.pop(0) if len(left) > 1 else left[0]


@contextmanager
def fake_pve(folder: Path, **certificate: Any) -> Iterator[FakePve]:
    ca, fingerprint = make_certificates(folder, **certificate)
    fake = FakePve(0, ca, fingerprint)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "server.pem", folder / "server.key")
    server = _Server(("127.0.0.1", 0), _handler(fake))
    server.context = context
    fake.port = server.server_address[1]
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield fake
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    context: ssl.SSLContext

    def finish_request(self, request: Any, client_address: Any) -> None:
        try:
            secured = self.context.wrap_socket(request, server_side=True)
        except (OSError, ssl.SSLError):
            return
        try:
            super().finish_request(secured, client_address)
        finally:
            secured.close()

    def handle_error(self, request: Any, client_address: Any) -> None:
        pass


def _handler(fake: FakePve) -> Any:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def _serve(self) -> None:
            url = urlsplit(self.path)
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0)).decode()
            params = parse_qs(url.query or body)
            asked = Asked(self.command, url.path, params, self.headers.get("Authorization", ""))
            fake.asked.append(asked)
            answer = fake.answer(asked)
            if answer is DROP:
                self.close_connection = True
                self.connection.shutdown(socket.SHUT_RDWR)
                return
            status, reason, content = answer
            data = content if isinstance(content, bytes) else json.dumps(content).encode()
            self.send_response_only(status, reason)
            if status in (301, 302):
                self.send_header("Location", "https://127.0.0.1:1/elsewhere")
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        do_GET = do_POST = do_PUT = do_DELETE = _serve  # noqa: N815 - http.server's names

        def log_message(self, *_args: Any) -> None:
            pass

    return Handler


def make_certificates(
    folder: Path, *, names: Any = ("127.0.0.1",), days: Any = 30, age: Any = 1, ca_usage: Any = False
) -> tuple[Path, str]:
    """A CA (without key usage, like the one Proxmox VE makes) and a server's certificate signed by it."""
    now = dt.datetime.now(dt.UTC)
    ca_key, key = (ec.generate_private_key(ec.SECP256R1()) for _ in range(2))
    ca_name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Proxmox Virtual Environment")])
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "pve1")])

    def build(subject: Any, public: Any) -> Any:
        return (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(ca_name)
            .public_key(public)
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - dt.timedelta(days=age))
            .not_valid_after(now + dt.timedelta(days=days))
        )

    ca = (
        build(ca_name, ca_key.public_key())
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(ca_key, hashes.SHA256())
    )
    server = build(name, key.public_key())
    if names:
        server = server.add_extension(x509.SubjectAlternativeName([_san(one) for one in names]), critical=False)
    server = server.sign(ca_key, hashes.SHA256())
    pem = serialization.Encoding.PEM
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "ca.pem").write_bytes(ca.public_bytes(pem))
    (folder / "server.pem").write_bytes(server.public_bytes(pem))
    (folder / "server.key").write_bytes(
        key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return folder / "ca.pem", fingerprint_of(server.public_bytes(serialization.Encoding.DER))


def _san(name: Any) -> Any:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)
