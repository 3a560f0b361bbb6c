"""The console of a restored guest: read, photographed, blurred; each on made-up answers."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterable
from typing import Any

import pytest
import websocket

from backup_standard.drill import png, rfb, screen
from backup_standard.drill.blur import TILE, blurred
from backup_standard.errors import MissingPrivilege

RED, BLUE = b"\x00\x00\xff\x00", b"\xff\x00\x00\x00"
HELLO = b"RFB 003.008\n"
NO_PASSWORD = b"\x01\x01" + struct.pack(">I", 0)


def server_init(width: int, height: int) -> bytes:
    return struct.pack(">HH", width, height) + bytes(16) + struct.pack(">I", 3) + b"VM1"


def rectangle(left: int, top: int, width: int, height: int, pixels: bytes, *, encoding: int = 0) -> bytes:
    return struct.pack(">HHHHi", left, top, width, height, encoding) + pixels


def update(*rectangles: bytes) -> bytes:
    return b"\0\0" + struct.pack(">H", len(rectangles)) + b"".join(rectangles)


def stream(data: bytes, sent: list[bytes] | None = None, chunk: int = 7) -> rfb.Stream:
    chunks: Iterable[bytes] = iter([data[at : at + chunk] for at in range(0, len(data), chunk)] + [b""])
    kept = sent if sent is not None else []
    return rfb.Stream(lambda: next(iter(chunks)), kept.append)


def test_a_picture_is_read_from_several_rectangles_in_any_chunks() -> None:
    first, second = rectangle(0, 0, 2, 1, RED * 2), rectangle(0, 1, 2, 1, BLUE * 2)
    noise = b"\x02" + b"\x03\0\0\0" + struct.pack(">I", 2) + b"hi" + b"\x01\0\0\0" + struct.pack(">H", 1) + bytes(6)
    sent: list[bytes] = []
    talk = HELLO + NO_PASSWORD + server_init(2, 2) + update(first) + noise + update(second)
    picture = rfb.take_picture(stream(talk, sent), "")
    assert (picture.width, picture.height) == (2, 2)
    assert picture.rgb == b"\xff\0\0" * 2 + b"\0\0\xff" * 2
    assert sent[0] == HELLO
    assert sent[1] == b"\x01"


def test_a_password_is_proven_by_its_first_eight_characters() -> None:
    """A known pair: password "COW" against the challenge of zeros, key bits mirrored."""
    challenge = bytes(range(16))
    sent: list[bytes] = []
    data = (
        HELLO
        + b"\x02\x01\x02"
        + challenge
        + struct.pack(">I", 0)
        + server_init(1, 1)
        + update(rectangle(0, 0, 1, 1, RED))
    )
    rfb.take_picture(stream(data, sent), "secret-and-more")
    assert sent[1] == b"\x02"
    assert sent[2] == rfb.response(challenge, "secret-a")
    assert sent[2] != rfb.response(challenge, "secret-b")
    assert rfb.response(bytes(16), "").hex() == "8ca64de9c1b123a7" * 2


REFUSED = struct.pack(">I", 7) + b"go away"


@pytest.mark.parametrize(
    ("data", "saying"),
    [
        (b"", "the connection ended"),
        (HELLO + b"\0" + REFUSED, "go away"),
        (HELLO + b"\x01\x13", "only security types"),
        (HELLO + b"\x01\x01" + struct.pack(">I", 1) + REFUSED, "go away"),
        (HELLO + NO_PASSWORD + server_init(1, 1) + b"\x09", "unknown message"),
        (HELLO + NO_PASSWORD + server_init(1, 1) + update(rectangle(0, 0, 1, 1, RED, encoding=16)), "not raw"),
        (HELLO + NO_PASSWORD + server_init(1, 1) + update(rectangle(1, 0, 1, 1, RED)), "outside the screen"),
        (HELLO + NO_PASSWORD + struct.pack(">HH", 1, 1) + bytes(16) + struct.pack(">I", 1 << 30), "at once"),
    ],
)
def test_a_server_that_misbehaves_is_an_error_with_a_reason(data: bytes, saying: str) -> None:
    with pytest.raises(rfb.RfbError, match=saying):
        rfb.take_picture(stream(data), "")


def test_a_png_holds_the_pixels() -> None:
    data = png.encode(2, 1, b"\xff\0\0\0\0\xff")
    assert data.startswith(b"\x89PNG\r\n\x1a\n")
    at = data.index(b"IDAT") + 4
    assert zlib.decompress(data[at : data.index(b"IEND") - 8]) == b"\0\xff\0\0\0\0\xff"
    assert struct.unpack(">II", data[16:24]) == (2, 1)
    with pytest.raises(ValueError, match="do not make 2 x 2 pixels"):
        png.encode(2, 2, b"")
    assert png.is_blank(b"\1\2\3" * 4)
    assert not png.is_blank(b"\1\2\3\1\2\4")


class Console:
    """An API with a console, and the websocket to it."""

    def __init__(self, *talks: Any) -> None:
        self.talks, self.closed, self.status = list(talks), 0, "running"

    def get(self, path: str, **_params: Any) -> Any:
        assert path == "/nodes/pve1/qemu/201/status/current"
        return {"status": self.status}

    def write(self, _method: str, _path: str, _params: Any = None) -> Any:
        if isinstance(self.talks[0], Exception):
            raise self.talks[0]
        return {"port": 5900, "ticket": "PVEVNC:a+b/c="}

    def __call__(self, path: str) -> Any:
        assert path.endswith("vncwebsocket?port=5900&vncticket=PVEVNC%3Aa%2Bb%2Fc%3D")
        talk = self.talks.pop(0) if len(self.talks) > 1 else self.talks[0]
        self.messages = iter([talk, ""])
        return self

    def recv(self) -> Any:
        message = next(self.messages)
        if isinstance(message, Exception):
            raise message
        return message

    def send_binary(self, _payload: bytes) -> None:
        return

    def close(self) -> None:
        self.closed += 1


def talk(pixels: bytes) -> bytes:
    return HELLO + NO_PASSWORD + server_init(2, 1) + update(rectangle(0, 0, 2, 1, pixels))


def capture(console: Console, *, blur: bool = False) -> screen.Screen:
    return screen.capture(console, console, "pve1", 201, blur=blur, patience=0.2)  # type: ignore[arg-type]


def test_a_console_is_photographed_and_a_blank_one_looked_at_again() -> None:
    console = Console(talk(BLUE * 2), talk(RED + BLUE))
    taken = capture(console)
    assert taken.png
    assert taken.reason == ""
    assert console.closed == 2


def test_a_console_that_stays_blank_is_shown_and_said_so() -> None:
    taken = capture(Console(talk(RED * 2)))
    assert taken.png
    assert taken.reason == "the console shows nothing"


@pytest.mark.parametrize(
    ("problem", "saying"),
    [
        (
            MissingPrivilege("the token lacks VM.Console on /vms/201", next_step="pveum …"),
            "lacks VM.Console on /vms/201",
        ),
        (b"RFB", "the connection ended"),
        (OSError("connection reset"), "connection reset"),
    ],
)
def test_without_a_picture_the_reason_is_honest(problem: Any, saying: str) -> None:
    taken = capture(Console(problem))
    assert taken.png is None
    assert saying in taken.reason


def test_a_websocket_that_fails_is_a_reason_and_a_fault_of_ours_is_not_hidden() -> None:
    class Failing(Console):
        def recv(self) -> Any:
            raise websocket.WebSocketConnectionClosedException("closed")

    class Faulty(Console):
        def recv(self) -> Any:
            raise RuntimeError("a bug")

    assert "websocket failed: closed" in capture(Failing(b"")).reason
    with pytest.raises(RuntimeError):
        capture(Faulty(b""))


def text_screen(letters: bytes) -> rfb.Picture:
    """A console of 80 by 32 pixels: one letter (8 by 16, black or white) for each byte, in two lines of ten."""
    rows = []
    for line in (letters[:10], letters[10:20]):
        rows += [
            b"".join(
                (b"\xff" if (letter >> (row % 8)) & (128 >> x) else b"\0") * 3 for letter in line for x in range(8)
            )
            for row in range(16)
        ]
    return rfb.Picture(80, 32, b"".join(rows))


def test_a_blurred_picture_has_the_same_size_and_one_grey_a_tile() -> None:
    found = blurred(text_screen(bytes(range(33, 53))))
    assert (found.width, found.height, len(found.rgb)) == (80, 32, 80 * 32 * 3)
    first = found.rgb[: 80 * 3]
    assert found.rgb == first * 32
    tiles = [set(first[left * 3 : (left + TILE) * 3]) for left in range(0, 80, TILE)]
    assert [len(tile) for tile in tiles] == [1, 1, 1]


def test_two_texts_on_a_console_are_the_same_picture_once_blurred() -> None:
    one, other = text_screen(b"password: swordfish!"), text_screen(b"password: swordfis!h")
    assert one.rgb != other.rgb
    assert blurred(one) == blurred(other)


def test_pictures_that_do_not_end_with_a_whole_tile_keep_their_size() -> None:
    found = blurred(rfb.Picture(33, 33, b"\xff\x80\x00" * (33 * 33)))
    assert len(found.rgb) == 33 * 33 * 3
    assert png.is_blank(found.rgb)


def test_a_screen_that_is_to_be_blurred_never_leaves_clear() -> None:
    clear, hidden = capture(Console(talk(RED + BLUE))), capture(Console(talk(RED + BLUE)), blur=True)
    assert clear.png
    assert hidden.png
    assert hidden.reason == screen.BLURRED
    at = hidden.png.index(b"IDAT") + 4
    pixels = zlib.decompress(hidden.png[at : hidden.png.index(b"IEND") - 8])
    assert pixels == b"\0" + b"\x40" * 6, "one tile: the average of red and blue, 85, in steps of 32"
    assert clear.png != hidden.png


def test_a_guest_that_does_not_run_has_no_console_to_wait_for() -> None:
    console = Console(talk(RED))
    console.status = "stopped"
    assert capture(console) == screen.Screen(None, screen.NOT_RUNNING)
