"""The guest's declared services, each checked where it is used: units and containers inside, ports from the gateway."""

from __future__ import annotations

import ipaddress
import random
import struct
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from urllib.parse import urlsplit

from backup_standard import waiting
from backup_standard.drill.ports import Door, Ran
from backup_standard.errors import ConnectionFailed
from backup_standard.inventory.drills import DnsCheck, HttpCheck, ServiceCheck

Run = Callable[[Sequence[str]], Ran]


@dataclass(frozen=True)
class Probes:
    """Ways to look at a guest: ``as_root`` through its agent, ``as_user`` over SSH, and its ports; None without one."""

    as_root: Run | None
    as_user: Run | None
    door: Door | None

    @property
    def inside(self) -> Run:
        """The strongest way to run a command in the guest."""
        run = self.as_root or self.as_user
        if run is None:
            raise ConnectionFailed("nothing runs commands in this guest: neither agent nor login")
        return run

    @property
    def ports(self) -> Door:
        """The way to the guest's ports."""
        if self.door is None:
            raise ConnectionFailed("the guest's ports are out of reach without a drill gateway")
        return self.door


def say(check: ServiceCheck) -> str:
    """A declared check in words."""
    if check.http:
        return f"http {check.http.url}"
    if check.dns:
        return f"dns {check.dns.name}"
    key, value = next((key, value) for key, value in check if value is not None)
    return f"{key} {value}"


def failure(check: ServiceCheck, probes: Probes) -> str:
    """One look at one declared service: "" when it is as declared, else what is wrong."""
    try:
        if check.unit:
            return _unit(check.unit, probes.inside)
        if check.container:
            return _container(check.container, probes.inside)
        if check.command:
            return _command(check.command, probes.inside)
        if check.port:
            return "" if probes.ports.is_open(check.port) else f"port {check.port} does not answer"
        return http_failure(check.http, probes.ports) if check.http else _dns(check, probes.ports)
    except ConnectionFailed as problem:
        return problem.what


def check_all(
    checks: Sequence[ServiceCheck], probes: Probes, *, timeout: float, tick: Callable[[str, float], None],
) -> dict[str, str]:  # fmt: skip
    """Wait for every declared service; returns "" or what is wrong for each, in the declared order."""
    found: dict[str, str] = {}
    for check in checks:
        what = say(check)
        try:
            waiting.until(
                lambda check=check: failure(check, probes),  # type: ignore[misc]
                ready=lambda wrong: wrong == "",
                timeout=timeout,
                what=what,
                tick=lambda _wrong, elapsed, what=what: tick(what, elapsed),  # type: ignore[misc]
            )
            found[what] = ""
        except waiting.NotReady:
            found[what] = failure(check, probes)
    return found


def _unit(unit: str, run: Run) -> str:
    state = run(("systemctl", "is-active", unit)).stdout.strip()
    return "" if state == "active" else f"unit {unit} is {state or 'not there'}"


def _container(name: str, run: Run) -> str:
    ran = run(("docker", "inspect", "--format", "{{.State.Status}}", name))
    state = ran.stdout.strip()
    return "" if ran.rc == 0 and state == "running" else f"container {name} is {state or 'not there'}"


def _command(command: str, run: Run) -> str:
    ran = run(("sh", "-c", command))
    return "" if ran.rc == 0 else f"{command!r} ended with {ran.rc}: {(ran.stderr or ran.stdout).strip()[:200]}"


def http_failure(check: HttpCheck, door: Door) -> str:
    """One HTTP request from the gateway to the guest itself, whatever host its URL names: "" or what is wrong."""
    url = urlsplit(check.url)
    if url.scheme != "http":
        return f"{check.url}: only http:// can be asked from the gateway so far"
    path = (url.path or "/") + (f"?{url.query}" if url.query else "")
    request = f"GET {path} HTTP/1.0\r\nHost: {url.netloc}\r\nConnection: close\r\n\r\n"
    answer = door.exchange(url.port or 80, request.encode("latin-1"))
    head, _blank, body = answer.partition(b"\r\n\r\n")
    words = head.split(None, 2)
    status = int(words[1]) if len(words) > 1 and words[1].isdigit() else 0
    if status != check.status:
        return f"{check.url} answers {status or 'no HTTP'}, not {check.status}"
    if check.body and check.body not in body.decode("utf-8", "replace"):
        return f"{check.url} does not contain {check.body!r}"
    return ""


def _dns(check: ServiceCheck, door: Door) -> str:
    return dns_failure(check.dns, door) if check.dns else "no check was declared"


def dns_failure(check: DnsCheck, door: Door) -> str:
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
