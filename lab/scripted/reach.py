"""Programs of the node that speak to guests: they reach what the network state lets them reach."""

from __future__ import annotations

import errno
import os
import re
from collections.abc import Mapping

from lab.hypervisor import CommandResult
from lab.scripted.guest import Card
from lab.scripted.network import Network
from lab.scripted.shell import Context, Program, fail, not_scripted, ok

TARGET = re.compile(
    r"^TCP[46]?(?:-CONNECT)?:(?:\[(?P<six>[^\]]+)\]|(?P<four>[^:\[]+)):(?P<port>\d+)(?:,.*)?$", re.IGNORECASE
)
STDIO = {"-", "STDIO", "stdio"}


def connect(network: Network, namespace: str, address: str, port: int) -> Card:
    """Return the card that accepts a TCP connection; OSError as the kernel would give it."""
    try:
        found = network.find(namespace, address)
    except ValueError as error:
        raise OSError(errno.EINVAL, os.strerror(errno.EINVAL)) from error
    if not isinstance(found, Card):
        raise OSError(errno.EHOSTUNREACH, os.strerror(errno.EHOSTUNREACH))
    if str(port) not in found.guest.listening():
        raise ConnectionRefusedError(errno.ECONNREFUSED, os.strerror(errno.ECONNREFUSED))
    return found


def socat_target(arguments: list[str]) -> tuple[str, int] | None:
    """Return address and port of ``socat - TCP:ADDRESS:PORT``; None for any other use."""
    words: list[str] = []
    rest = list(arguments)
    while rest:
        word = rest.pop(0)
        if word in {"-T", "-t"}:
            rest = rest[1:]
        elif word in STDIO or not word.startswith("-"):
            words.append(word)
    if len(words) != 2 or words[0] not in STDIO:
        return None
    found = TARGET.match(words[1])
    return (found["six"] or found["four"], int(found["port"])) if found else None


def _socat(context: Context, arguments: list[str]) -> CommandResult:
    target = socat_target(arguments)
    if target is None:
        raise not_scripted(["socat", *arguments])
    address, port = target
    try:
        card = connect(context.host.network, context.netns, address, port)
    except OSError as error:
        return fail(1, f"socat[4242] E connect(5, AF=2 {address}:{port}, 16): {error.strerror}")
    answer = card.guest.answer(str(port), context.stdin)
    return ok(answer.decode("latin-1"))


def dial(context: Context, address: str, port: int | None) -> None:
    """Speak to an address from a namespace of the node."""
    network = context.host.network
    if network.own(context.netns, address):
        return
    if port is not None:
        connect(network, context.netns, address, port)
    elif network.find(context.netns, address) is None:
        raise OSError(errno.EHOSTUNREACH, os.strerror(errno.EHOSTUNREACH))


def _curl(context: Context, arguments: list[str]) -> CommandResult:
    url = re.match(r"^http://(?P<address>[^:/]+):?(?P<port>\d*)(?P<path>/.*)?$", arguments[-1] if arguments else "")
    if url is None:
        raise not_scripted(["curl", *arguments])
    port = int(url["port"] or 80)
    try:
        card = connect(context.host.network, context.netns, url["address"], port)
    except OSError as error:
        return fail(7, f"curl: (7) Failed to connect to {url['address']} port {port}: {error.strerror}")
    request = f"GET {url['path'] or '/'} HTTP/1.0\r\n\r\n".encode()
    return ok(card.guest.answer(str(port), request).partition(b"\r\n\r\n")[2].decode("utf-8", "replace"))


def _dig(context: Context, arguments: list[str]) -> CommandResult:
    """``dig +short … @ADDRESS NAME [A]``."""
    server = next((word[1:] for word in arguments if word.startswith("@")), "")
    names = [word for word in arguments if not word.startswith(("@", "+", "-")) and word != "A"]
    if "+short" not in arguments or len(names) != 1 or not server:
        raise not_scripted(["dig", *arguments])
    try:
        card = connect(context.host.network, context.netns, server, 53)
    except OSError:
        return CommandResult(9, f";; communications error to {server}#53: timed out\n", "")
    address = card.guest.image.records.get(names[0].rstrip(".").lower())
    return ok(f"{address}\n" if address else "")


PROGRAMS: Mapping[str, Program] = {"socat": _socat, "curl": _curl, "dig": _dig}
