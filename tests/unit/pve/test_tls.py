"""Certificates are verified in every way the inventory offers; each failure says what was shown and what to do."""

from __future__ import annotations

import socket
import ssl
import threading
from pathlib import Path
from typing import Any, Never

import pytest

from backup_standard.errors import ConnectionFailed, Untrusted
from backup_standard.pve import Pve
from backup_standard.pve.tls import Endpoint, system_cas
from tests.unit.fakepve import TOKEN, FakePve, fake_pve, make_certificates

OTHER = ":".join(["AB"] * 32)


def failure(api: Any, kind: Any = ConnectionFailed) -> Any:
    with pytest.raises(kind) as caught:
        Pve.connect(api, TOKEN)
    text = str(caught.value)
    assert "s3cret" not in text
    return text


def connects(api: Any) -> bool:
    with Pve.connect(api, TOKEN) as pve, pve.again() as second:
        second.get("/version")
    return True


def test_a_certificate_of_the_named_ca_is_trusted(fake: FakePve) -> None:
    assert connects(fake.api())


def test_a_pinned_certificate_is_trusted_whatever_its_name(tmp_path: Path) -> None:
    with fake_pve(tmp_path, names=("elsewhere",)) as fake:
        assert connects(fake.api(ca=None, fingerprint=fake.fingerprint))
        assert connects(fake.api(ca=None, fingerprint=fake.fingerprint.lower()))
        assert connects(fake.api(fingerprint=fake.fingerprint))


def test_the_environment_does_not_decide_what_is_trusted(
    fake: FakePve, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_certificates(tmp_path / "other")
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(tmp_path / "other/ca.pem"))
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:9")

    assert connects(fake.api())
    assert connects(fake.api(ca=None, fingerprint=fake.fingerprint))
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(fake.ca))
    assert "the certificate is not the pinned one" in failure(fake.api(ca=None, fingerprint=OTHER), Untrusted)


def test_another_certificate_than_the_pinned_one_is_refused_before_the_token_is_sent(fake: FakePve) -> None:
    text = failure(fake.api(ca=None, fingerprint=OTHER), Untrusted)

    assert text == (
        f"https://127.0.0.1:{fake.port}: the certificate is not the pinned one: presented {fake.fingerprint}, "
        f"pinned {OTHER}\n"
        '  Next: compare with "openssl x509 -in /etc/pve/local/pve-ssl.pem -noout -fingerprint -sha256" on the node; '
        f"only if that shows {fake.fingerprint}, set it as api.fingerprint"
    )
    assert fake.asked == []


def test_a_pin_beside_a_ca_must_hold_too(fake: FakePve) -> None:
    assert "is not the pinned one" in failure(fake.api(fingerprint=OTHER), Untrusted)
    assert fake.asked == []


def test_a_certificate_of_an_unknown_ca_is_refused(fake: FakePve, tmp_path: Path) -> None:
    other, _ = make_certificates(tmp_path / "other")

    assert failure(fake.api(ca=str(other)), Untrusted) == (
        f"https://127.0.0.1:{fake.port}: the certificate (CN=pve1, issued by CN=Proxmox Virtual Environment) is not "
        f"signed by {other}; presented SHA-256 {fake.fingerprint}\n"
        "  Next: copy /etc/pve/pve-root-ca.pem of the node and name it in api.ca, or pin the fingerprint "
        "(api.fingerprint)"
    )
    assert fake.asked == []


def test_without_ca_and_pin_this_machines_cas_decide(fake: FakePve) -> None:
    assert "is not signed by the CAs of this machine" in failure(fake.api(ca=None), Untrusted)
    assert system_cas() is None or isinstance(system_cas(), str)


def test_a_certificate_for_another_name_is_refused(tmp_path: Path) -> None:
    with fake_pve(tmp_path, names=("pve1", "10.1.2.3")) as fake:
        assert failure(fake.api(), Untrusted) == (
            f"https://127.0.0.1:{fake.port}: the certificate is for pve1, 10.1.2.3, not for 127.0.0.1; "
            f"presented SHA-256 {fake.fingerprint}\n"
            "  Next: write one of those names in api.url, or pin the fingerprint (api.fingerprint)"
        )


def test_a_certificate_without_names_is_refused(tmp_path: Path) -> None:
    with fake_pve(tmp_path, names=()) as fake:
        assert "the certificate is for no name at all, not for 127.0.0.1" in failure(fake.api(), Untrusted)


