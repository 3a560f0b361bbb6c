"""The guest agent over the API: one route a command.

Upstream: PVE/API2/Qemu/Agent.pm, PVE/QemuServer/Agent.pm. Refusals, wrappers and oddities as recorded: commands answer
under ``result``, exec and files do not; the status of a finished process is given once; a text that is not
ASCII breaks the connection to the client (596).
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable, Mapping
from typing import Any

from lab.hypervisor import AgentError, AgentSilent
from lab.pve.call import Call, die, param_error
from lab.pve.config import guest_of
from lab.pve.formats import split_list
from lab.pve.power import agent_enabled
from lab.pve.site import GuestRecord

TIMEOUT = 5.0
"""Seconds a command may take; freezing and thawing have their own."""
LONG = {"fsfreeze-freeze": 600.0, "fsfreeze-thaw": 180.0, "fstrim": 600.0, "shutdown": 600.0}
MAX_READ = 16 * 1024 * 1024
CHUNK = 1024 * 1024

COMMANDS = (
    "exec", "exec-status", "file-read", "file-write", "fsfreeze-freeze", "fsfreeze-status", "fsfreeze-thaw", "fstrim",
    "get-fsinfo", "get-host-name", "get-memory-block-info", "get-memory-blocks", "get-osinfo", "get-time",
    "get-timezone", "get-users", "get-vcpus", "info", "network-get-interfaces", "ping", "set-user-password",
    "shutdown", "suspend-disk", "suspend-hybrid", "suspend-ram",
)  # fmt: skip


def index(call: Call) -> object:
    """GET …/agent."""
    guest_of(call)
    return [{"name": name} for name in COMMANDS]


def available(call: Call) -> GuestRecord:
    """The guest, when its agent is configured, it runs, and its agent answers a ping (upstream: agent_available)."""
    guest = guest_of(call)
    if not agent_enabled(guest):
        die("No QEMU guest agent configured")
    if not call.site.hypervisor.is_running(guest.vmid):
        die(f"VM {guest.vmid} is not running")
    try:
        call.site.hypervisor.agent(guest.vmid, "guest-ping", {}, call.site.patience.agent)
    except (AgentSilent, AgentError):
        die("QEMU guest agent is not running")
    return guest


def _ask(call: Call, guest: GuestRecord, command: str, arguments: Mapping[str, object], timeout: float) -> Any:
    try:
        return call.site.hypervisor.agent(guest.vmid, f"guest-{command}", arguments, timeout)
    except AgentSilent:
        die(f"VM {guest.vmid} qga command 'guest-{command}' failed - got timeout")


def _ask_or_die(call: Call, guest: GuestRecord, command: str, arguments: Mapping[str, object]) -> Any:
    try:
        return _ask(call, guest, command, arguments, TIMEOUT)
    except AgentError as error:
        die(f"Agent error: {error.desc}")


def _plain(command: str) -> Callable[[Call], object]:
    def handler(call: Call) -> object:
        guest = available(call)
        try:
            result = _ask(call, guest, command, {}, LONG.get(command, TIMEOUT))
        except AgentError as error:
            return {"result": {"error": {"class": error.klass, "desc": error.desc}}}
        return {"result": {} if result is None else result}

    handler.__name__ = command.replace("-", "_")
    handler.__doc__ = f"The agent's {command}; an error of the agent is part of the result, with status 200."
    return handler


PLAIN: dict[str, Callable[[Call], object]] = {
    name: _plain(name)
    for name in COMMANDS
    if name not in {"exec", "exec-status", "file-read", "file-write", "set-user-password"}
}
"""Handlers of the commands that take nothing and answer under ``result``."""


def legacy(call: Call) -> object:
    """POST …/agent with ``command``."""
    command = str(call.params["command"])
    if command not in PLAIN:
        param_error(
            "command", f"value '{command}' does not have a value in the enumeration '{', '.join(sorted(PLAIN))}'"
        )
    return PLAIN[command](call)


def _argv(command: object) -> list[str]:
    """Program and arguments: a list, before 8 a text that NUL separates, or blanks, commas and semicolons if none."""
    if isinstance(command, str):
        return command.rstrip("\0").split("\0") if "\0" in command else split_list(command)
    return [str(part) for part in command] if isinstance(command, list) else []


def execute(call: Call) -> object:
    """POST …/agent/exec: start a program; ``command`` is program and arguments, never a shell line."""
    guest = available(call)
    argv = _argv(call.params.get("command"))
    if not argv:
        die("No command given")
    arguments: dict[str, object] = {"path": argv[0], "capture-output": True}
    if argv[1:]:
        arguments["arg"] = argv[1:]
    if (data := call.params.get("input-data")) is not None:
        arguments["input-data"] = base64.b64encode(str(data).encode()).decode()
    return {"pid": _ask_or_die(call, guest, "exec", arguments)["pid"]}


def exec_status(call: Call) -> object:
    """GET …/agent/exec-status: decoded output and numbers instead of booleans; a finished process is forgotten."""
    guest = available(call)
    try:
        status = dict(_ask(call, guest, "exec-status", {"pid": call.params["pid"]}, TIMEOUT))
    except AgentError as error:
        die(f"Agent error: {_unformatted(error.desc, int(call.params['pid']))}")
    for key in ("out-data", "err-data"):
        if key in status:
            status[key] = _text(str(status[key]))
            status.setdefault(f"{key[:3]}-truncated", 0)
    return {key: int(value) if isinstance(value, bool) else value for key, value in status.items()}


def _unformatted(text: str, pid: int) -> str:
    """The agent's text with the process number as its own wrong format prints it: "PID ld does not exist"."""
    return text.replace(f"PID {pid} ", "PID ld ")


