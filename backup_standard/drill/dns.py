"""DNS questions to the guest's own server, over TCP from the drill gateway (RFC 1035)."""

from __future__ import annotations

import ipaddress
import random
import struct

from backup_standard.drill.ports import Ports
from backup_standard.inventory.checks import DnsCheck


def dns_failure(check: DnsCheck, door: Ports) -> str:
    """One DNS question over TCP from the gateway: "" or what is wrong."""
    wanted = ipaddress.ip_address(check.answer)
    query = dns_query(check.name, version=wanted.version)
    answer = door.exchange(53, struct.pack(">H", len(query)) + query, enough=_whole_dns_message)
    addresses = dns_addresses(answer[2:], query)
    if str(wanted) in addresses:
        return ""
    return f"{check.name} is answered with {', '.join(addresses) or 'nothing'}, not {check.answer}"


def _whole_dns_message(data: bytes) -> bool:
    return len(data) > 2 and len(data) >= 2 + int(struct.unpack(">H", data[:2])[0])  # noqa: PLR2004 - the length


def dns_query(name: str, *, version: int = 4) -> bytes:
    """A question for the addresses of a name (RFC 1035)."""
    labels = b"".join(bytes([len(label)]) + label.encode("idna") for label in name.rstrip(".").split("."))
    kind = 1 if version == 4 else 28  # noqa: PLR2004 - A and AAAA
    header = struct.pack(">HHHHHH", random.getrandbits(16), 0x0100, 1, 0, 0, 0)
    return header + labels + b"\0" + struct.pack(">HH", kind, 1)


def dns_addresses(message: bytes, query: bytes) -> list[str]:
    """The addresses in an answer to that question; none when it is no answer to it."""
    if len(message) < len(query) or message[:2] != query[:2]:
        return []
    count = struct.unpack(">H", message[6:8])[0]
    offset, found = len(query), []
    for _ in range(count):
        offset = _skip_name(message, offset)
        if offset + 10 > len(message):
            break
        kind, _klass, _ttl, length = struct.unpack(">HHIH", message[offset : offset + 10])
        data = message[offset + 10 : offset + 10 + length]
        if kind in {1, 28} and len(data) in {4, 16}:
            found.append(str(ipaddress.ip_address(data)))
        offset += 10 + length
    return found


def _skip_name(message: bytes, offset: int) -> int:
    while offset < len(message) and message[offset]:
        if message[offset] >= 0xC0:  # noqa: PLR2004 - a pointer ends the name
            return offset + 2
        offset += message[offset] + 1
    return offset + 1
