"""A guest's screen over RFB and its serial port, on unix sockets."""

import hashlib
import socket
from collections.abc import Callable
from pathlib import Path

import pytest

from backup_standard.drill import rfb
from lab.hypervisor import HypervisorError
from lab.memory import MemoryHypervisor
from lab.scripted.rfb import response


def picture(path: str, password: str) -> rfb.Picture:
    """Read the screen with the library's own client, which shares no code with the server."""
    with socket.socket(socket.AF_UNIX) as client:
        client.settimeout(10)
        client.connect(path)
        return rfb.take_picture(rfb.Stream(lambda: client.recv(65536), client.sendall), password)


def test_the_screen_is_shown_to_whoever_knows_the_password(hypervisor: MemoryHypervisor) -> None:
    shown = picture(hypervisor.vnc(210, "s3cret!!"), "s3cret!!")

    assert (shown.width, shown.height) == (320, 200)
    assert hashlib.sha256(shown.rgb).digest() == hashlib.sha256(hypervisor.machines[210].picture()[15:]).digest()
    assert len({shown.rgb[at : at + 3] for at in range(0, len(shown.rgb), 3)}) == 2


def test_two_guests_have_two_screens(hypervisor: MemoryHypervisor) -> None:
    screens = {picture(hypervisor.vnc(vmid, "password"), "password").rgb for vmid in (200, 210)}

    assert len(screens) == 2


def test_a_wrong_password_is_refused(hypervisor: MemoryHypervisor) -> None:
    path = hypervisor.vnc(210, "s3cret!!")

    with pytest.raises(rfb.RfbError):
        picture(path, "other")
    with pytest.raises(rfb.RfbError):
        picture(path, "s3cret!!")


def test_a_password_is_good_once(hypervisor: MemoryHypervisor) -> None:
    path = hypervisor.vnc(210, "s3cret!!")
    picture(path, "s3cret!!")

    with pytest.raises(rfb.RfbError):
        picture(path, "s3cret!!")


def test_only_eight_characters_count() -> None:
    assert response("12345678abc", bytes(16)) == response("12345678", bytes(16)) != response("1234567", bytes(16))


def test_a_guest_that_is_off_has_no_screen(hypervisor: MemoryHypervisor) -> None:
    path = Path(hypervisor.vnc(210, "password"))
    hypervisor.stop(210)

    assert not path.exists()
    with pytest.raises(HypervisorError, match="not running"):
        hypervisor.vnc(210, "password")


def reader(client: socket.socket) -> Callable[[str], str]:
    """Return what reads up to a text and keeps the rest for the next time."""
    seen = b""

    def up_to(text: str) -> str:
        nonlocal seen
        while text.encode() not in seen:
            chunk = client.recv(4096)
            assert chunk, f"the console ended before {text!r}: {seen!r}"
            seen += chunk
        head, found, seen = seen.partition(text.encode())
        return (head + found).decode()

    return up_to


@pytest.mark.parametrize("end", [b"\r", b"\n", b"\r\n"])
def test_the_serial_port_asks_for_a_login(hypervisor: MemoryHypervisor, access: object, end: bytes) -> None:
    with socket.socket(socket.AF_UNIX) as client:
        client.settimeout(10)
        client.connect(hypervisor.serial(210, 0))
        up_to = reader(client)
        up_to("dns login: ")
        client.sendall(b"drill" + end)
        up_to("Password: ")
        client.sendall(b"wrong" + end)
        up_to("Login incorrect")
        up_to("dns login: ")
        client.sendall(b"drill" + end)
        up_to("Password: ")
        client.sendall(b"correct horse" + end)
        assert "correct" not in up_to("drill@dns:~$ ")
        client.sendall(b"id -un" + end)
        assert "\r\ndrill\r\n" in up_to("drill@dns:~$ ").replace("id -un", "")


def test_a_port_that_is_not_configured(hypervisor: MemoryHypervisor) -> None:
    with pytest.raises(HypervisorError, match="no serial port 1"):
        hypervisor.serial(210, 1)
