"""What looks at a restored guest: console, agent, login, network, services; each on made-up answers."""

from __future__ import annotations

import json
import struct
import zlib
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import pytest
import websocket

from backup_standard import waiting
from backup_standard.drill import boot, login, network, png, rfb, screen, services
from backup_standard.drill.agent import Agent
from backup_standard.drill.ports import Ran
from backup_standard.drill.progress import Event, Tail, Throttle, to_file
from backup_standard.drill.restore import Restored, look
from backup_standard.errors import ApiError, ConnectionFailed, LoginRefused, MissingPrivilege, Refused, Untrusted
from backup_standard.inventory.drills import DnsCheck, HttpCheck, ServiceCheck
from tests.unit.drill.test_neutralise import PLAIN, decide

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
        self.talks, self.closed = list(talks), 0

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


def capture(console: Console) -> screen.Screen:
    return screen.capture(console, console, "pve1", 201, patience=0.2)  # type: ignore[arg-type]


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
    known: dict[str, Any] = {"has_agent": True, "by_ssh": lambda: None, "timeout": 0.2, "tick": lambda _elapsed: None}
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


class Door:
    """A guest's door: what each way in leads to."""

    user, method = "drill", "key"

    def __init__(self, enter: Any = None, key: Any = None, password: Any = None, who: str = "drill\n") -> None:
        refused = LoginRefused("no")
        self.ways = {"enter": enter, "key": key or refused, "password": password or refused}
        self.who, self.closed = who, 0
        self.ports: dict[int, bytes | Exception] = {}

    def _way(self, name: str) -> Any:
        if isinstance(self.ways[name], Exception):
            raise self.ways[name]
        return self

    def enter(self) -> Any:
        return self._way("enter")

    def enter_wrongly(self, means: str) -> Any:
        return self._way(means)

    def run(self, _argv: Sequence[str], *, timeout: float = 1.0) -> Ran:  # noqa: ARG002 - the protocol's
        return Ran(0, self.who, "")

    def close(self) -> None:
        self.closed += 1

    def is_open(self, port: int) -> bool:
        return port in self.ports

    def exchange(self, port: int, request: bytes, *, enough: Callable[[bytes], bool] | None = None) -> bytes:
        answer = self.ports.get(port, ConnectionFailed(f"port {port} of the guest does not answer the gateway"))
        if isinstance(answer, Exception):
            raise answer
        if enough:
            answer = struct.pack(">H", len(answer)) + request[2:4] + answer[2:]
            assert enough(answer)
            assert not enough(answer[:-1])
        return answer


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
    with pytest.raises(waiting.NotReady, match="SSH login as drill: not within"):
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


def dns_answer(*addresses: str, query_id: bytes = b"") -> bytes:
    question = services.dns_query("www.lab.example")[12:]
    records = b"".join(
        b"\xc0\x0c" + struct.pack(">HHIH", 1, 1, 60, 4) + bytes(int(part) for part in address.split("."))
        for address in addresses
    )
    alias = b"\x03www\x00" + struct.pack(">HHIH", 5, 1, 60, 2) + b"\xc0\x0c"
    return (query_id or b"??") + struct.pack(">HHHHH", 0x8180, 1, len(addresses) + 1, 0, 0) + question + alias + records


def judge(
    check: dict[str, Any], *, door: Door | None = None, inside: Callable[[Sequence[str]], Ran] | None = None
) -> str:
    probes = services.Probes(inside, None, door)  # type: ignore[arg-type]
    return services.failure(ServiceCheck.model_validate(check), probes)


def serving(port: int, answer: bytes) -> Door:
    door = Door()
    door.ports[port] = answer
    return door


OK_PAGE = b"HTTP/1.0 200 OK\r\nX: y\r\n\r\nlab web is up"
DNS = {"dns": {"name": "www.lab.example", "answer": "10.0.0.80"}}


@pytest.mark.parametrize(
    ("check", "door", "wrong"),
    [
        ({"http": {"url": "http://10.0.0.20:8080/x?y=1", "body": "is up"}}, serving(8080, OK_PAGE), ""),
        ({"http": {"url": "http://10.0.0.20/"}}, serving(80, OK_PAGE), ""),
        ({"http": {"url": "http://h/", "status": 204}}, serving(80, OK_PAGE), "http://h/ answers 200, not 204"),
        ({"http": {"url": "http://h/", "body": "absent"}}, serving(80, OK_PAGE), "http://h/ does not contain 'absent'"),
        ({"http": {"url": "http://h/"}}, serving(80, b"SSH-2.0-x"), "http://h/ answers no HTTP, not 200"),
        ({"http": {"url": "http://h/"}}, Door(), "port 80 of the guest does not answer the gateway"),
        ({"http": {"url": "https://h/"}}, Door(), "https://h/: only http:// can be asked from the gateway so far"),
        ({"port": 53}, serving(53, b""), ""),
        ({"port": 53}, Door(), "port 53 does not answer"),
        (DNS, serving(53, dns_answer("10.0.0.80", "10.0.0.81")), ""),
        (DNS, serving(53, dns_answer("10.0.0.99")), "www.lab.example is answered with 10.0.0.99, not 10.0.0.80"),
        (DNS, serving(53, dns_answer()), "www.lab.example is answered with nothing, not 10.0.0.80"),
        (DNS, serving(53, dns_answer("10.0.0.80")[:20]), "www.lab.example is answered with nothing, not 10.0.0.80"),
        (DNS, serving(53, dns_answer("10.0.0.80")[:-11]), "www.lab.example is answered with nothing, not 10.0.0.80"),
        ({"port": 53}, None, "the guest's ports are out of reach without a drill gateway"),
        ({"unit": "x"}, Door(), "nothing runs commands in this guest: neither agent nor login"),
    ],
)
def test_services_asked_from_the_gateway(check: dict[str, Any], door: Door | None, wrong: str) -> None:
    assert judge(check, door=door) == wrong


