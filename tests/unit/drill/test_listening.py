"""What listens in a guest, read from its kernel's tables."""

from __future__ import annotations

import socket
from collections.abc import Callable, Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from backup_standard.drill import listening
from backup_standard.errors import Unknown
from backup_standard.evidence.notes import Evidence
from drills import test_services_dns, test_services_golden_template, test_services_monitoring

HEAD = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n"
V6_ANY, V6_LOOP = "0" * 32, "0" * 24 + "01000000"


def table(*sockets: str) -> str:
    return HEAD + "".join(f"   {at}: {one} 00000000:00000000 00:00 0 0 0 9 1\n" for at, one in enumerate(sockets))


def guest(**tables: str) -> Any:
    """A testinfra host with these tables; a service runs where it is asked for one."""

    def run(command: str) -> Any:
        text = tables.get(command.rpartition("/")[2])
        missing = f"cat: {command[4:]}: No such file or directory"
        return SimpleNamespace(rc=int(text is None), stdout=text or "", stderr="" if text else missing)

    return SimpleNamespace(run=run, service=lambda _name: SimpleNamespace(is_running=True))


def test_ports_of_loopback_addresses_and_connections_do_not_count() -> None:
    seen = listening.look(guest(
        tcp=table("00000000:0016 00000000:0000 0A", "0100007F:0277 00000000:0000 0A", "0A00000A:0050 0B00000A:C001 01"),
        tcp6=table(f"{V6_ANY}:238C {V6_ANY}:0000 0A", f"{V6_LOOP}:1F90 {V6_ANY}:0000 0A",
                   f"0000000000000000FFFF00000100007F:1F91 {V6_ANY}:0000 0A"),
        udp=table("3500007F:0035 00000000:0000 07", "D200000A:0035 00000000:0000 07", "00000000:0044 01000A0A:0043 01"),
    ))  # fmt: skip
    assert seen == listening.Listening(frozenset({22, 9100}), frozenset({53}))


def test_a_kernel_without_a_protocol_is_no_finding_and_one_that_is_silent_is_unknown() -> None:
    with pytest.raises(Unknown, match="what listens by UDP is unknown: cat: /proc/net/udp: No such file"):
        listening.look(guest(tcp=HEAD))
    assert listening.look(guest(tcp6=HEAD, udp6=HEAD)) == listening.Listening(frozenset(), frozenset())


@pytest.mark.skipif(not Path("/proc/net/tcp").exists(), reason="no Linux")
@pytest.mark.parametrize(("protocol", "kind"), [("tcp", socket.SOCK_STREAM), ("udp", socket.SOCK_DGRAM)])
def test_this_machines_own_kernel_is_understood(protocol: str, kind: socket.SocketKind) -> None:
    with socket.socket(type=kind) as listener:
        listener.bind(("127.0.0.1", 0))
        if kind is socket.SOCK_STREAM:
            listener.listen()
        port = listener.getsockname()[1]
        text = Path(f"/proc/net/{protocol}").read_text()
    assert port not in set(listening.open_ports(text, protocol))
    outside = text.replace(f"0100007F:{port:04X}", f"0A00000A:{port:04X}")
    assert port in set(listening.open_ports(outside, protocol))


RULES: list[tuple[Callable[..., None], Mapping[str, str], str]] = [
    (test_services_golden_template.test_ssh_listens_for_the_first_login, {"tcp": "0016"}, "port 22"),
    (test_services_monitoring.test_exporter_listens, {"tcp": "238C"}, "port 9100"),
    (test_services_dns.test_dns_listens_for_clients, {"tcp": "0035", "udp": "0035"}, "UDP port 53"),
]


@pytest.mark.parametrize(("rule", "ports", "named"), RULES, ids=["ssh", "exporter", "dns"])
def test_the_roles_rules_want_their_ports_open_to_others(
    rule: Callable[..., None], ports: Mapping[str, str], named: str
) -> None:
    states = {"tcp": "0A", "udp": "07"}

    def on(address: str) -> Any:
        open_to = {name: [f"{address}:{port} 00000000:0000 {states[name]}"] for name, port in ports.items()}
        return guest(**{protocol: table(*open_to.get(protocol, [])) for protocol in states})

    rule(on("00000000"), Evidence())
    with pytest.raises(AssertionError, match=f"nothing listens on {named} for others"):
        rule(on("0100007F"), Evidence())
