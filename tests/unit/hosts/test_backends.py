"""testinfra over our backends: recorded as they run, replayed without a site, over the guest agent."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from backup_standard.errors import ConnectionFailed, Unknown
from backup_standard.hosts import Recorder, agent_host, node_host, replay_host
from backup_standard.hosts.ssh import SshClient
from tests.unit.sshd import Sshd

UNIX = {"uname -s": b"Linux\n"}


def test_testinfra_works_over_ssh_and_every_result_is_recorded(server: Sshd, client: SshClient, tmp_path: Path) -> None:
    server.answer = lambda line, _stdin: (0, UNIX.get(line, b"regular file\n"), b"")
    path = tmp_path / "commands.jsonl"
    host = node_host(client, "pve1", Recorder(path))

    assert host.file("/etc/fstab").exists
    assert host.file("/etc/fstab").is_file

    lines = [json.loads(line) for line in path.read_text().splitlines()]
    assert [(line["host"], line["command"]) for line in lines] == [("pve1", command) for command in server.commands]
    assert "test -e /etc/fstab" in server.commands
    assert lines[-1]["stdout"] == "regular file\n"
    assert not any("python" in command for command in server.commands)


def test_a_recording_answers_without_the_host(server: Sshd, client: SshClient, tmp_path: Path) -> None:
    answers = iter([(0, b"one\n", b""), (0, b"two\n", b""), (2, b"\xff\xfe", b"err")])
    server.answer = lambda _line, _stdin: next(answers)
    path = tmp_path / "commands.jsonl"
    host = node_host(client, "pve1", Recorder(path))
    for command in ("date", "date", "raw"):
        host.run(command)

    again = replay_host(path, "pve1")

    assert [again.run("date").stdout for _ in range(3)] == ["one\n", "two\n", "two\n"]
    raw = again.run("raw")
    assert (raw.rc, raw.stdout_bytes, raw.stderr) == (2, b"\xff\xfe", "err")
    with pytest.raises(Unknown, match=r"the result of 'uptime' on pve1 is unknown: the recording does not hold it"):
        again.run("uptime")
    with pytest.raises(Unknown):
        replay_host(path, "pve2").run("date")


def test_text_that_is_no_utf8_does_not_stop_a_test(server: Sshd, client: SshClient) -> None:
    server.answer = lambda _line, _stdin: (0, b"caf\xe9 \xc3\xa9", b"")
    assert node_host(client, "pve1").run("x").stdout == "caf\ufffd é"


def test_commands_may_hold_any_text(server: Sshd, client: SshClient) -> None:
    assert node_host(client, "pve1").run("echo %s", "é'").stdout == "echo 'é'\"'\"''\n"


class Agent:
    def __init__(self, *statuses: Any) -> None:
        self.statuses, self.commands = list(statuses), []

    def execute(self, command: Any) -> int:
        self.commands.append(list(command))
        return 7

    def status(self, pid: Any) -> Any:
        assert pid == 7
        return self.statuses.pop(0) if len(self.statuses) > 1 else self.statuses[0]


def test_the_agent_runs_a_shell_and_is_waited_for() -> None:
    agent = Agent({"exited": 0}, {"exited": 1, "exitcode": 3, "out-data": "drill\n", "err-data": "é"})
    result = agent_host(agent, "201").run("id -un %s", "a b")

    assert agent.commands == [["/bin/sh", "-c", "id -un 'a b'"]]
    assert (result.rc, result.stdout, result.stderr) == (3, "drill\n", "é")


def test_a_command_without_output_has_none() -> None:
    assert agent_host(Agent({"exited": 1, "exitcode": 0}), "201").run("true").stdout == ""


def test_a_command_that_was_killed_or_never_ends_is_a_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ConnectionFailed, match="guest agent of 201: the command was ended by signal 9: x"):
        agent_host(Agent({"exited": 1, "signal": 9}), "201").run("x")
    monkeypatch.setattr("backup_standard.hosts.agent.COMMAND_TIMEOUT", 0.1)
    with pytest.raises(ConnectionFailed, match="end of the command 'x' in the guest: not within"):
        agent_host(Agent({"exited": 0}), "201").run("x")
