"""What listens in a guest for others than itself, as its kernel tells: a small guest needs no program for that."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from backup_standard.errors import Unknown

FOLDER = "/proc/net"
_OPEN = {"tcp": "0A", "udp": "07"}
"""The state of a socket that waits for anybody (upstream: linux include/net/tcp_states.h; udp uses TCP_CLOSE)."""
_FIELDS = 4


@dataclass(frozen=True)
class Listening:
    """Ports that take what comes from outside; those of loopback addresses are left out."""

    tcp: frozenset[int]
    udp: frozenset[int]


def look(guest: Any) -> Listening:
    """What listens in a guest (a testinfra host) now; Unknown where its kernel cannot be asked."""
    return Listening(*(_ports(guest, protocol) for protocol in ("tcp", "udp")))


def _ports(guest: Any, protocol: str) -> frozenset[int]:
    tables = [guest.run(f"cat {FOLDER}/{name}") for name in (protocol, f"{protocol}6")]
    if all(table.rc for table in tables):
        raise Unknown(f"what listens by {protocol.upper()}", reason=tables[0].stderr.strip() or f"no {FOLDER}")
    return frozenset(port for table in tables for port in open_ports(table.stdout, protocol))


def open_ports(table: str, protocol: str) -> Iterator[int]:
    """The ports in a table of sockets (upstream: linux Documentation/networking/proc_net_tcp.rst)."""
    for line in table.splitlines()[1:]:
        words = line.split()
        if len(words) < _FIELDS or words[3] != _OPEN[protocol] or not words[2].endswith(":0000"):
            continue
        address, _colon, port = words[1].partition(":")
        if not _address(address).is_loopback:
            yield int(port, 16)


def _address(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address:
    """An address as the kernel prints it: words of 32 bits, each in the order of the processor (little-endian)."""
    words = [bytes.fromhex(text[place : place + 8])[::-1] for place in range(0, len(text), 8)]
    found = ipaddress.ip_address(b"".join(words))
    return getattr(found, "ipv4_mapped", None) or found
