"""What looks at a restored guest: console, agent, login, network, services; each on made-up answers."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest

from backup_standard import waiting
from backup_standard.drill import boot, login, network
from backup_standard.drill.agent import Agent
from backup_standard.drill.ports import Ran
from backup_standard.errors import ApiError, ConnectionFailed, LoginRefused, MissingPrivilege, Refused, Untrusted
from tests.unit.drill.fakedoor import Door


class GuestApi:
    """An API that answers for the agent of one guest."""

    def __init__(self, **answers: Any) -> None:
        self.answers = answers

    def _answer(self, path: str) -> Any:
        answer = self.answers[path.rsplit("/", 1)[-1].replace("-", "_")]
        if isinstance(answer, Exception):
            raise answer
        return answer.pop(0) if isinstance(answer, list) and path.endswith("exec-status") else answer

    def write(self, _method: str, path: str, _params: Any = None) -> Any:
        return self._answer(path)

    def get(self, path: str, **_params: Any) -> Any:
        return self._answer(path)


def agent(**answers: Any) -> Agent:
    return Agent(GuestApi(**answers), "pve1", 201)  # type: ignore[arg-type]


def test_an_agent_that_is_silent_is_not_an_error_but_a_missing_privilege_is() -> None:
    assert agent(ping={"result": {}}).answers()
    assert not agent(ping=ApiError("QEMU guest agent is not running", status=500)).answers()
    assert not agent(ping=ApiError("No QEMU guest agent configured", status=500)).answers()
    with pytest.raises(ApiError):
        agent(ping=ApiError("unexpected", status=500)).answers()
    with pytest.raises(MissingPrivilege):
        agent(ping=MissingPrivilege("no")).answers()


def test_a_command_in_the_guest_is_waited_for() -> None:
    done = agent(exec={"pid": 7}, exec_status=[{"exited": 0}, {"exited": 1, "exitcode": 3, "out-data": "x\n"}])
    assert done.run(["x"]) == Ran(3, "x\n", "")
    assert agent(exec={"pid": 7}, exec_status=[{"exited": 1, "signal": 9}]).run(["x"]).rc == 137
    with pytest.raises(waiting.NotReady):
        agent(exec={"pid": 7}, exec_status=[{"exited": 0}] * 99).run(["x"], timeout=0.05)


def test_a_program_that_is_not_there_has_status_127() -> None:
    assert agent(exec=ConnectionFailed("the API's back end broke off (596 Broken pipe)")).run(["x"]).rc == 127
    assert agent(exec=ApiError("Agent error: Failed to execute child process", status=500)).run(["x"]).rc == 127
    with pytest.raises(ConnectionFailed):
        agent(exec=ConnectionFailed("no route")).run(["x"])


def test_interfaces_by_the_agent_and_by_ip_have_one_shape() -> None:
    answer = {"result": [
        {"name": "lo", "hardware-address": "00:00:00:00:00:00"},
        {"name": "eth0", "hardware-address": "BC:24:11:00:00:01", "ip-addresses": [
            {"ip-address": "10.0.0.20", "prefix": 24, "ip-address-type": "ipv4"}]},
        {"name": "eth1", "hardware-address": "BC:24:11:00:00:02"},
    ]}  # fmt: skip
    text = json.dumps([
        {"ifname": "lo"},
        {"ifname": "eth0", "address": "bc:24:11:00:00:01", "addr_info": [{"local": "10.0.0.20", "prefixlen": 24}]},
        {"ifname": "eth1", "address": "bc:24:11:00:00:02", "addr_info": []},
    ])  # fmt: skip
    assert agent(network_get_interfaces=answer).interfaces() == network.parse_ip_addr(text)
    assert agent(network_get_interfaces={"result": {"error": {"class": "x"}}}).interfaces() == {}


def up(**changes: Any) -> boot.Booted:
    known: dict[str, Any] = {"has_agent": True, "by_ssh": lambda: None, "powered": time.monotonic(), "timeout": 0.2,
                             "tick": lambda _elapsed: None}  # fmt: skip
    answers = {"ping": {}, "exec": {"pid": 1},
               "exec_status": [{"exited": 1, "exitcode": 0, "out-data": "abc\n0.5 1.0\n"}],
               "current": {"status": "running"}} | changes.pop("answers", {})  # fmt: skip
    return boot.wait_until_up(agent(**answers), **(known | changes))


def test_a_boot_is_proven_by_a_boot_id_and_a_short_uptime() -> None:
    booted = up()
    assert (booted.rung, booted.boot_id, booted.uptime, booted.agent) == ("agent", "abc", 0.5, True)


def test_a_guest_that_was_up_before_power_on_did_not_boot() -> None:
    with pytest.raises(boot.NotBooted, match="has been up for 900 s"):
        up(answers={"exec_status": [{"exited": 1, "exitcode": 0, "out-data": "abc\n900.0 1.0\n"}]})


def test_a_start_that_took_long_counts_from_its_beginning() -> None:
    said = {"exited": 1, "exitcode": 0, "out-data": "abc\n60.0 1.0\n"}
    assert up(answers={"exec_status": [said]}, powered=time.monotonic() - 60).seconds >= 60
    with pytest.raises(boot.NotBooted, match="has been up for 60 s"):
        up(answers={"exec_status": [said]}, powered=time.monotonic() - 30)


def test_a_guest_that_tells_no_boot_id_did_not_prove_its_boot() -> None:
    with pytest.raises(boot.NotBooted, match="did not tell its boot id: 'no such file'"):
        up(answers={"exec_status": [{"exited": 1, "exitcode": 1, "err-data": "no such file"}]})


SILENT = ApiError("QEMU guest agent is not running", status=500)


def test_a_guest_that_stops_ends_the_wait_at_once() -> None:
    with pytest.raises(boot.NotBooted, match="the guest is stopped"):
        up(answers={"ping": SILENT, "current": {"status": "stopped"}}, timeout=60)


def test_without_an_agent_ssh_proves_the_boot() -> None:
    booted = up(has_agent=False, by_ssh=lambda: Ran(0, "abc\n1.5 1.0\n"))
    assert (booted.rung, booted.agent) == ("ssh", False)


def test_configurations_tell_whether_there_is_an_agent_and_what_to_boot() -> None:
    values = ("1", "enabled=1,fstrim_cloned_disks=1", "0", "enabled=0")
    assert [boot.has_agent({"agent": value}) for value in values] == [True, True, False, False]
    assert not boot.has_agent({})
    assert (
        boot.require_own_disk({"boot": "order=ide2;scsi1", "ide2": "none,media=cdrom", "scsi1": "a:b"}) == "scsi1: a:b"
    )
    assert boot.require_own_disk({"scsi0": "a:b"}) == "scsi0: a:b"
    with pytest.raises(Refused, match="no disk"):
        boot.require_own_disk({"ide2": "none,media=cdrom"})


def enter(door: Door) -> dict[str, Any]:
    return login.log_in(door, timeout=0.1, tick=lambda _elapsed: None)[1]  # type: ignore[arg-type]


def test_a_login_runs_a_command_and_shows_both_refusals() -> None:
    door = Door()
    seen = enter(door)
    assert seen["account"] == "drill"
    assert seen["wrong_credential"] == {"key": "refused", "password": "refused"}
    assert door.closed == 0


@pytest.mark.parametrize(
    ("door", "saying"),
    [
        (Door(enter=LoginRefused("bad key")), r"the login as drill was refused \(bad key\)"),
        (Door(enter=Untrusted("the host key has changed")), "not the one that was backed up"),
        (Door(key=Door()), "a wrong key was accepted for drill"),
        (Door(password=Door()), "a wrong password was accepted for drill"),
        (Door(password=ConnectionFailed("reset")), "whether a wrong password is refused could not be shown"),
        (Door(who="root\n"), "id -un said 'root'"),
    ],
)
def test_a_login_that_is_not_as_it_should_be_says_so(door: Door, saying: str) -> None:
    with pytest.raises(login.LoginFailed, match=saying):
        enter(door)


def test_a_guest_that_nobody_reaches_is_waited_for() -> None:
    with pytest.raises(waiting.NotReady, match="login as drill: not within"):
        enter(Door(enter=ConnectionFailed("no route")))


HOME = network.Expected("10.0.0.20/24", "10.0.0.1", ("bc:24:11:00:00:01",), "eth0")
CARDS = {"eth0": {"mac": "bc:24:11:00:00:01", "addresses": ["10.0.0.20/24", "fe80::1/64"]}}


def test_addresses_are_as_expected() -> None:
    assert network.check_addresses(lambda: CARDS, HOME, timeout=0.1) == "eth0 10.0.0.20/24"


@pytest.mark.parametrize(
    ("cards", "saying"),
    [
        ({}, "address 10.0.0.20/24 in the guest: not within"),
        ({"eth0": {"mac": "bc:24:11:00:00:01", "addresses": ["10.0.0.20/16"]}}, "not within"),
        ({"eth1": CARDS["eth0"]}, "is on eth1, not on eth0"),
        ({"eth0": CARDS["eth0"] | {"mac": "aa:aa:aa:aa:aa:aa"}}, "has MAC aa:aa:aa:aa:aa:aa; the archive says"),
    ],
)
def test_addresses_that_are_not_are_told(cards: dict[str, Any], saying: str) -> None:
    with pytest.raises(network.NetworkFailed, match=saying):
        network.check_addresses(lambda: cards, HOME, timeout=0.1)


def test_the_gateway_answers_both_ways() -> None:
    def ask(rc: int) -> dict[str, Any]:
        return network.check_gateway(lambda: True, lambda _argv: Ran(rc, ""), HOME, timeout=0.1)

    assert ask(0)["guest_to_gateway"] == "ping answered"
    assert "no ping" in ask(127)["guest_to_gateway"]
    with pytest.raises(network.NetworkFailed, match=r"no answer from its gateway 10.0.0.1"):
        ask(1)
    with pytest.raises(network.NetworkFailed, match="answers a ping of its gateway"):
        network.check_gateway(lambda: False, lambda _argv: Ran(0, ""), HOME, timeout=0.1)


AROUND = network.Production.around(
    [{"cidr": "10.0.0.2/24"}, {"cidr": "10.9.0.1/24", "cidr6": "fd00::2/64"}, {"iface": "vmbr9"}],
    {200: "10.0.0.20/24", 210: "10.0.0.21/24", 220: "10.0.0.22/24", 221: "10.0.0.23/24", 222: "10.0.0.24/24"},
    "10.0.0.20/24",
)


def test_production_is_the_node_and_some_of_the_other_guests() -> None:
    assert AROUND.node == ("10.0.0.2", "10.9.0.1", "fd00::2")
    assert AROUND.guests == ("10.0.0.21", "10.0.0.22", "10.0.0.23")


def test_production_out_of_reach_is_shown_by_what_was_tried() -> None:
    unreached = network.check_unreachable(lambda _argv: Ran(1, ""), AROUND)
    assert unreached.tried[0] == "node 10.0.0.2 port 8006"
    assert len(unreached.tried) == 9
    assert unreached.untried == []


def test_what_the_guest_has_no_program_to_try_is_told_apart() -> None:
    unreached = network.check_unreachable(lambda argv: Ran(127 if argv[0] == "ping" else 1, ""), AROUND)
    assert unreached.untried == ["guest 10.0.0.21", "guest 10.0.0.22", "guest 10.0.0.23"]
    gaps = network.not_proven({"guest_to_gateway": network.NO_PING}, unreached)
    assert len(gaps) == 2
    assert network.not_proven({"guest_to_gateway": "ping answered"}, network.Unreached(["x"], [])) == []


@pytest.mark.parametrize(
    ("answers", "around", "saying"),
    [
        (lambda argv: Ran(0 if "10.0.0.22" in argv else 1, ""), AROUND, r"guest 10.0.0.22"),
        (
            lambda argv: Ran(0 if argv[0] == "timeout" else 1, ""),
            AROUND,
            r"node 10.0.0.2 port 8006, node 10.0.0.2 port 22",
        ),
        (lambda _argv: Ran(127, ""), AROUND, "has no means to try"),
        (lambda _argv: Ran(1, ""), network.Production(()), "no address of production is known"),
    ],
)
def test_production_that_answers_or_cannot_be_tried_fails(
    answers: Any, around: network.Production, saying: str
) -> None:
    with pytest.raises(network.NetworkFailed, match=saying):
        network.check_unreachable(answers, around)
