"""``bridge`` and the network side of ``sysctl`` on a scripted network."""

from __future__ import annotations

import json
from collections.abc import Mapping

from lab.hypervisor import CommandResult
from lab.scripted.shell import Context, Program, not_scripted, ok


def _bridge(context: Context, arguments: list[str]) -> CommandResult:
    """``bridge [-j] link [show]``: the ports of all bridges."""
    words = [word for word in arguments if word not in {"-j", "-json", "show", "-d"}]
    if words[:1] != ["link"] or len(words) not in {1, 3}:
        raise not_scripted(["bridge", *arguments])
    network = context.host.network
    ports = [
        link
        for link in list(network.links(context.netns).values())
        if link.master and (len(words) == 1 or words[-1] in {link.master, link.name})
    ]
    found = [
        {
            "ifindex": port.index,
            "ifname": port.name,
            "flags": ["BROADCAST", "MULTICAST", "UP", "LOWER_UP"],
            "mtu": 1500,
            "master": port.master,
            "state": "forwarding",
            "priority": 32,
            "cost": 2,
        }
        for port in ports
    ]
    if {"-j", "-json"} & {*arguments}:
        return ok(json.dumps(found) + "\n")
    lines = (f"{port.index}: {port.name}: <UP> mtu 1500 master {port.master} state forwarding\n" for port in ports)
    return ok("".join(lines))


def _sysctl(context: Context, arguments: list[str]) -> CommandResult:
    words = [word for word in arguments if word not in {"-n", "-q", "-w"}]
    if len(words) != 1 or words[0].split("=")[0] != "net.ipv4.ip_forward":
        raise not_scripted(["sysctl", *arguments])
    key, changed, value = words[0].partition("=")
    if changed:
        context.host.network.forwarding = value == "1"
    shown = str(int(context.host.network.forwarding))
    return ok(f"{shown}\n" if "-n" in arguments else f"{key} = {shown}\n")


PROGRAMS: Mapping[str, Program] = {"bridge": _bridge, "sysctl": _sysctl}
