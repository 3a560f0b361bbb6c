"""The QEMU guest agent of a scripted guest, command by command as QEMU names them."""

from __future__ import annotations

import base64
import itertools
from collections.abc import Callable, Mapping
from datetime import datetime
from zoneinfo import ZoneInfo

from lab.hypervisor import AgentError, AgentSilent, CommandResult
from lab.scripted.guest import ScriptedGuest
from lab.scripted.units import find

Arguments = Mapping[str, object]
COUNTERS = ("rx-bytes", "rx-packets", "rx-errs", "rx-dropped", "tx-bytes", "tx-packets", "tx-errs", "tx-dropped")


class Agent:
    """The agent of one running guest; it keeps finished programs until their result is fetched, as the real one."""

    def __init__(self, guest: ScriptedGuest) -> None:
        self._guest = guest
        self._numbers = itertools.count(400)
        self._results: dict[int, CommandResult] = {}
        self._open: dict[int, tuple[str, bytes, bool]] = {}
        self._commands: dict[str, Callable[[Arguments], object]] = {
            "guest-ping": lambda _a: {},
            "guest-sync": lambda a: a["id"],
            "guest-info": self._info,
            "guest-get-osinfo": self._osinfo,
            "guest-get-host-name": self._hostname,
            "guest-get-time": self._time,
            "guest-get-timezone": self._timezone,
            "guest-get-users": lambda _a: [],
            "guest-get-vcpus": self._vcpus,
            "guest-get-fsinfo": self._fsinfo,
            "guest-get-memory-blocks": self._memory_blocks,
            "guest-network-get-interfaces": self._interfaces,
            "guest-exec": self._exec,
            "guest-exec-status": self._exec_status,
            "guest-file-open": self._file_open,
            "guest-file-read": self._file_read,
            "guest-file-write": self._file_write,
            "guest-file-close": self._file_close,
            "guest-fsfreeze-status": self._freeze_status,
            "guest-fsfreeze-freeze": self._freeze,
            "guest-fsfreeze-thaw": self._thaw,
        }

    def call(self, command: str, arguments: Arguments) -> object:
        """Run one command. AgentSilent when the agent does not run, AgentError when it refuses."""
        _name, unit = find(self._guest.host, "qemu-guest-agent")
        running = unit is not None and unit.active == "active"
        if not self._guest.is_up or self._guest.agent_dead or not running:
            raise AgentSilent(command)
        if command not in self._commands:
            raise AgentError(f"The command {command} has not been found", "CommandNotFound")
        if self._guest.frozen and not command.startswith(("guest-fsfreeze", "guest-ping", "guest-sync", "guest-info")):
            raise AgentError(f"Command {command} has been disabled: the agent is in frozen state", "CommandNotFound")
        try:
            return self._commands[command](arguments)
        except KeyError as missing:
            raise AgentError(f"Parameter {missing} is missing") from missing

    def _info(self, _arguments: Arguments) -> object:
        known = [{"name": name, "enabled": True, "success-response": True} for name in self._commands]
        return {"version": "7.2.19", "supported_commands": known}

    def _osinfo(self, _arguments: Arguments) -> object:
        release = self._guest.host.release
        return {
            "id": release.id,
            "name": release.name,
            "pretty-name": release.pretty,
            "version": release.version,
            "version-id": release.version_id,
            "machine": "x86_64",
            "kernel-release": release.kernel,
            "kernel-version": release.kernel_version,
        }

    def _hostname(self, _arguments: Arguments) -> object:
        return {"host-name": self._guest.host.hostname}

    def _time(self, _arguments: Arguments) -> object:
        return int(self._guest.host.clock() * 1_000_000_000)

    def _timezone(self, _arguments: Arguments) -> object:
        moment = datetime.fromtimestamp(self._guest.host.clock(), ZoneInfo(self._guest.host.zone))
        offset = moment.utcoffset()
        return {"zone": moment.tzname(), "offset": int(offset.total_seconds()) if offset else 0}

    def _vcpus(self, _arguments: Arguments) -> object:
        return [{"logical-id": 0, "online": True, "can-offline": False}]

    def _fsinfo(self, _arguments: Arguments) -> object:
        usage = self._guest.host.files.usage("/")
        return [
            {
                "name": "vda1",
                "mountpoint": "/",
                "type": "ext4",
                "used-bytes": usage.used,
                "total-bytes": usage.used + usage.avail,
                "total-bytes-privileged": usage.total,
                "disk": [
                    {
                        "bus-type": "virtio",
                        "bus": 0,
                        "target": 0,
                        "unit": 0,
                        "dev": "/dev/vda1",
                        "pci-controller": {"domain": 0, "bus": 0, "slot": 10, "function": 0},
                    }
                ],
            }
        ]

    def _memory_blocks(self, _arguments: Arguments) -> object:
        return [{"phys-index": index, "online": True, "can-offline": True} for index in range(2)]

    def _interfaces(self, _arguments: Arguments) -> object:
        loopback = ["127.0.0.1/8", "::1/128"]
        found = [_interface("lo", "00:00:00:00:00:00", loopback)]
        for card in self._guest.cards:
            own = [*self._guest.addresses(card.index), f"{card.addresses()[-1]}/64"]
            found.append(_interface(f"eth{card.index}", card.mac.lower(), own))
        return found

    def _exec(self, arguments: Arguments) -> object:
        extra = arguments.get("arg", [])
        argv = [str(arguments["path"]), *(str(word) for word in (extra if isinstance(extra, list) else []))]
        stdin = base64.b64decode(str(arguments.get("input-data", "")))
        host = self._guest.host
        program = argv[0].rsplit("/", 1)[-1]
        if program not in host.programs and not any(known.split(" ")[0] == program for known in host.extra):
            raise AgentError(
                "Guest agent command failed, error was 'Failed to execute child process "
                f"\N{LEFT DOUBLE QUOTATION MARK}{argv[0]}\N{RIGHT DOUBLE QUOTATION MARK} "
                "(No such file or directory)'"
            )
        pid = next(self._numbers)
        self._results[pid] = host.call(host.context(stdin), argv)
        return {"pid": pid}

    def _exec_status(self, arguments: Arguments) -> object:
        result = self._results.pop(int(str(arguments["pid"])), None)
        if result is None:
            raise AgentError(f"PID {arguments['pid']} does not exist")
        how = {"exitcode": result.rc} if result.rc >= 0 else {"signal": -result.rc}
        answer: dict[str, object] = {"exited": True, **how}
        for key, text in (("out-data", result.stdout), ("err-data", result.stderr)):
            if text:
                answer[key] = base64.b64encode(text.encode()).decode()
        return answer

    def _file_open(self, arguments: Arguments) -> object:
        path, mode = str(arguments["path"]), str(arguments.get("mode", "r"))
        files, writing = self._guest.host.files, not mode.startswith("r")
        try:
            if writing:
                files.write(path, b"")
            content = files.read(path)
        except OSError as error:
            raise AgentError(f"failed to open file '{path}' (mode: '{mode}'): {error.strerror}") from error
        handle = next(self._numbers)
        self._open[handle] = (path, content, writing)
        return handle

    def _handle(self, arguments: Arguments) -> int:
        handle = int(str(arguments["handle"]))
        if handle not in self._open:
            raise AgentError(f"handle '{handle}' has not been found")
        return handle

    def _file_read(self, arguments: Arguments) -> object:
        handle = self._handle(arguments)
        path, content, writing = self._open[handle]
        count = int(str(arguments.get("count", 4096)))
        self._open[handle] = (path, content[count:], writing)
        return {
            "count": len(content[:count]),
            "buf-b64": base64.b64encode(content[:count]).decode(),
            "eof": len(content) < count,
        }

    def _file_write(self, arguments: Arguments) -> object:
        handle = self._handle(arguments)
        path, content, writing = self._open[handle]
        data = base64.b64decode(str(arguments["buf-b64"]))
        if not writing:
            raise AgentError(f"failed to write to file '{path}': Bad file descriptor")
        self._open[handle] = (path, content + data, writing)
        self._guest.host.files.write(path, content + data)
        return {"count": len(data), "eof": False}

    def _file_close(self, arguments: Arguments) -> object:
        del self._open[self._handle(arguments)]
        return {}

    def _freeze_status(self, _arguments: Arguments) -> object:
        return "frozen" if self._guest.frozen else "thawed"

    def _freeze(self, _arguments: Arguments) -> object:
        self._guest.frozen = True
        return 1

    def _thaw(self, _arguments: Arguments) -> object:
        was, self._guest.frozen = self._guest.frozen, False
        return int(was)


def _interface(name: str, mac: str, addresses: list[str]) -> dict[str, object]:
    listed = []
    for own in addresses:
        address, _slash, prefix = own.partition("/")
        kind = "ipv6" if ":" in address else "ipv4"
        listed.append({"ip-address": address, "ip-address-type": kind, "prefix": int(prefix)})
    return {"name": name, "hardware-address": mac, "ip-addresses": listed, "statistics": dict.fromkeys(COUNTERS, 0)}
