"""Windows guests: a whole drill through the agent of a scripted guest that speaks PowerShell, and each question alone.

No Windows was asked for these: the forms are those of the documentation and of the agent's recorded answers.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Sequence
from typing import Any

import pytest

from backup_standard.drill.agent import Agent
from backup_standard.drill.agent_door import LOGON, AgentDoor
from backup_standard.drill.dialect import Unreadable, is_windows
from backup_standard.drill.engine import STEPS, Drill
from backup_standard.drill.ports import Ran
from backup_standard.drill.replay import ReplayedDrill
from backup_standard.drill.steps import networking, serving
from backup_standard.drill.windows import WINDOWS, literal
from backup_standard.errors import ConnectionFailed, LoginRefused
from backup_standard.hosts import Recorder
from backup_standard.inventory.checks import SqlCheck
from backup_standard.inventory.secrets import Secret
from lab.scripted import guest as scripted
from tests.drillground import Ground
from tests.unit.drill import powershell

PASSWORD = "Grüße, Ihr Passwort"


@pytest.fixture
def windows(ground: Ground, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Drill]:
    """Drills guest 210 as if it were Windows, with what a test changes of its ``drill:``."""
    monkeypatch.setattr(serving, "SERVICES_TIMEOUT", 0.3)
    monkeypatch.setattr(networking, "NETWORK_TIMEOUT", 0.3)
    monkeypatch.setenv("WINDOWS_PASSWORD", PASSWORD)
    monkeypatch.setattr(
        scripted, "PROGRAMS", {**scripted.PROGRAMS, "powershell.exe": powershell.program({"drill": PASSWORD})}
    )

    def start(**changes: Any) -> Drill:
        known = {
            "login": {"user": "drill", "password": "env:WINDOWS_PASSWORD", "through": "agent"},
            "services": [{"unit": "dnsmasq"}, {"port": 53}, {"command": {"run": "Write-Output up", "output": "up"}}],
            "data": [{"file": "/etc/dnsmasq.d/lab.conf", "contains": "www.lab.example"}],
        }  # fmt: skip
        ground.inventory = ground.changed(vmid=210, **(known | changes))
        drill = ground.drill(210)
        get = drill.tools.api.get

        def with_windows(path: str, /, **params: object) -> object:
            answer = get(path, **params)
            if path.endswith("extractconfig"):
                return f"{answer}ostype: win11\n"
            return {**answer, "ostype": "win11"} if path.endswith("/211/config") else answer

        monkeypatch.setattr(drill.tools.api, "get", with_windows)
        return drill

    return start


def test_every_step_of_a_windows_guest_goes_through_its_agent(
    ground: Ground, windows: Callable[..., Drill], tmp_path: Any
) -> None:
    with windows() as drill:
        found = {name: drill.step(name) for name in (*STEPS, "teardown") if name != "teardown"}
        host = drill.host(Recorder(drill.tools.folder / "commands-main.jsonl"))
        assert host.run("Write-Output %s", "it's").stdout == "'it''s'\r\n"
        drill.step("teardown")
    assert {name: str(step.outcome) for name, step in found.items()} == dict.fromkeys(STEPS, "ok")
    assert found["login"].observed["wrong_credential"] == {"password": "refused"}
    assert set(found["services"].observed["services"].values()) == {"ok"}
    assert any(text.startswith("node ") for text in found["network"].observed["unreachable"])
    assert drill.record.system == "windows"
    written = "".join(path.read_text(errors="replace") for path in drill.tools.folder.rglob("*.jsonl"))
    for secret in (PASSWORD, base64.b64encode(PASSWORD.encode()).decode()):
        assert secret not in written
    again = ReplayedDrill(drill.plan, drill.tools.folder).host()
    assert again.run("Write-Output %s", "it's").stdout == "'it''s'\r\n"
    assert ground.nothing_left, ground.left_behind


@pytest.mark.parametrize(
    ("changes", "step", "saying"),
    [
        ({"services": [{"unit": "Spooler"}]}, "services", "unit Spooler is not there"),
        (
            {"services": [{"command": {"run": "Write-Output no", "output": "up"}}]},
            "services",
            "Output no' printed 'no'",
        ),
        ({"data": [{"file": "C:\\data\\a.txt", "contains": "x"}]}, "data", "C:\\data\\a.txt cannot be read"),
        ({"data": [{"folder": "/etc/dnsmasq.d"}, {"folder": "D:\\data"}]}, "data", "D:\\data cannot be read"),
        ({"data": [{"folder": "/sbin"}]}, "data", "no file in /sbin holds anything"),
        ({"data": [{"folder": "/etc", "mounted": True}]}, "data", "no file system of its own is mounted on /etc"),
    ],
)
def test_what_is_wrong_in_a_windows_guest_fails_its_row(
    windows: Callable[..., Drill], monkeypatch: pytest.MonkeyPatch, changes: Any, step: str, saying: str
) -> None:
    monkeypatch.setattr("backup_standard.drill.steps.data.DATA_TIMEOUT", 0.1)
    with windows(**changes) as drill:
        found = drill.step(step)
    assert saying in found.message


def test_a_wrong_password_in_the_inventory_fails_the_login(
    windows: Callable[..., Drill], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WINDOWS_PASSWORD", "of last year")
    with windows() as drill:
        found = drill.step("login")
    assert "the login as drill was refused (Windows refuses the logon of drill with error 1326" in found.message


def test_a_login_through_the_agent_is_for_windows(ground: Ground, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WINDOWS_PASSWORD", PASSWORD)
    login = {"user": "drill", "password": "env:WINDOWS_PASSWORD", "through": "agent"}
    ground.inventory = ground.changed(vmid=210, login=login)
    with ground.drill(210) as drill:
        assert "guests.210.drill.login.through: agent is for Windows guests" in drill.step("login").message


class Answering:
    """An agent's API that answers each script with what a test says; it keeps what it was given."""

    def __init__(self, **status: Any) -> None:
        self.final, self.given = {"exited": 1, "exitcode": 0, **status}, []

    def write(self, _method: str, _path: str, params: Any = None) -> Any:
        self.given.append(params)
        return {"pid": 1}

    def get(self, _path: str, **_params: Any) -> Any:
        return self.final