def test_an_expired_certificate_is_refused(tmp_path: Path) -> None:
    with fake_pve(tmp_path, days=-1, age=30) as fake:
        text = failure(fake.api(), Untrusted)
        assert "the certificate (CN=pve1) expired on 20" in text
        assert text.endswith("Next: renew it on the node: pvecm updatecerts --force && systemctl restart pveproxy")


def test_a_certificate_of_the_future_is_refused(tmp_path: Path) -> None:
    with fake_pve(tmp_path, age=-2) as fake:
        text = failure(fake.api(), Untrusted)
        assert "is valid only from 20" in text
        assert text.endswith("Next: check the clocks of this machine and of the node")


def test_a_port_where_nothing_listens_is_said() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    api = _plain(port)

    assert failure(api) == (
        f"https://127.0.0.1:{port}: nothing listens there (connection refused)\n"
        "  Next: check host and port of api.url, and pveproxy there"
    )
    with pytest.raises(ConnectionFailed, match="nothing listens there"):
        Endpoint.of(api).open()


def test_a_host_that_does_not_answer_is_said() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        text = failure(_plain(silent.getsockname()[1], timeout="1s"))
    assert "no answer within 1 s" in text


def test_a_name_that_is_not_known_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    def unknown(*_args: Any, **_kwargs: Any) -> Never:
        raise socket.gaierror(-2, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    api = _plain(8006, url="https://pve.invalid:8006")
    assert failure(api).startswith("https://pve.invalid:8006: the name pve.invalid is not known\n")


def test_a_port_that_does_not_speak_tls_is_said(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:

        def answer() -> None:
            while True:
                try:
                    peer, _ = server.accept()
                except OSError:
                    return
                with peer:
                    peer.sendall(b"HTTP/1.0 400 Bad Request\r\n\r\n")
                    peer.recv(1024)

        thread = threading.Thread(target=answer, daemon=True)
        thread.start()
        text = failure(_plain(server.getsockname()[1]))
        server.shutdown(socket.SHUT_RDWR)
    thread.join()
    assert "no TLS connection could be made" in text
    assert text.endswith("check that api.url names the API port of Proxmox VE (8006)")


def test_the_lab_that_is_down_says_to_bring_it_up(tmp_path: Path) -> None:
    ca, _ = make_certificates(tmp_path / "backup-standard-lab")
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]

    assert failure(_plain(port, ca=str(ca))).endswith("Next: bring the lab up: python -m lab up")
    assert failure(_plain(port, ca=str(tmp_path / "backup-standard-lab/none.pem"))).endswith("python -m lab up")


def test_a_missing_or_broken_ca_file_is_named(fake: FakePve, tmp_path: Path) -> None:
    assert failure(fake.api(ca=str(tmp_path / "none.pem"))) == (
        f"https://127.0.0.1:{fake.port}: there is no CA file {tmp_path}/none.pem\n"
        "  Next: copy /etc/pve/pve-root-ca.pem of a node there (api.ca)"
    )
    (tmp_path / "broken.pem").write_text("no certificate")
    assert "broken.pem is not a CA certificate in PEM form" in failure(fake.api(ca=str(tmp_path / "broken.pem")))


def test_a_socket_for_a_websocket_is_verified_alike(fake: FakePve) -> None:
    with Endpoint.of(fake.api()).open() as secured:
        assert secured.version().startswith("TLS")
    with Endpoint.of(fake.api(ca=None, fingerprint=fake.fingerprint)).open() as secured:
        assert secured.version().startswith("TLS")
    with pytest.raises(Untrusted, match="is not the pinned one"):
        Endpoint.of(fake.api(ca=None, fingerprint=OTHER)).open()
    with pytest.raises(Untrusted, match="is not signed by"):
        Endpoint.of(fake.api(ca=None)).open()


def test_endpoints_are_read_from_urls() -> None:
    endpoint = Endpoint.of(_plain(1, url="https://[fe80::1]"))
    assert (endpoint.host, endpoint.port, endpoint.url) == ("fe80::1", 8006, "https://[fe80::1]:8006")


def test_openssls_strict_mode_is_off_for_the_ca_that_proxmox_makes(fake: FakePve) -> None:
    assert not Endpoint.of(fake.api()).context().verify_flags & ssl.VERIFY_X509_STRICT


def _plain(port: Any, **changes: Any) -> Any:
    return FakePve(port, "unused", "").api(**{"ca": None, **changes})
