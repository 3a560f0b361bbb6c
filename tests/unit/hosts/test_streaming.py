"""Commands whose output is heard while they run."""

from __future__ import annotations

import threading

import paramiko
import pytest

from backup_standard.errors import ConnectionFailed
from backup_standard.hosts import streaming
from backup_standard.hosts.ssh import SshClient
from backup_standard.hosts.streaming import run_lines
from tests.unit.sshd import Sshd


def test_lines_come_one_by_one_and_the_rest_at_the_end(client: SshClient, server: Sshd) -> None:
    heard: list[str] = []
    server.answer = lambda _line, _stdin: (3, b"one\ntwo\xff\n\nlast", b"x" * 20_000 + b"the end\n")
    output = run_lines(client, "go", heard.append, silence=20)
    assert heard == ["one", "two\ufffd", "", "last"]
    assert (output.rc, output.stdout) == (3, b"last")
    assert output.stderr.endswith(b"the end\n")
    assert len(output.stderr) <= streaming.SAID


def test_whoever_hears_may_end_it(client: SshClient, server: Sshd) -> None:
    def hear(line: str) -> None:
        raise RuntimeError(line)

    server.answer = lambda _line, _stdin: (0, b"enough\n", b"")
    with pytest.raises(RuntimeError, match="enough"):
        run_lines(client, "go", hear, silence=20)


def test_silence_is_a_loss(client: SshClient, server: Sshd) -> None:
    over = threading.Event()

    def answer(_line: str, _stdin: bytes) -> tuple[int, bytes, bytes]:
        over.wait(30)
        return 0, b"", b""

    server.answer = answer
    with pytest.raises(ConnectionFailed, match=r"ssh root@\[127.0.0.1\]:\d+: no sign of life within 0.5 s"):
        run_lines(client, "go", lambda _line: None, silence=0.5)
    over.set()


def test_a_connection_that_is_cut_is_a_loss(client: SshClient, server: Sshd) -> None:
    def answer(_line: str, _stdin: bytes) -> tuple[int, bytes, bytes]:
        server.drop()
        return 0, b"", b""

    server.answer = answer
    with pytest.raises(ConnectionFailed, match="the connection was lost"):
        run_lines(client, "go", lambda _line: None, silence=20)


def test_a_command_that_was_killed_is_a_loss(client: SshClient, server: Sshd) -> None:
    server.answer = lambda _line, _stdin: (-1, b"half\n", b"")
    with pytest.raises(ConnectionFailed, match="it ended without an exit status"):
        run_lines(client, "go", lambda _line: None, silence=20)


def test_a_line_without_end_is_not_believed(client: SshClient, server: Sshd, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(streaming, "LONGEST_LINE", 1000)
    server.answer = lambda _line, _stdin: (0, b"x" * 100_000, b"")
    with pytest.raises(ConnectionFailed, match="a line without end"):
        run_lines(client, "go", lambda _line: None, silence=20)


def test_a_channel_that_cannot_be_closed_any_more_does_not_hide_what_was_lost(
    client: SshClient, server: Sshd, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened = client.open

    def broken() -> None:
        raise EOFError

    def fragile(command: str) -> paramiko.Channel:
        channel = opened(command)
        monkeypatch.setattr(channel, "close", broken)
        return channel

    monkeypatch.setattr(client, "open", fragile)
    server.answer = lambda _line, _stdin: (-1, b"half\n", b"")
    with pytest.raises(ConnectionFailed, match="it ended without an exit status"):
        run_lines(client, "go", lambda _line: None, silence=20)
