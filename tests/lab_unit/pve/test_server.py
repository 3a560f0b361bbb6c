"""The HTTPS side: reason phrases, bodies, headers, credentials, as a client meets them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import requests

from lab import certificates
from lab.pve.call import Call, die
from lab.pve.routes import ROUTES
from lab.pve.server import Server, TlsFiles, serve
from tests.lab_unit.pve.stubs import ROOT, bare_site


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Server, Path]]:
    folder = tmp_path_factory.mktemp("tls")
    ca, pem, key = folder / "ca.pem", folder / "api.pem", folder / "api.key"
    certificates.make(ca, pem, key)
    with serve(bare_site(), tls=TlsFiles(pem, key)) as server:
        yield server, ca


def send(server: tuple[Server, Path], method: str, path: str, token: str = ROOT, **more: object) -> requests.Response:
    with requests.Session() as session:
        session.trust_env = False
        headers = {"Authorization": token} if token else {}
        return session.request(method, server[0].url + path, headers=headers, verify=str(server[1]), timeout=5, **more)  # type: ignore[arg-type]


def test_an_answer_has_the_real_ones_headers(server: tuple[Server, Path]) -> None:
    got = send(server, "GET", "/version")
    assert got.json() == {"data": {"release": "9.2", "version": "9.2.11", "repoid": "f6997e698c7933ea"}}
    assert got.headers["Server"] == "pve-api-daemon/3.0"
    assert got.headers["Content-Type"] == "application/json;charset=UTF-8"
    assert got.headers["Cache-Control"] == "max-age=0"


def test_the_reason_phrase_carries_the_error(server: tuple[Server, Path]) -> None:
    got = send(server, "GET", "/pools/nope")
    assert (got.status_code, got.reason) == (500, "pool 'nope' does not exist")
    assert got.json() == {"data": None, "message": "pool 'nope' does not exist\n"}
    assert got.headers["Connection"] == "close"


def test_a_refused_login_has_no_body(server: tuple[Server, Path]) -> None:
    got = send(server, "GET", "/version", "PVEAPIToken=root@pam!suite=wrong")
    assert (got.status_code, got.reason, got.content) == (401, "Authentication failed!", b"")


def test_json_bodies_forms_and_repeated_keys(server: tuple[Server, Path]) -> None:
    assert send(server, "POST", "/pools", data={"poolid": "form", "comment": "ä b"}).json() == {"data": None}
    assert send(server, "POST", "/pools", json={"poolid": "json"}).status_code == 200
    assert server[0].site.pools["form"].comment == "ä b"
    got = send(server, "PUT", "/pools/form", data=[("vms", "998"), ("vms", "999")])
    assert got.reason == "VM 998 does not exist"


def test_a_password_login_works_with_cookie_and_csrf(server: tuple[Server, Path]) -> None:
    login = send(server, "POST", "/access/ticket", "", data={"username": "root@pam", "password": "root-password"})
    proof = login.json()["data"]
    cookies = {"PVEAuthCookie": proof["ticket"]}
    assert send(server, "GET", "/version", "", cookies=cookies).status_code == 200
    refused = send(server, "DELETE", "/pools/none", "", cookies=cookies)
    assert (refused.status_code, refused.reason) == (401, "Permission denied - invalid csrf token")


def test_what_is_not_the_json_api_is_not_served(server: tuple[Server, Path]) -> None:
    with requests.Session() as session:
        session.trust_env = False
        root = server[0].url.removesuffix("/api2/json")
        assert session.get(f"{root}/api2/extjs/version", verify=str(server[1]), timeout=5).status_code == 501
        assert session.get(f"{root}/", verify=str(server[1]), timeout=5).status_code == 404


def test_the_certificate_is_the_one_that_is_told(server: tuple[Server, Path]) -> None:
    told = send(server, "GET", "/nodes/pve1/certificates/info").json()["data"][0]
    assert "127.0.0.1" in told["san"]
    assert told["pem"].strip() in server[0].site.certificate
    assert told["notafter"] > told["notbefore"]


def test_error_text_that_is_not_ascii_breaks_the_answer(
    server: tuple[Server, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    def curly(_call: Call) -> None:
        die("Failed to execute child process “nope”")

    monkeypatch.setitem(ROUTES, "GET /version", curly)
    got = send(server, "GET", "/version")
    assert (got.status_code, got.reason, got.content) == (596, "Broken pipe", b"")


def test_a_port_in_use_is_an_error(server: tuple[Server, Path]) -> None:
    with pytest.raises(OSError, match="address already in use"):
        serve(bare_site(), port=server[0].port)


def test_a_body_that_is_too_large_is_not_read(server: tuple[Server, Path]) -> None:
    got = send(server, "POST", "/pools", data={"poolid": "big", "comment": "x" * 600_000})
    assert (got.status_code, got.reason) == (501, "for data too large")
