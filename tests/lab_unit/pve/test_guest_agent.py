"""The guest agent over the API."""

from __future__ import annotations

import base64
from collections.abc import Mapping

import pytest

from lab.hypervisor import AgentError, AgentSilent
from tests.lab_unit.pve.guestlab import DRILLER, NOBODY, Lab, drill_role


@pytest.fixture
def running(lab: Lab) -> Lab:
    """VM 200 runs and its agent answers."""
    assert lab.run("POST", "~/qemu/200/status/start").status == "OK"
    return lab


def answering(
    lab: Lab, monkeypatch: pytest.MonkeyPatch, answers: Mapping[str, object]
) -> list[tuple[str, dict[str, object]]]:
    """Let the agent give these answers; what it was asked is collected."""
    asked: list[tuple[str, dict[str, object]]] = []

    def agent(_vmid: int, command: str, arguments: Mapping[str, object], _timeout: float) -> object:
        asked.append((command, dict(arguments)))
        result = answers.get(command, {})
        if isinstance(result, Exception):
            raise result
        return result

    monkeypatch.setattr(lab.hypervisor, "agent", agent)
    return asked


def test_a_guest_without_the_agent_option_says_so_even_when_stopped(lab: Lab) -> None:
    lab.data("PUT", "~/qemu/200/config", delete="agent")

    assert lab.refused("POST", "~/qemu/200/agent/ping") == (500, "No QEMU guest agent configured")


def test_a_stopped_guest_is_not_running(lab: Lab) -> None:
    for method, name in (("POST", "ping"), ("GET", "get-osinfo"), ("GET", "info"), ("GET", "network-get-interfaces")):
        assert lab.refused(method, f"~/qemu/200/agent/{name}") == (500, "VM 200 is not running")
    assert lab.refused("POST", "~/qemu/200/agent/exec", command=["hostname"]) == (500, "VM 200 is not running")


