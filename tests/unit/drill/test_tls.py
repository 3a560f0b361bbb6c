"""HTTPS to a restored guest: a server on the loopback that speaks TLS, asked as the drill gateway asks."""

from __future__ import annotations

import hashlib
import socket
import ssl
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from backup_standard.drill import services
from backup_standard.errors import ConnectionFailed
from backup_standard.inventory.checks import HttpCheck, ServiceCheck
from lab import certificates

PAGE = b"HTTP/1.0 200 OK\r\n\r\n" + b"the shop is open " * 20_000
"""More than one TLS record, and more than one read."""


@dataclass
class Guest:
    """Ports of a guest that lead to one listener."""

    port: int
    ca: Path
    pin: str

    def open(self, _port: int) -> socket.socket:
        return socket.create_connection(("127.0.0.1", self.port), timeout=30)

    def exchange(self, port: int, _request: bytes, **_: Any) -> bytes:
        raise ConnectionFailed(f"port {port} was asked without TLS")

    def is_open(self, _port: int) -> bool:
        return True


def serve(listener: socket.socket, context: ssl.SSLContext | None) -> None:
    """Answer until the listener is closed; a client that breaks off does not end it."""
    while True:
        try:
            plain, _peer = listener.accept()
        except OSError:
            return
        try:
            with plain, context.wrap_socket(plain, server_side=True) if context else plain as secured:
                if b"\r\n\r\n" in secured.recv(65536):
                    secured.sendall(PAGE)
        except OSError:
            continue


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("keys")
    certificates.make(
        folder / "ca.pem", folder / "api.pem", folder / "api.key", names=("shop.acme.example", "www.acme.example")
    )
    return folder


@pytest.fixture(params=[True], ids=["tls"])
def guest(keys: Path, request: pytest.FixtureRequest) -> Iterator[Guest]:
    """A guest whose web server shows the certificate of shop.acme.example; without TLS where a test asks so."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(keys / "api.pem", keys / "api.key")
    listener = socket.create_server(("127.0.0.1", 0))
    thread = threading.Thread(target=serve, args=(listener, context if request.param else None), daemon=True)
    thread.start()
    first = (keys / "api.pem").read_text().partition("-----END CERTIFICATE-----")
    der = ssl.PEM_cert_to_DER_cert(first[0] + first[1])
    digest = hashlib.sha256(der).hexdigest().upper()
    pin = ":".join(digest[place : place + 2] for place in range(0, 64, 2))
    yield Guest(listener.getsockname()[1], keys / "ca.pem", pin)
    listener.shutdown(socket.SHUT_RDWR)
    listener.close()
    thread.join(30)


def judge(guest: Guest, host: str = "shop.acme.example", **changes: Any) -> str:
    check = HttpCheck.model_validate({"url": f"https://{host}/", "body": "is open", "ca": str(guest.ca)} | changes)
    return services.failure(ServiceCheck(http=check), services.Probes(None, None, guest))  # type: ignore[arg-type]


def test_a_page_is_read_whole_from_a_server_whose_ca_is_known(guest: Guest) -> None:
    assert judge(guest) == ""
    assert judge(guest, body="is closed") == "https://shop.acme.example/ does not contain 'is closed'"
    assert judge(guest, status=204) == "https://shop.acme.example/ answers 200, not 204"


def test_a_certificate_for_another_name_is_not_trusted(guest: Guest) -> None:
    assert "its certificate is not trusted: Hostname mismatch" in judge(guest, "other.acme.example")


def test_a_certificate_of_a_ca_that_this_machine_does_not_know_is_not_trusted(guest: Guest) -> None:
    assert "its certificate is not trusted: " in judge(guest, ca=None)


def test_a_pinned_certificate_is_that_one_and_no_other(guest: Guest) -> None:
    assert judge(guest, "10.0.0.20", ca=None, fingerprint=guest.pin) == ""
    other = "00" + guest.pin[2:] if not guest.pin.startswith("00") else "11" + guest.pin[2:]
    assert "not the pinned" in judge(guest, ca=None, fingerprint=other)


def test_a_ca_that_cannot_be_read_is_named(guest: Guest, tmp_path: Path) -> None:
    assert "no CA certificate that can be read" in judge(guest, ca=str(tmp_path / "none.pem"))
    (tmp_path / "text.pem").write_text("hello")
    assert "no CA certificate that can be read" in judge(guest, ca=str(tmp_path / "text.pem"))


@pytest.mark.parametrize("guest", [False], indirect=True, ids=["plain"])
def test_a_server_that_speaks_no_tls_is_said_so(guest: Guest) -> None:
    assert judge(guest).startswith(("it speaks no TLS", "it went silent"))


def test_a_port_where_nobody_is_ends_early() -> None:
    class Nobody(Guest):
        def open(self, _port: int) -> Any:
            mine, theirs = socket.socketpair()
            theirs.close()
            return mine

    found = judge(Nobody(0, Path("x"), ""), ca=None)
    assert found.startswith(("it speaks no TLS", "it went silent"))


@pytest.mark.parametrize(
    ("check", "saying"),
    [
        ({"url": "http://x/", "ca": "y"}, "stand beside an https"),
        ({"url": "ftp://x/"}, "not a URL that the gateway can ask"),
        ({"url": "https://x:0/"}, "not a URL that the gateway can ask"),
        ({"url": "https://x/", "ca": "y", "fingerprint": ":".join(["AB"] * 32)}, "ca or fingerprint, not both"),
    ],
)
def test_half_a_trust_is_refused(check: dict[str, Any], saying: str) -> None:
    with pytest.raises(ValueError, match=saying):
        HttpCheck.model_validate(check)
