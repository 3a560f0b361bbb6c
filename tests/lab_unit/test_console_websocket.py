"""A guest's screen and serial console through the API's websocket, as a browser or a drill opens them."""

from __future__ import annotations

import ssl
from collections.abc import Iterator
from urllib.parse import quote

import pytest
import websocket

from tests import labsite

GUEST = "/nodes/pve1/qemu/210"


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[labsite.LabSite]:
    with labsite.running(tmp_path_factory.mktemp("state")) as running:
        upid = running.data("POST", f"{GUEST}/status/start", "root")
        assert running.site.tasks.wait(upid).status in {"OK", "VM 210 already running"}
        yield running


def connect(lab: labsite.LabSite, proxy: dict[str, str], ticket: str, who: str = "root") -> websocket.WebSocket:
    tokenid, secret = lab.tokens[who]
    return websocket.create_connection(
        f"wss://127.0.0.1:{lab.server.port}/api2/json{GUEST}/vncwebsocket?port={proxy['port']}&vncticket={quote(ticket)}",
        header=[f"Authorization: PVEAPIToken={tokenid}={secret}"],
        sslopt={"ca_certs": str(lab.ca), "cert_reqs": ssl.CERT_REQUIRED},
        subprotocols=["binary"],
        timeout=5,
        http_no_proxy=["127.0.0.1"],
    )


def test_the_screen_speaks_rfb(lab: labsite.LabSite) -> None:
    proxy = lab.data("POST", f"{GUEST}/vncproxy", "root", websocket=1)
    channel = connect(lab, proxy, proxy["ticket"])
    try:
        assert channel.recv() == b"RFB 003.008\n"
        channel.send_binary(b"RFB 003.008\n")
        kinds = channel.recv()
        assert isinstance(kinds, bytes)
        assert 2 in kinds[1:]
    finally:
        channel.close()
    assert lab.site.tasks.wait(proxy["upid"], 10).status == "OK"


def test_a_ticket_is_good_for_its_own_user_and_port_only(lab: labsite.LabSite) -> None:
    proxy = lab.data("POST", f"{GUEST}/vncproxy", "root", websocket=1)
    for port, ticket in ((proxy["port"], proxy["ticket"] + "0"), ("5999", proxy["ticket"])):
        with pytest.raises(websocket.WebSocketBadStatusException) as refused:
            connect(lab, {**proxy, "port": port}, ticket)
        assert refused.value.status_code == 401
    with pytest.raises(websocket.WebSocketBadStatusException) as forbidden:
        connect(lab, proxy, proxy["ticket"], "audit")
    assert forbidden.value.status_code == 403
    lab.site.tasks.stop(proxy["upid"])


def test_other_routes_are_no_websockets(lab: labsite.LabSite) -> None:
    tokenid, secret = lab.tokens["root"]
    with pytest.raises(websocket.WebSocketBadStatusException) as refused:
        websocket.create_connection(
            f"wss://127.0.0.1:{lab.server.port}/api2/json/version",
            header=[f"Authorization: PVEAPIToken={tokenid}={secret}"],
            sslopt={"ca_certs": str(lab.ca)},
            timeout=5,
            http_no_proxy=["127.0.0.1"],
        )
    assert refused.value.status_code == 501