def test_a_silent_agent_is_not_running(running: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    answering(running, monkeypatch, {"guest-ping": AgentSilent()})

    assert running.refused("POST", "~/qemu/200/agent/ping") == (500, "QEMU guest agent is not running")
    assert (
        running.refused("POST", "~/qemu/200/agent/exec", command=["hostname"])[1] == "QEMU guest agent is not running"
    )


def test_commands_answer_under_result(running: Lab) -> None:
    assert running.data("POST", "~/qemu/200/agent/ping") == {"result": {}}
    assert "id" in running.data("GET", "~/qemu/200/agent/get-osinfo")["result"]
    assert isinstance(running.data("GET", "~/qemu/200/agent/network-get-interfaces")["result"], list)


def test_a_ping_by_get_is_not_implemented(running: Lab) -> None:
    assert running.refused("GET", "~/qemu/200/agent/ping") == (
        501,
        "Method 'GET /nodes/pve1/qemu/200/agent/ping' not implemented",
    )


def test_an_error_of_the_agent_is_part_of_the_result(running: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    answering(running, monkeypatch, {"guest-get-users": AgentError("has been disabled", "CommandNotFound")})

    assert running.data("GET", "~/qemu/200/agent/get-users") == {
        "result": {"error": {"class": "CommandNotFound", "desc": "has been disabled"}}
    }


def test_exec_takes_program_and_arguments_and_hands_input_over(running: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = answering(running, monkeypatch, {"guest-exec": {"pid": 369}})

    assert running.data("POST", "~/qemu/200/agent/exec", command=["cat", "-"], input_data="hello") == {"pid": 369}
    assert asked[-1] == (
        "guest-exec",
        {"path": "cat", "arg": ["-"], "capture-output": True, "input-data": base64.b64encode(b"hello").decode()},
    )
    running.data("POST", "~/qemu/200/agent/exec", command="cat /etc/marker")
    assert asked[-1][1]["path"] == "cat /etc/marker"


@pytest.mark.parametrize(
    ("status", "data"),
    [
        ({"exited": False}, {"exited": 0}),
        ({"exited": True, "signal": 9}, {"exited": 1, "signal": 9}),
        (
            {"exited": True, "exitcode": 3, "out-data": "b3V0Cg==", "err-data": "ZXJyCg=="},
            {
                "exited": 1,
                "exitcode": 3,
                "out-data": "out\n",
                "out-truncated": 0,
                "err-data": "err\n",
                "err-truncated": 0,
            },
        ),
        ({"exited": True, "exitcode": 0}, {"exited": 1, "exitcode": 0}),
    ],
)
def test_exec_status_is_decoded_as_recorded(
    running: Lab, monkeypatch: pytest.MonkeyPatch, status: object, data: object
) -> None:
    answering(running, monkeypatch, {"guest-exec-status": status})

    assert running.data("GET", "~/qemu/200/agent/exec-status", pid=369) == data


def test_the_status_of_a_finished_program_is_given_once(running: Lab) -> None:
    pid = running.data("POST", "~/qemu/200/agent/exec", command=["hostname"])["pid"]
    first = running.data("GET", "~/qemu/200/agent/exec-status", pid=pid)

    assert (first["exited"], first["exitcode"]) == (1, 0)
    assert running.refused("GET", "~/qemu/200/agent/exec-status", pid=pid) == (
        500,
        "Agent error: PID ld does not exist",
    )


def test_a_program_that_does_not_exist_breaks_the_connection(running: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    answering(
        running, monkeypatch, {"guest-exec": AgentError("Failed to execute child process “/no/such” (No such file)")}
    )
    answer = running.ask("POST", "~/qemu/200/agent/exec", command=["/no/such"])

    assert (answer.status, answer.reason, answer.body) == (596, "Broken pipe", None)


def test_a_file_is_read_in_pieces_and_closed(running: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    piece = {"count": 6, "buf-b64": base64.b64encode(b"marker").decode(), "eof": True}
    asked = answering(running, monkeypatch, {"guest-file-open": 7, "guest-file-read": piece})

    assert running.data("GET", "~/qemu/200/agent/file-read", file="/etc/marker") == {
        "content": "marker",
        "bytes-read": 6,
    }
    assert asked[-1] == ("guest-file-close", {"handle": 7})


def test_a_longer_file_is_truncated(running: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    piece = {"count": 6, "buf-b64": base64.b64encode(b"marker").decode(), "eof": False}
    answering(running, monkeypatch, {"guest-file-open": 7, "guest-file-read": piece})

    assert running.data("GET", "~/qemu/200/agent/file-read", file="/etc/marker", count=6)["truncated"] == 1


def test_a_missing_file_is_an_agent_error(running: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    text = "failed to open file '/nope' (mode: 'r'): No such file or directory"
    answering(running, monkeypatch, {"guest-file-open": AgentError(text)})

    assert running.refused("GET", "~/qemu/200/agent/file-read", file="/nope") == (500, f"Agent error: {text}")


def test_a_file_is_written(running: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = answering(running, monkeypatch, {"guest-file-open": 7})

    assert running.data("POST", "~/qemu/200/agent/file-write", file="/tmp/x", content="hi") is None
    assert ("guest-file-write", {"handle": 7, "buf-b64": "aGk="}) in asked


def test_privileges_of_release_9(running: Lab) -> None:
    drill_role(running.site, without="VM.GuestAgent.Unrestricted")

    assert running.ask("POST", "~/qemu/200/agent/ping", DRILLER).status == 200
    assert running.refused("POST", "~/qemu/200/agent/exec", DRILLER, command=["id"]) == (
        403, "Permission check failed (/vms/200, VM.GuestAgent.Unrestricted)",
    )  # fmt: skip
    assert running.refused("POST", "~/qemu/200/agent/ping", NOBODY) == (
        403, "Permission check failed (/vms/200, VM.GuestAgent.Audit|VM.GuestAgent.Unrestricted)",
    )  # fmt: skip


def test_release_8_asks_for_vm_monitor(lab8: Lab) -> None:
    lab8.run("POST", "~/qemu/200/status/start")

    assert lab8.ask("POST", "~/qemu/200/agent/exec", DRILLER, command=["hostname"]).status == 200
    assert lab8.refused("POST", "~/qemu/200/agent/ping", NOBODY) == (
        403,
        "Permission check failed (/vms/200, VM.Monitor)",
    )


def test_the_index_lists_every_command(lab: Lab) -> None:
    names = [entry["name"] for entry in lab.data("GET", "~/qemu/200/agent")]

    assert names[0] == "exec"
    assert len(names) == 25
