"""Declared services of a restored guest, each kind on made-up answers."""

from __future__ import annotations

import struct
from collections.abc import Callable, Sequence
from typing import Any

import pytest

from backup_standard import waiting
from backup_standard.drill import dns, services
from backup_standard.drill.ports import Ran
from backup_standard.drill.posix import POSIX
from backup_standard.inventory.checks import DnsCheck, HttpCheck, ServiceCheck, SqlCheck
from tests.unit.drill.fakedoor import Door


def dns_answer(*addresses: str, query_id: bytes = b"") -> bytes:
    question = dns.dns_query("www.lab.example")[12:]
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
        ({"command": {"run": "x", "output": "ready"}}, Ran(0, "it is ready\n"), ""),
        ({"command": {"run": "x", "status": 3}}, Ran(3, ""), ""),
        (
            {"command": {"run": "x", "output": "ready"}},
            Ran(0, "no\n"),
            "'x' printed 'no', which does not contain 'ready'",
        ),
        ({"sql": {"client": "psql", "query": "select 1", "answer": "1"}}, Ran(0, "1\n"), ""),
        ({"sql": {"client": "psql", "query": "select 1", "answer": "1"}}, Ran(0, "2\n"), "psql answers '2', not '1'"),
        (
            {"sql": {"client": "psql", "query": "x", "answer": "1"}},
            Ran(2, "", "psql: no server\nhint"),
            "psql failed: psql: no server",
        ),
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
    assert {what: str(one) for what, one in found.items()} == {"unit a": "ok", "unit b": "unit b is failed"}
    assert ticks[0] == "unit a"
    named = [ServiceCheck(http=HttpCheck(url="http://x")), ServiceCheck(dns=DnsCheck(name="n", answer="1.1.1.1"))]
    assert [services.say(check) for check in named] == ["http http://x", "dns n"]


def test_services_that_never_come_are_waited_for_together(monkeypatch: pytest.MonkeyPatch) -> None:
    waits: list[float] = []

    def until(_look: object, *, timeout: float, what: str, **_more: object) -> str:
        waits.append(timeout)
        clock.append(clock[-1] + timeout)
        raise waiting.NotReady(what)

    clock = [1000.0]
    monkeypatch.setattr("backup_standard.drill.services.time.monotonic", lambda: clock[-1])
    monkeypatch.setattr("backup_standard.drill.looks.waiting.until", until)
    checks = [ServiceCheck(unit=name) for name in "abc"]

    found = services.check_all(
        checks, services.Probes(lambda _argv: Ran(3, "inactive\n"), None, None), timeout=60, tick=lambda *_: None
    )

    assert waits == [60]
    assert [one.wrong for one in found.values()] == [f"unit {name} is inactive" for name in "abc"]


def test_a_name_of_an_ipv6_answer_is_asked_for_aaaa() -> None:
    assert dns.dns_query("a.example", version=6).endswith(struct.pack(">HH", 28, 1))
    assert b"\x01a\x07example\x00" in dns.dns_query("a.example.")


def test_what_may_fail_in_isolation_is_looked_at_last_and_once_and_shown() -> None:
    asked: list[str] = []

    def inside(argv: Sequence[str]) -> Ran:
        asked.append(argv[-1])
        return Ran(3, "failed\n") if argv[-1] == "sync" else Ran(0, "active\n")

    checks = [ServiceCheck(unit="sync", expected_under_isolation="its peer is outside"), ServiceCheck(unit="web"),
              ServiceCheck(unit="mail", expected_under_isolation="the relay is outside")]  # fmt: skip
    found = services.check_all(checks, services.Probes(inside, None, None), timeout=60, tick=lambda *_: None)
    assert asked == ["web", "sync", "mail"]
    assert {what: str(one) for what, one in found.items()} == {
        "unit sync": "unit sync is failed (expected under isolation: its peer is outside)",
        "unit web": "ok",
        "unit mail": "ok",
    }
    assert not any(one.fails for one in found.values())


def test_two_checks_that_read_alike_do_not_hide_each_other() -> None:
    door = serving(53, dns_answer("10.0.0.80"))
    checks = [ServiceCheck(dns=DnsCheck(name="www.lab.example", answer=answer)) for answer in ("10.0.0.1", "10.0.0.80")]
    found = services.check_all(checks, services.Probes(None, None, door), timeout=0, tick=lambda *_: None)  # type: ignore[arg-type]
    assert [one.fails for one in found.values()] == [True, False]


QUERY = {"query": "select 'x; y'", "answer": "1"}


@pytest.mark.parametrize(
    ("check", "as_root", "begins", "ends"),
    [
        ({"client": "psql", "database": "shop"}, True, ["runuser", "-u", "postgres", "--", "psql"], "select 'x; y'"),
        ({"client": "psql", "account": "app"}, False, ["psql", "--no-psqlrc"], "select 'x; y'"),
        ({"client": "mariadb", "database": "shop"}, True, ["mariadb", "--batch"], "select 'x; y'"),
        ({"client": "sqlite3", "database": "/srv/a.db"}, True, ["sqlite3", "-batch", "-readonly"], "select 'x; y'"),
        ({"client": "mysql", "container": "db"}, True, ["docker", "exec", "db", "mysql"], "select 'x; y'"),
        ({"client": "psql", "container": "db"}, True, ["docker", "exec", "--user", "postgres", "db"], "select 'x; y'"),
        ({"client": "sqlcmd", "database": "shop"}, True, ["sqlcmd", "-b"], "select 'x; y'"),
    ],
)
def test_a_query_is_one_argument_of_the_databases_own_client(
    check: dict[str, Any],
    as_root: bool,  # noqa: FBT001
    begins: list[str],
    ends: str,
) -> None:
    argv = POSIX.sql(SqlCheck.model_validate(check | QUERY), as_root=as_root)
    assert list(argv[: len(begins)]) == begins
    assert argv[-1].endswith(ends)
