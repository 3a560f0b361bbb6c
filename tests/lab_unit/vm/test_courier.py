"""Both ends of the courier, joined by a socket instead of a virtio port."""

import importlib.util
import os
import socket
import threading
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

import lab.vm
from lab.vm.courier import Courier, CourierLost

SCRIPT = Path(lab.vm.__file__).parent / "tree/node/usr/local/lib/lab/courier.py"


@pytest.fixture(scope="module")
def far() -> ModuleType:
    spec = importlib.util.spec_from_file_location("node_courier", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def courier(tmp_path: Path, far: ModuleType) -> Iterator[Courier]:
    path = tmp_path / "lane0.sock"
    server = socket.socket(socket.AF_UNIX)
    server.bind(str(path))
    server.listen(4)

    def serve() -> None:
        while True:
            try:
                link, _ = server.accept()
            except OSError:
                return
            port = far.Port.__new__(far.Port)
            port.fd = os.dup(link.fileno())
            link.close()
            try:
                while True:
                    far.answer(port)
            except (far.GoneError, OSError):
                os.close(port.fd)

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    courier = Courier([path])
    yield courier
    courier.close()
    server.shutdown(socket.SHUT_RDWR)
    server.close()
    thread.join(5)


def test_run_gives_status_and_outputs(courier: Courier) -> None:
    done = courier.run(["sh", "-c", "cat; echo bad >&2; exit 4"], b"good")
    assert (done.rc, done.stdout, done.stderr) == (4, "good", "bad\n")


def test_an_argument_is_never_read_by_a_shell(courier: Courier) -> None:
    assert courier.run(["echo", "$(id); 'x'"]).stdout == "$(id); 'x'\n"


def test_an_unknown_command_is_status_127(courier: Courier) -> None:
    done = courier.run(["no-such-command"])
    assert done.rc == 127
    assert "no-such-command" in done.stderr


def test_a_command_that_takes_too_long_is_an_error_and_the_lane_lives_on(courier: Courier) -> None:
    with pytest.raises(CourierLost):
        courier.run(["sleep", "5"], timeout=0.2)
    assert courier.run(["echo", "on"]).stdout == "on\n"


def test_put_and_get_a_file(courier: Courier, tmp_path: Path) -> None:
    data = os.urandom(700_000)
    with courier.put(path=str(tmp_path / "f"), mtime=1_700_000_000.0) as sink:
        assert sink.write(data) == len(data)
    assert (tmp_path / "f").read_bytes() == data
    assert (tmp_path / "f").stat().st_mtime == 1_700_000_000
    with courier.get(path=str(tmp_path / "f")) as stream:
        assert b"".join(iter(lambda: stream.read(1 << 16), b"")) == data


def test_get_a_part(courier: Courier, tmp_path: Path) -> None:
    (tmp_path / "f").write_bytes(b"x" * 600_000)
    with courier.get(path=str(tmp_path / "f"), limit=300_000) as stream:
        assert sum(len(part) for part in iter(lambda: stream.read(1 << 20), b"")) == 300_000


def test_a_stream_left_early_does_not_disturb_the_next_request(courier: Courier, tmp_path: Path) -> None:
    (tmp_path / "f").write_bytes(b"x" * 3_000_000)
    with courier.get(path=str(tmp_path / "f")) as stream:
        assert stream.read(10) == b"x" * 10
    assert courier.run(["echo", "on"]).stdout == "on\n"


def test_a_sender_that_fails_leaves_the_lane_usable(courier: Courier, tmp_path: Path) -> None:
    def fail_half_way() -> None:
        with courier.put(path=str(tmp_path / "f")) as sink:
            sink.write(b"half")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail_half_way()
    assert courier.run(["echo", "on"]).stdout == "on\n"


def test_streams_go_through_commands(courier: Courier, tmp_path: Path) -> None:
    with courier.put(argv=["sh", "-c", f"cat > {tmp_path}/g"]) as sink:
        sink.write(b"words")
    with courier.get(argv=["cat", str(tmp_path / "g")]) as stream:
        assert stream.read(100) == b"words"
        assert stream.read(100) == b""


def test_a_command_that_fails_is_told_with_its_words(courier: Courier) -> None:
    with (
        pytest.raises(OSError, match=r"sh: exit 3: no room"),
        courier.put(argv=["sh", "-c", "cat >/dev/null; echo no room >&2; exit 3"]) as sink,
    ):
        sink.write(b"x")
    with pytest.raises(OSError, match="exit 1"), courier.get(argv=["false"]) as stream:
        stream.read(1)


def test_missing_files_are_missing(courier: Courier, tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError), courier.get(path=str(tmp_path / "no")) as stream:
        stream.read(1)
    with pytest.raises(FileNotFoundError):
        courier.small("list", str(tmp_path / "no"))
    with pytest.raises(FileNotFoundError), courier.put(path=str(tmp_path / "no/f")) as sink:
        sink.write(b"x" * 1_000_000)
    assert courier.run(["echo", "on"]).stdout == "on\n"


def test_small_operations(courier: Courier, tmp_path: Path) -> None:
    courier.small("makedirs", str(tmp_path / "a/b"))
    (tmp_path / "a/b/f").write_bytes(b"123")
    courier.small("rename", str(tmp_path / "a/b/f"), target=str(tmp_path / "a/b/g"))
    ((name, size, *_),) = courier.small("list", str(tmp_path / "a/b"))["files"]
    assert (name, size) == ("g", 3)
    courier.small("unlink", str(tmp_path / "a/b/g"))
    assert not (tmp_path / "a/b/g").exists()
    usage = courier.small("usage", str(tmp_path))
    assert usage["total"] >= usage["used"] + usage["avail"] > 0
    assert str(tmp_path).startswith(str(usage["mountpoint"]))
    with pytest.raises(OSError, match="not implemented"):
        courier.small("dance")
