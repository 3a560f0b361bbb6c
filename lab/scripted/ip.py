"""``ip``: it reads and changes a scripted network."""

from __future__ import annotations

import ipaddress
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from lab.hypervisor import CommandResult
from lab.scripted.network import Link, Network, NetworkError, link_local
from lab.scripted.shell import Context, Program, fail, not_scripted, ok

_SHORT = {"link": "l", "addr": "a", "route": "r", "neigh": "n"}
OBJECTS = {name: name for name in (*_SHORT, "netns")} | {short: name for name, short in _SHORT.items()}
OBJECTS["address"] = "addr"
INFO_KINDS = {"bridge": "bridge", "veth": "veth", "tap": "tun", "dummy": "dummy"}
FLAGS = {"-j", "-json", "--json", "-d", "-details", "-br", "-brief", "-o", "-4", "-6", "-s", "-p"}


@dataclass
class Call:
    """One call of ``ip``: where it runs, its flags, the words after the object."""

    context: Context
    network: Network
    namespace: str
    flags: set[str]
    words: list[str]

    def not_scripted(self) -> Exception:
        """Return the error for words nobody scripted."""
        return not_scripted(["ip", *sorted(self.flags), *self.words])

    def value(self, key: str, default: str = "") -> str:
        """Return the word after a key word."""
        return self.words[self.words.index(key) + 1] if key in self.words[:-1] else default

    def rendered(self, found: list[dict[str, object]], text: Callable[[dict[str, object]], str]) -> CommandResult:
        """Print what was found, as JSON or as lines."""
        if self.flags & {"-j", "-json", "--json"}:
            return ok(json.dumps(found) + "\n")
        joint = "\\" if "-o" in self.flags else "\n"
        return ok("".join(text(one).replace("\n", joint) + "\n" for one in found))


def _ip(context: Context, arguments: list[str]) -> CommandResult:
    flags: set[str] = set()
    namespace, rest = context.netns, list(arguments)
    while rest and rest[0].startswith("-"):
        flag = rest.pop(0)
        if flag in {"-n", "-netns"} and rest:
            namespace = rest.pop(0)
        elif flag in FLAGS:
            flags.add(flag)
        else:
            raise not_scripted(["ip", *arguments])
    kind = OBJECTS.get(rest[0]) if rest else None
    if kind is None:
        raise not_scripted(["ip", *arguments])
    network = context.host.network
    words = rest[1:] or ["show"]
    action = {"list": "show", "ls": "show", "delete": "del", "a": "add"}.get(words[0], words[0])
    handler = HANDLERS.get((kind, action))
    if handler is None:
        raise not_scripted(["ip", *arguments])
    try:
        with network.lock:
            network.links(namespace)
            return handler(Call(context, network, namespace, flags, words[1:]))
    except NetworkError as error:
        return fail(error.rc, str(error))
    except (IndexError, ValueError) as error:
        raise not_scripted(["ip", *arguments]) from error


def _describe(link: Link, call: Call) -> dict[str, object]:
    loopback = link.kind == "loopback"
    state = "DOWN" if not link.up else "UNKNOWN" if loopback else "UP"
    flags = ["LOOPBACK"] if loopback else ["BROADCAST", "MULTICAST"]
    facts: dict[str, object] = {
        "ifindex": link.index,
        "ifname": link.name,
        "flags": [*flags, *(["UP", "LOWER_UP"] if link.up else [])],
        "mtu": 65536 if loopback else 1500,
        "qdisc": "noqueue",
        "operstate": state,
        "linkmode": "DEFAULT",
        "group": "default",
        "link_type": "loopback" if loopback else "ether",
        "address": link.mac,
    }
    if link.master:
        facts["master"] = link.master
    if link.peer:
        place, name = link.peer
        facts |= {"link": name} if place == call.namespace else {"link_index": 2, "link_netnsid": 0}
    if call.flags & {"-d", "-details"} and link.kind in INFO_KINDS:
        facts["linkinfo"] = {"info_kind": INFO_KINDS[link.kind]}
    return facts


def _select(call: Call) -> list[Link]:
    """Return the links that the words of a show command ask for."""
    name, master, kind = call.value("dev"), call.value("master"), call.value("type")
    spare = [word for word in call.words if word not in {"dev", "master", "type", "up", name, master, kind}]
    if len(spare) > 1:
        raise call.not_scripted()
    name = name or (spare[0] if spare else "")
    if name and name not in call.network.links(call.namespace):
        raise NetworkError(f'Device "{name}" does not exist.', 1)
    if master and master not in call.network.links(call.namespace):
        raise NetworkError(f'Device "{master}" does not exist.', 1)
    return [
        link
        for link in call.network.links(call.namespace).values()
        if name in {"", link.name}
        and master in {"", link.master}
        and kind in {"", link.kind}
        and (link.up or "up" not in call.words)
    ]


def _link_text(facts: Mapping[str, object]) -> str:
    flags = facts["flags"]
    master = f" master {facts['master']}" if "master" in facts else ""
    peer = f"@{facts.get('link', 'if2')}" if "link" in facts or "link_index" in facts else ""
    return (
        f"{facts['ifindex']}: {facts['ifname']}{peer}: <{','.join(flags) if isinstance(flags, list) else ''}> "
        f"mtu {facts['mtu']} qdisc noqueue{master} state {facts['operstate']}\n"
        f"    link/{facts['link_type']} {facts['address']}"
    )


def _link_show(call: Call) -> CommandResult:
    found = [_describe(link, call) for link in _select(call)]
    if call.flags & {"-br", "-brief"}:
        return call.rendered(found, lambda one: f"{one['ifname']:<16} {one['operstate']:<14} {one['address']}")
    return call.rendered(found, _link_text)