def door(**status: Any) -> tuple[AgentDoor, Answering]:
    api = Answering(**status)
    return AgentDoor(Agent(api, "pve1", 201), "drill", Secret(PASSWORD)), api  # type: ignore[arg-type]


def test_the_password_travels_as_input_and_never_as_an_argument() -> None:
    way, api = door(**{"out-data": "account WINSRV\\Drill\r\n"})
    session = way.enter()
    (given,) = api.given
    assert given["command"] == list(LOGON)
    user, word = (base64.b64decode(line).decode() for line in given["input-data"].split())
    assert (user, word) == ("drill", PASSWORD)
    assert PASSWORD not in json.dumps(given["command"], ensure_ascii=False)
    assert session.run(("whoami",)).stdout == "WINSRV\\Drill\n"
    with pytest.raises(ConnectionFailed, match="no further commands"):
        session.run(("dir",))
    session.close()


@pytest.mark.parametrize(
    ("status", "problem", "saying"),
    [
        ({"out-data": "refused 1326\r\n"}, LoginRefused, "wrong name or password"),
        ({"out-data": "refused 1909\r\n"}, LoginRefused, "error 1909: see Windows"),
        (
            {"exitcode": 1, "err-data": "Add-Type : denied\r\nat line 3"},
            ConnectionFailed,
            "tried: Add-Type : denied",
        ),
    ],
)
def test_a_logon_that_does_not_stand_says_why(status: Any, problem: type[Exception], saying: str) -> None:
    with pytest.raises(problem, match=saying):
        door(**status)[0].enter()


def test_only_a_refusal_for_the_wrong_password_shows_that_wrong_passwords_are_refused() -> None:
    with pytest.raises(LoginRefused):
        door(**{"out-data": "refused 1326"})[0].enter_wrongly("password")
    with pytest.raises(ConnectionFailed, match="error 1909"):
        door(**{"out-data": "refused 1909"})[0].enter_wrongly("password")
    way, api = door(**{"out-data": "account X\\drill"})
    way.enter_wrongly("password")
    assert base64.b64decode(api.given[0]["input-data"].split()[1]).decode() != PASSWORD


def decoded(argv: Sequence[str]) -> str:
    return base64.b64decode(argv[-1]).decode("utf-16-le")


def test_what_varies_is_a_literal_that_nothing_leaves() -> None:
    assert literal("a'; Remove-Item C:\\ '") == "'a''; Remove-Item C:\\ '''"
    assert literal("\u2019") == "'\u2019\u2019'", "PowerShell takes typographic quotes for quotes"
    asked: list[str] = []

    def run(argv: Sequence[str]) -> Ran:
        asked.append(decoded(argv))
        return Ran(0, "Running\r\n")

    assert WINDOWS.unit_state(run, "x'y") == "active"
    assert "-Name 'x''y')" in asked[0]


def test_addresses_are_checked_before_they_are_part_of_a_script() -> None:
    assert "InterNetworkV6" in decoded(WINDOWS.connect("2001:db8::1", 22))
    assert "InterNetwork]" not in decoded(WINDOWS.connect("2001:db8::1", 22))
    with pytest.raises(ValueError, match="does not appear to be an IPv4 or IPv6 address"):
        WINDOWS.connect("10.0.0.1'); evil", 22)


def test_answers_in_windows_own_forms() -> None:
    assert WINDOWS.digest(lambda _argv: Ran(0, "AB12\r\n"), "C:\\x") == "ab12"
    assert WINDOWS.modified(lambda _argv: Ran(0, "1764000000\r\n"), "C:\\x") == 1764000000
    assert WINDOWS.unit_state(lambda _argv: Ran(0, "Paused\r\n"), "x") == "paused"
    assert WINDOWS.unit_state(lambda _argv: Ran(1, "", "no such service"), "x") == ""
    with pytest.raises(Unreadable, match="cannot be read: Cannot find path"):
        WINDOWS.read(lambda _argv: Ran(1, "", "Cannot find path\r\nat"), "C:\\x")
    with pytest.raises(Unreadable, match="came incomplete"):
        WINDOWS.read(lambda _argv: Ran(0, "abc"), "C:\\x")
    assert [WINDOWS.is_account(said, "drill") for said in ("WINSRV\\Drill\r\n", "drill", "WINSRV\\other", "")] == [
        True, True, False, False,
    ]  # fmt: skip
    assert WINDOWS.is_account("ACME\\drill", "acme\\drill")
    assert not WINDOWS.is_account("OTHER\\drill", "acme\\drill")


def test_databases_on_windows() -> None:
    check = {"client": "sqlcmd", "database": "shop", "query": "select 1", "answer": "1"}
    assert WINDOWS.sql(SqlCheck.model_validate(check), as_root=True)[-1] == "SET NOCOUNT ON; select 1"
    with pytest.raises(Unreadable, match="psql is asked by a command"):
        WINDOWS.sql(SqlCheck.model_validate(check | {"client": "psql"}), as_root=True)


def test_windows_is_known_by_its_configuration() -> None:
    assert [is_windows({"ostype": text}) for text in ("win11", "w2k8", "l26", "other")] == [True, True, False, False]
    assert not is_windows({})
