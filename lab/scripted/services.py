"""Network services of scripted guests: what comes back on a TCP port for what was sent."""

from __future__ import annotations

import ipaddress
import struct
from collections.abc import Mapping

NAME_ERROR = 3


def http(body: str, request: bytes) -> bytes:
    """Answer an HTTP request: 200 with the body on every path, nothing before the request is whole."""
    head, blank, _rest = request.partition(b"\r\n\r\n")
    words = head.split(b" ")
    if not blank:
        return b""
    if len(words) < 3 or words[0] not in {b"GET", b"HEAD"}:
        return b"HTTP/1.0 400 Bad Request\r\nConnection: close\r\n\r\n"
    data = body.encode()
    answer = f"HTTP/1.0 200 OK\r\nContent-Type: text/plain\r\nContent-Length: {len(data)}\r\nConnection: close\r\n\r\n"
    return answer.encode() + (data if words[0] == b"GET" else b"")


def dns(records: Mapping[str, str], query: bytes) -> bytes:
    """Answer a DNS query as a datagram: addresses (A) of ``records``, NXDOMAIN for names that are not there."""
    if len(query) < 17:
        return b""
    labels, at = [], 12
    while at < len(query) and query[at]:
        labels.append(query[at + 1 : at + 1 + query[at]].decode("ascii", "replace"))
        at += query[at] + 1
    question = query[12 : at + 5]
    address = records.get(".".join(labels).lower())
    flags = 0x8580 | (0 if address else NAME_ERROR)
    if question[-4:-2] != b"\x00\x01":
        address = None
    head = query[:2] + struct.pack(">HHHHH", flags, 1, 1 if address else 0, 0, 0)
    answer = b"\xc0\x0c" + struct.pack(">HHIH", 1, 1, 60, 4) + ipaddress.IPv4Address(address).packed if address else b""
    return head + question + answer


def answer(kind: str, records: Mapping[str, str], request: bytes) -> bytes:
    """Answer on a TCP port of a kind ("http:BODY", "dns"); empty as long as the request is not whole."""
    name, _colon, body = kind.partition(":")
    if name == "http":
        return http(body, request)
    if name == "dns" and len(request) >= 2 and len(request) >= 2 + int.from_bytes(request[:2]):
        reply = dns(records, request[2:])
        return len(reply).to_bytes(2) + reply
    return b""