def _addresses(link: Link) -> list[dict[str, object]]:
    own = list(link.addresses)
    if link.up and link.kind != "loopback" and not link.master and link.link_local:
        own.append(f"{link_local(link.mac)}/64")
    found: list[dict[str, object]] = []
    for text in own:
        address = ipaddress.ip_interface(text)
        scope = "host" if address.ip.is_loopback else "link" if address.ip.is_link_local else "global"
        found.append(
            {
                "family": "inet6" if address.version == 6 else "inet",
                "local": str(address.ip),
                "prefixlen": address.network.prefixlen,
                "scope": scope,
            }
        )
    return found


def _addr_show(call: Call) -> CommandResult:
    family = "inet" if "-4" in call.flags else "inet6" if "-6" in call.flags else ""
    found = []
    for link in _select(call):
        facts = _describe(link, call)
        facts["addr_info"] = [one for one in _addresses(link) if family in {"", one["family"]}]
        found.append(facts)

    def brief(one: dict[str, object]) -> str:
        return f"{one['ifname']:<16} {one['operstate']:<14} " + " ".join(_plain(one))

    def full(one: dict[str, object]) -> str:
        return "\n".join([_link_text(one), *(f"    {'inet6' if ':' in own else 'inet'} {own}" for own in _plain(one))])

    return call.rendered(found, brief if call.flags & {"-br", "-brief"} else full)


def _plain(facts: Mapping[str, object]) -> list[str]:
    known = facts["addr_info"]
    return [f"{one['local']}/{one['prefixlen']}" for one in known] if isinstance(known, list) else []


def _link_add(call: Call) -> CommandResult:
    words = [word for word in call.words if word not in {"dev", "name"}]
    name, kind = words[0], call.value("type")
    if kind == "veth" and "peer" in words:
        after = words[words.index("peer") + 1 :]
        peer = after[0] if after else ""
        place = after[after.index("netns") + 1] if "netns" in after[:-1] else call.namespace
        call.network.add_veth(call.namespace, name, peer, place)
    elif kind in {"bridge", "dummy"}:
        call.network.add(call.namespace, name, kind)
    else:
        raise call.not_scripted()
    return ok()


def _link_set(call: Call) -> CommandResult:
    words = [word for word in call.words if word != "dev"]
    name, rest = words[0], words[1:]
    link = call.network.link(call.namespace, name)
    while rest:
        word = rest.pop(0)
        if word in {"up", "down"}:
            link.up = word == "up"
        elif word == "nomaster":
            link.master = ""
        else:
            _set_value(call, link, word, rest.pop(0))
    return ok()


def _set_value(call: Call, link: Link, key: str, value: str) -> None:
    if key == "master":
        link.master = call.network.link(call.namespace, value).name
    elif key == "address":
        link.mac = value
    elif key == "addrgenmode":
        link.link_local = value != "none"
    elif key == "netns":
        call.network.move(call.namespace, link.name, value)
    else:
        raise call.not_scripted()


def _link_del(call: Call) -> CommandResult:
    words = [word for word in call.words if word != "dev"]
    if len(words) != 1:
        raise call.not_scripted()
    call.network.delete(call.namespace, words[0])
    return ok()


def _addr_change(call: Call, *, add: bool) -> CommandResult:
    link = call.network.link(call.namespace, call.value("dev"))
    try:
        address = str(ipaddress.ip_interface(call.words[0]))
    except ValueError:
        return fail(1, f'Error: any valid prefix is expected rather than "{call.words[0]}".')
    if add and address in link.addresses:
        raise NetworkError("RTNETLINK answers: File exists")
    if not add and address not in link.addresses:
        raise NetworkError("RTNETLINK answers: Cannot assign requested address")
    link.addresses = [*link.addresses, address] if add else [own for own in link.addresses if own != address]
    return ok()


def _route_show(call: Call) -> CommandResult:
    found: list[dict[str, object]] = [
        {
            "dst": str(ipaddress.ip_interface(own).network),
            "dev": link.name,
            "protocol": "kernel",
            "scope": "link",
            "prefsrc": own.split("/")[0],
            "flags": [],
        }
        for link in call.network.links(call.namespace).values()
        for own in link.addresses
        if link.up and link.kind != "loopback" and ":" not in own
        if call.value("dev", link.name) == link.name
    ]
    return call.rendered(found, "{0[dst]} dev {0[dev]} proto kernel scope link src {0[prefsrc]}".format)


def _netns_show(call: Call) -> CommandResult:
    found: list[dict[str, object]] = [{"name": name} for name in call.network.namespaces if name]
    return call.rendered(found, lambda one: str(one["name"]))


def _netns_change(call: Call, *, add: bool) -> CommandResult:
    (call.network.add_namespace if add else call.network.delete_namespace)(call.words[0])
    return ok()


def _netns_exec(call: Call) -> CommandResult:
    name, *argv = call.words
    call.network.links(name)
    return call.context.host.call(replace(call.context, netns=name), argv)


HANDLERS: Mapping[tuple[str, str], Callable[[Call], CommandResult]] = {
    ("link", "show"): _link_show,
    ("link", "add"): _link_add,
    ("link", "set"): _link_set,
    ("link", "del"): _link_del,
    ("addr", "show"): _addr_show,
    ("addr", "add"): lambda call: _addr_change(call, add=True),
    ("addr", "del"): lambda call: _addr_change(call, add=False),
    ("route", "show"): _route_show,
    ("netns", "show"): _netns_show,
    ("netns", "add"): lambda call: _netns_change(call, add=True),
    ("netns", "del"): lambda call: _netns_change(call, add=False),
    ("netns", "exec"): _netns_exec,
    ("neigh", "show"): lambda call: call.rendered([], str),
}
PROGRAMS: Mapping[str, Program] = {"ip": _ip}
