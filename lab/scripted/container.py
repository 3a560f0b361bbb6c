"""A scripted container: what its root file system says it is, what is different inside, what leads in from the node."""

from __future__ import annotations

import io
import json
import tarfile
from collections.abc import Callable, Sequence
from dataclasses import asdict

from lab.hypervisor import CommandResult, HypervisorError
from lab.scripted import ip, reach
from lab.scripted.guest import ScriptedGuest
from lab.scripted.host import ScriptedHost
from lab.scripted.image import GuestImage
from lab.scripted.shell import Context, Program, fail, not_scripted

DESCRIPTION = "./.lab-guest.json"
"""The member of a root file system that describes the container; one without it has a host name and files alone."""
TICKS = 100
"""Clock ticks a second in /proc (upstream: USER_HZ)."""
ABSENT = frozenset({"bash", "docker", "getent", "ss", "systemctl"})
"""What a guest of busybox alone does not have."""

Execute = Callable[[int, Sequence[str]], CommandResult]


def root_of(image: GuestImage, files: dict[str, str]) -> bytes:
    """Return the root file system of a container as a tar: its description and ``files`` (path → text)."""
    out = io.BytesIO()
    members = {DESCRIPTION: json.dumps(asdict(image)), "./etc/hostname": f"{image.hostname}\n"}
    members |= {f".{path}": text for path, text in files.items()}
    with tarfile.open(fileobj=out, mode="w") as tar:
        for name, text in members.items():
            member = tarfile.TarInfo(name)
            member.size = len(text.encode())
            tar.addfile(member, io.BytesIO(text.encode()))
    return out.getvalue()


def image_of(tar: bytes, addresses: list[list[str]]) -> GuestImage:
    """Make an image of a container's root file system, given as a tar; its addresses come from its configuration."""
    files = {}
    with tarfile.open(fileobj=io.BytesIO(tar)) as opened:
        for member in opened:
            content = opened.extractfile(member) if member.isreg() else None
            if content is not None:
                files["./" + member.name.removeprefix("./").lstrip("/")] = content.read().decode("utf-8", "replace")
    described = files.pop(DESCRIPTION, "")
    hostname = files.get("./etc/hostname", "container").strip()
    image = GuestImage.parse(described.encode()) if described else GuestImage(hostname, services={}, ports={})
    image.addresses, image.files = addresses, {path[1:]: text for path, text in files.items()}
    return image


def settle(guest: ScriptedGuest, node: ScriptedHost) -> None:
    """Give a container what it shares with its node: the kernel, whose boot id and clock ticks it shows."""
    own = guest.host
    own.absent |= ABSENT
    own.programs["ip"] = _ip
    own.boot_id, own.release = node.boot_id, node.release

    def stat(process: str, started: float) -> bytes:
        return f"{process} S {'0 ' * 18}{int((started - node.booted) * TICKS)} 0 0\n".encode()

    def uptime() -> bytes:
        return f"{node.clock() - node.booted:.2f} 0.00\n".encode()

    own.files.dynamic |= {
        "/proc/1/stat": lambda: stat("1 (init)", own.booted),
        "/proc/self/stat": lambda: stat("42 (cat)", own.clock()),
        "/proc/uptime": uptime,
    }


def _ip(context: Context, arguments: list[str]) -> CommandResult:
    """Busybox's ``ip``, which knows no JSON."""
    if "-j" in arguments:
        return fail(1, "ip: invalid option -- 'j'")
    return ip.PROGRAMS["ip"](context, arguments)


def attach(interfaces: Callable[[int], CommandResult], dial: Callable[[int, str, int], None]) -> Program:
    """Return the node's ``lxc-attach``, of which a look at a container's network is scripted: its cards, a connection.

    ``dial`` speaks to an address and port from a container's network; OSError when in vain.
    """

    def program(_context: Context, arguments: list[str]) -> CommandResult:
        match arguments:
            case ["-n", vmid, "-s", "NETWORK", "--", "ip", "-j", "addr"] if vmid.isdecimal():
                try:
                    return interfaces(int(vmid))
                except HypervisorError:
                    return _not_running(vmid)
            case ["-n", vmid, "-s", "NETWORK", "--", "socat", "-u", "OPEN:/dev/null", target] if vmid.isdecimal():
                return _connected(dial, vmid, target)
        raise not_scripted(["lxc-attach", *arguments])

    return program


def _not_running(vmid: str) -> CommandResult:
    return fail(1, f"lxc-attach: {vmid}: attach.c: lxc_attach: 993 Failed to get init pid")


def _connected(dial: Callable[[int, str, int], None], vmid: str, target: str) -> CommandResult:
    found = reach.TARGET.match(target)
    if found is None:
        raise not_scripted(["socat", target])
    try:
        dial(int(vmid), found["six"] or found["four"], int(found["port"]))
    except HypervisorError:
        return _not_running(vmid)
    except OSError as error:
        return fail(1, f"socat[4242] E {target}: {error.strerror}")
    return CommandResult(0, "", "")


def pct(execute: Execute, exists: Callable[[int], bool]) -> Program:
    """Return the node's ``pct``, of which ``pct exec VMID -- COMMAND`` is scripted (upstream: PVE/CLI/pct.pm)."""

    def program(_context: Context, arguments: list[str]) -> CommandResult:
        if arguments[:1] != ["exec"] or len(arguments) < 4 or arguments[2] != "--" or not arguments[1].isdigit():
            raise not_scripted(["pct", *arguments])
        vmid = int(arguments[1])
        if not exists(vmid):
            return fail(2, f"Configuration file 'nodes/pve1/lxc/{vmid}.conf' does not exist")
        try:
            return execute(vmid, arguments[3:])
        except HypervisorError:
            return fail(255, f"container '{vmid}' not running!")

    return program