def _text(encoded: str) -> str:
    try:
        return base64.b64decode(encoded).decode("utf-8", "replace")
    except binascii.Error:
        return encoded


def file_read(call: Call) -> object:
    """GET …/agent/file-read: at most 16 MiB, ``truncated`` when there is more."""
    guest = available(call)
    limit = int(call.params.get("count", MAX_READ))
    handle = _ask_or_die(call, guest, "file-open", {"path": call.params["file"], "mode": "r"})
    content, ended = b"", False
    try:
        if offset := call.params.get("offset"):
            _ask_or_die(call, guest, "file-seek", {"handle": handle, "offset": offset, "whence": "set"})
        while len(content) < limit and not ended:
            wanted = min(CHUNK, limit - len(content))
            part = _ask_or_die(call, guest, "file-read", {"handle": handle, "count": wanted})
            content += base64.b64decode(part.get("buf-b64", ""))
            ended = bool(part.get("eof")) or not part.get("count")
    finally:
        _ask_or_die(call, guest, "file-close", {"handle": handle})
    keep = call.params.get("decode", 1)
    text = content.decode("utf-8", "replace") if keep else base64.b64encode(content).decode()
    answer: dict[str, object] = {"content": text, "bytes-read": len(content)}
    if not ended:
        answer["truncated"] = 1
    return answer


def file_write(call: Call) -> object:
    """POST …/agent/file-write; ``encode`` 0 says the content is base64 already."""
    guest = available(call)
    content = str(call.params["content"])
    encoded = base64.b64encode(content.encode()).decode() if call.params.get("encode", 1) else content
    handle = _ask_or_die(call, guest, "file-open", {"path": call.params["file"], "mode": "wb"})
    try:
        _ask_or_die(call, guest, "file-write", {"handle": handle, "buf-b64": encoded})
    finally:
        _ask_or_die(call, guest, "file-close", {"handle": handle})
    return None


def set_user_password(call: Call) -> object:
    """POST …/agent/set-user-password."""
    guest = available(call)
    arguments = {
        "username": call.params["username"],
        "password": base64.b64encode(str(call.params["password"]).encode()).decode(),
        "crypted": bool(call.params.get("crypted")),
    }
    return {"result": _ask_or_die(call, guest, "set-user-password", arguments) or {}}