@pytest.mark.parametrize(
    ("check", "ran", "wrong"),
    [
        ({"unit": "ssh"}, Ran(0, "active\n"), ""),
        ({"unit": "ssh"}, Ran(3, "failed\n"), "unit ssh is failed"),
        ({"unit": "ssh"}, Ran(127, ""), "unit ssh is not there"),
        ({"container": "web"}, Ran(0, "running\n"), ""),
        ({"container": "web"}, Ran(0, "exited\n"), "container web is exited"),
        ({"container": "web"}, Ran(1, "", "no such object"), "container web is not there"),
        ({"command": "true"}, Ran(0, ""), ""),
        ({"command": "false"}, Ran(1, "", "broken"), "'false' ended with 1: broken"),
    ],
)
def test_services_asked_inside_the_guest(check: dict[str, Any], ran: Ran, wrong: str) -> None:
    assert judge(check, inside=lambda _argv: ran) == wrong


def test_services_are_waited_for_and_each_is_told() -> None:
    states = iter(["activating\n", "active\n", *["failed\n"] * 99])
    checks = [ServiceCheck(unit="a"), ServiceCheck(unit="b")]
    ticks: list[str] = []
    found = services.check_all(
        checks, services.Probes(lambda _argv: Ran(0, next(states)), None, None), timeout=0.2,
        tick=lambda what, _elapsed: ticks.append(what),
    )  # fmt: skip
    assert found == {"unit a": "", "unit b": "unit b is failed"}
    assert ticks[0] == "unit a"
    named = [ServiceCheck(http=HttpCheck(url="http://x")), ServiceCheck(dns=DnsCheck(name="n", answer="1.1.1.1"))]
    assert [services.say(check) for check in named] == ["http http://x", "dns n"]


def test_a_name_of_an_ipv6_answer_is_asked_for_aaaa() -> None:
    assert services.dns_query("a.example", version=6).endswith(struct.pack(">HH", 28, 1))
    assert b"\x01a\x07example\x00" in services.dns_query("a.example.")


class Restoring:
    """What a restored guest shows."""

    def __init__(self, config: dict[str, Any], pending: list[dict[str, Any]]) -> None:
        self.answers = {"config": config, "pending": pending}

    def get(self, path: str, **_params: Any) -> Any:
        return self.answers[path.rsplit("/", 1)[-1]]


def test_a_restored_guest_is_looked_at_whatever_its_task_said() -> None:
    decided = decide(protection="1")
    config = PLAIN | dict(decided.overrides)
    del config["protection"]
    restored = Restored(201, (), None, 1.0, ())

    def seen(pending: Sequence[dict[str, Any]] = (), **changes: str) -> list[str]:
        shown = {key: value for key, value in (config | changes).items() if value}
        return look(Restoring(shown, list(pending)), "pve1", restored, PLAIN, decided)

    assert seen() == []
    assert seen(net0="virtio=BC:24:11:8B:C0:D6,bridge=vmbr9,firewall=0")[0].startswith("net0 is 'virtio=BC:24")
    assert seen(scsi0="") == ["disk scsi0 is missing"]
    assert seen(tags="prod") == ["tags is 'prod', not 'backup-standard-drill'"]
    assert seen(onboot="1") == ["onboot is '1', not '0'"]
    assert seen(unused0="local:201/x") == ["unused0 is a volume from before: local:201/x"]
    assert seen([{"key": "memory", "pending": "1"}, {"key": "name", "value": "x"}]) == [
        "the change of memory is pending"
    ]


def test_progress_repeats_itself_only_now_and_then() -> None:
    heard: list[Event] = []
    throttle = Throttle(heard.append, every=5.0)
    for elapsed in range(12):
        throttle(Event(210, 211, "restore", "", float(elapsed), elapsed))
    throttle(Event(210, 211, "boot", "", 11.5))
    assert [event.elapsed for event in heard] == [0.0, 5.0, 10.0, 11.5]
    assert str(heard[1]) == "drill 210→211        5 s  restore 5%"


def test_progress_of_another_process_is_read_once_and_whole_lines_only(tmp_path: Path) -> None:
    tail = Tail(tmp_path)
    assert list(tail.new()) == []
    event = Event(210, 211, "boot", "waiting", 1.0)
    to_file(tmp_path)(event)
    with (tmp_path / "progress.jsonl").open("a") as file:
        file.write('{"guest": 2')
    assert list(tail.new()) == [event]
    assert list(tail.new()) == []
    with (tmp_path / "progress.jsonl").open("a") as file:
        file.write('00, "temporary_vmid": 201, "phase": "boot", "text": "", "elapsed": 2.0, "percent": null}\n')
    assert [one.guest for one in tail.new()] == [200]
