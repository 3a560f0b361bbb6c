"""The monitor and the consoles of guests over the API."""

from __future__ import annotations

import pytest

from lab.pve.console import TerminalFrames, open_stream, ticket_is_good
from lab.pve.dispatch import Request, make_call
from tests.lab_unit.pve.guestlab import DRILLER, ROOT, ROOT_TOKEN, Lab, drill_role


@pytest.fixture
def running(lab: Lab) -> Lab:
    """VM 200 runs and its agent answers."""
    assert lab.run("POST", "~/qemu/200/status/start").status == "OK"
    return lab


def test_the_monitor_answers_info_to_auditors(running: Lab) -> None:
    assert running.data("POST", "~/qemu/200/monitor", DRILLER, command="info status") == "VM status: running\r\n"


def test_screendump_is_for_root_itself(running: Lab) -> None:
    assert running.refused("POST", "~/qemu/200/monitor", ROOT_TOKEN, command="screendump /tmp/x.ppm") == (
        500, "root-only command 'screendump'",
    )  # fmt: skip
    assert running.refused("POST", "~/qemu/200/monitor", DRILLER, command="system_reset") == (
        403, "Permission check failed (/, Sys.Modify)",
    )  # fmt: skip


def test_the_monitor_needs_a_privilege_of_its_own(running: Lab) -> None:
    drill_role(running.site, without="Sys.Audit")

    assert running.refused("POST", "~/qemu/200/monitor", DRILLER, command="info status") == (
        403, "Permission check failed (/vms/200, Sys.Audit|Sys.Modify)",
    )  # fmt: skip


def test_the_monitor_of_a_stopped_guest_answers_with_an_error_text(lab: Lab) -> None:
    assert lab.data("POST", "~/qemu/200/monitor", command="info status") == "ERROR: VM 200 not running\n"


def websocket(lab: Lab, vmid: int, port: int, ticket: str, who: str = DRILLER) -> Request:
    params = {"port": str(port), "vncticket": ticket}
    return Request("GET", f"/nodes/pve1/qemu/{vmid}/vncwebsocket", params, authorization=f"PVEAPIToken={who}=secret")


def test_a_screen_is_reached_with_ticket_and_password(running: Lab) -> None:
    proxy = running.data("POST", "~/qemu/200/vncproxy", DRILLER, websocket=1)
    stream = open_stream(make_call(running.site, websocket(running, 200, proxy["port"], proxy["ticket"])))

    assert proxy.keys() == {"user", "ticket", "port", "cert", "upid", "password"}
    assert proxy["user"] == DRILLER
    assert proxy["ticket"].startswith(proxy["password"] + ":PVEVNC:")
    assert not stream.terminal
    assert stream.socket.startswith("/")
    assert stream.session.password == proxy["password"]
    stream.close()
    assert running.site.tasks.wait(proxy["upid"]).status == "OK"


def test_a_ticket_is_bound_to_user_guest_and_port(running: Lab) -> None:
    proxy = running.data("POST", "~/qemu/200/vncproxy", DRILLER)
    other = running.data("POST", "~/qemu/200/vncproxy", DRILLER)

    for request in (
        websocket(running, 200, proxy["port"], proxy["ticket"], ROOT_TOKEN),
        websocket(running, 200, other["port"], proxy["ticket"]),
        websocket(running, 200, proxy["port"], "PVEVNC:00000000::x"),
        websocket(running, 220, proxy["port"], proxy["ticket"]),
    ):
        answer = running.ask("GET", request.path, request.authorization[12:].split("=")[0], **request.params)
        assert (answer.status, answer.reason) == (401, "permission denied - invalid PVEVNC ticket")


def test_a_ticket_is_good_for_forty_seconds(running: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    proxy = running.data("POST", "~/qemu/200/vncproxy", DRILLER)
    session = running.site.consoles.find(proxy["port"])
    call = make_call(running.site, websocket(running, 200, proxy["port"], proxy["ticket"]))
    assert session is not None
    assert ticket_is_good(call, session, proxy["ticket"])

    later = running.site.now() + 41
    monkeypatch.setattr(running.site.access, "_now", lambda: later)
    assert not ticket_is_good(call, session, proxy["ticket"])


def test_release_8_uses_the_ticket_as_password(lab8: Lab) -> None:
    lab8.run("POST", "~/qemu/200/status/start")
    proxy = lab8.data("POST", "~/qemu/200/vncproxy", ROOT_TOKEN)
    session = lab8.site.consoles.find(proxy["port"])

    assert "password" not in proxy
    assert session is not None
    assert session.password == proxy["ticket"][:8]


def test_a_terminal_asks_for_user_and_ticket_and_takes_frames(running: Lab) -> None:
    proxy = running.data("POST", "~/qemu/200/termproxy", DRILLER)
    call = make_call(running.site, websocket(running, 200, proxy["port"], proxy["ticket"]))
    stream = open_stream(call)
    frames = TerminalFrames(call, stream.session)

    assert stream.terminal
    assert frames.feed(f"{DRILLER}:{proxy['ticket']}\n".encode()) == (b"", b"OK")
    assert frames.feed(b"1:80:24:0:5:ro") == (b"", b"")
    assert frames.feed(b"ot\r20:1:x") == (b"root\rx"[:4] + b"\r" + b"x", b"")
    with pytest.raises(PermissionError):
        TerminalFrames(call, stream.session).feed(b"driller@pve!suite:PVEVNC:0::x\n")


def test_a_guest_without_a_serial_port_has_no_terminal(lab: Lab) -> None:
    lab.data("PUT", "~/qemu/200/config", delete="serial0")

    assert lab.refused("POST", "~/qemu/200/termproxy") == (500, "unable to find a serial interface")


def test_consoles_need_their_privilege(running: Lab) -> None:
    drill_role(running.site, without="VM.Console")

    assert running.refused("POST", "~/qemu/200/vncproxy", DRILLER) == (
        403,
        "Permission check failed (/vms/200, VM.Console)",
    )


def test_root_ticket_may_ask_for_a_screenshot_file(running: Lab) -> None:
    assert isinstance(running.data("POST", "~/qemu/200/monitor", ROOT, command="screendump /tmp/x.ppm"), str)


def test_release_8_lets_those_who_may_modify_the_system_ask_for_it(lab8: Lab) -> None:
    lab8.run("POST", "~/qemu/200/status/start")

    assert lab8.ask("POST", "~/qemu/200/monitor", ROOT_TOKEN, command="screendump /tmp/x.ppm").status == 200
    assert lab8.refused("POST", "~/qemu/200/monitor", DRILLER, command="screendump /tmp/x.ppm") == (
        403, "Permission check failed (/, Sys.Modify)",
    )  # fmt: skip
    assert lab8.data("POST", "~/qemu/200/monitor", DRILLER, command="info status") == "VM status: running\r\n"
