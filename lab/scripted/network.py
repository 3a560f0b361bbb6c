"""Links, bridges, network namespaces and who reaches whom over them."""

from __future__ import annotations

import ipaddress
import itertools
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Protocol

Address = ipaddress.IPv4Address | ipaddress.IPv6Address


class Endpoint(Protocol):
    """Something on a bridge that may answer: a guest's card."""

    @property
    def bridge(self) -> str:
        """The bridge it is plugged into."""
        ...

    @property
    def up(self) -> bool:
        """Whether it answers at all."""
        ...

    def addresses(self) -> list[str]:
        """Addresses it answers to now, without prefix lengths."""
        ...


@dataclass
class Link:
    """A network device. ``peer`` is the other end of a veth: (namespace, name)."""

    name: str
    kind: str
    index: int
    mac: str
    up: bool = False
    master: str = ""
    addresses: list[str] = field(default_factory=list)
    link_local: bool = True
    peer: tuple[str, str] | None = None


class NetworkError(Exception):
    """The kernel refused; ``rc`` is the exit status and the text the message of ``ip``."""

    def __init__(self, text: str, rc: int = 2) -> None:
        super().__init__(text)
        self.rc = rc


class Network:
    """The network of the node: the links of each namespace ("" is the node's own) and the guests' cards on bridges.

    ``lock`` is held by whoever changes it, or looks at more than one link.
    """

    def __init__(self) -> None:
        self.lock = threading.RLock()
        self._indexes = itertools.count(1)
        self.namespaces: dict[str, dict[str, Link]] = {"": {}}
        self.endpoints: list[Endpoint] = []
        self.forwarding = False
        loopback = self.add("", "lo", "loopback", mac="00:00:00:00:00:00")
        loopback.up, loopback.addresses = True, ["127.0.0.1/8", "::1/128"]

    def links(self, namespace: str) -> dict[str, Link]:
        """Return the links of a namespace."""
        if namespace not in self.namespaces:
            raise NetworkError(f'Cannot open network namespace "{namespace}": No such file or directory', 1)
        return self.namespaces[namespace]

    def link(self, namespace: str, name: str) -> Link:
        """Return a link by its name."""
        found = self.links(namespace).get(name)
        if found is None:
            raise NetworkError(f'Cannot find device "{name}"', 1)
        return found

    def add(self, namespace: str, name: str, kind: str, mac: str = "") -> Link:
        """Add a link."""
        links = self.links(namespace)
        if name in links:
            raise NetworkError("RTNETLINK answers: File exists")
        index = next(self._indexes)
        links[name] = Link(name, kind, index, mac or f"02:00:00:00:{index >> 8:02x}:{index & 255:02x}")
        return links[name]

    def add_veth(self, namespace: str, name: str, peer: str, peer_namespace: str) -> None:
        """Add a pair of linked devices."""
        for place, end in ((namespace, name), (peer_namespace, peer)):
            if end in self.links(place):
                raise NetworkError("RTNETLINK answers: File exists")
        self.add(namespace, name, "veth").peer = (peer_namespace, peer)
        self.add(peer_namespace, peer, "veth").peer = (namespace, name)

    def move(self, namespace: str, name: str, target: str) -> None:
        """Move a link into another namespace; it loses its addresses and goes down."""
        link = self.link(namespace, name)
        self.links(target)[name] = self.namespaces[namespace].pop(name)
        link.up, link.addresses, link.master = False, [], ""
        if link.peer:
            self.link(*link.peer).peer = (target, name)

    def delete(self, namespace: str, name: str) -> None:
        """Delete a link, and the other end of a veth with it."""
        peer = self.link(namespace, name).peer
        del self.namespaces[namespace][name]
        if peer and peer[1] in self.namespaces.get(peer[0], {}):
            del self.namespaces[peer[0]][peer[1]]

    def add_namespace(self, name: str) -> None:
        """Add a namespace with a loopback device that is down."""
        if name in self.namespaces:
            raise NetworkError(f'Cannot create namespace file "/run/netns/{name}": File exists', 1)
        self.namespaces[name] = {}
        self.add(name, "lo", "loopback", "00:00:00:00:00:00")

    def delete_namespace(self, name: str) -> None:
        """Delete a namespace; the veths in it disappear with their other ends."""
        if name not in self.namespaces or not name:
            raise NetworkError(f'Cannot remove namespace file "/run/netns/{name}": No such file or directory', 1)
        for link in list(self.namespaces[name].values()):
            if link.name in self.namespaces[name]:
                self.delete(name, link.name)
        del self.namespaces[name]

    def find(self, namespace: str, address: str) -> Endpoint | None:
        """Return the card that answers to an address when spoken to from a namespace; None when nothing does.

        Only neighbours are reached: a card on a bridge that the namespace has an address on, in the address's net.
        A link-local address names its device behind a percent sign.
        """
        plain, _percent, device = address.partition("%")
        target = ipaddress.ip_address(plain)
        with self.lock:
            bridges = set(self._bridges(namespace, target, device))
            near = (one for one in self.endpoints if one.up and one.bridge in bridges and plain in one.addresses())
            return next(near, None)

    def _bridges(self, namespace: str, target: Address, device: str) -> Iterator[str]:
        for link in self.links(namespace).values():
            local = target.is_link_local and link.name == device
            near = any(target in ipaddress.ip_interface(own).network for own in link.addresses)
            if (local or near) and self._enters(link):
                yield self._enters(link)

    def owner(self, bridge: str, address: str) -> Endpoint | str | None:
        """Return who on a bridge has an address: a guest's card, or a namespace's name ("" for the node itself)."""
        with self.lock:
            for endpoint in self.endpoints:
                if endpoint.up and endpoint.bridge == bridge and address in endpoint.addresses():
                    return endpoint
            for namespace in self.namespaces:
                on_it = [link for link in self.links(namespace).values() if bridge and self._enters(link) == bridge]
                if any(address == own.split("/")[0] for link in on_it for own in link.addresses):
                    return namespace
            return None

    def _enters(self, link: Link) -> str:
        """Return the bridge that a link of a namespace leads to; "" for none."""
        if not link.up:
            return ""
        if link.kind == "bridge":
            return link.name
        end = self.link(*link.peer) if link.kind == "veth" and link.peer else link
        return end.master if end.up else ""

    def own(self, namespace: str, address: str) -> bool:
        """Tell whether an address is one of the namespace's own."""
        links = list(self.links(namespace).values())
        return any(address == own.split("/")[0] for link in links if link.up for own in link.addresses)


def link_local(mac: str) -> str:
    """Return the IPv6 link-local address that a card makes of its MAC."""
    octets = [int(part, 16) for part in mac.split(":")]
    octets[0] ^= 2
    words = [octets[0] << 8 | octets[1], octets[2] << 8 | 0xFF, 0xFE00 | octets[3], octets[4] << 8 | octets[5]]
    return str(ipaddress.ip_address("fe80::" + ":".join(f"{word:x}" for word in words)))
