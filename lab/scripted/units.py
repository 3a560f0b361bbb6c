"""systemd as seen from outside: units and their states, the clock's state, the journal."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

from lab.hypervisor import CommandResult
from lab.scripted.shell import Context, Program, fail, not_scripted, ok

if TYPE_CHECKING:
    from lab.scripted.host import ScriptedHost


@dataclass
class Unit:
    """A systemd unit: ``active`` as in "active", "inactive", "failed"; ``enabled`` as is-enabled prints it."""

    active: str = "active"
    enabled: str = "enabled"
    description: str = ""
    kind: str = "service"

    def properties(self, name: str) -> Mapping[str, str]:
        """Return what ``systemctl show`` prints."""
        up = "running" if self.kind == "service" else "mounted"
        sub = {"active": up, "inactive": "dead"}.get(self.active, "failed")
        return {
            "Type": "simple",
            "Id": name,
            "Names": name,
            "Description": self.description or name,
            "LoadState": "loaded",
            "ActiveState": self.active,
            "SubState": sub,
            "UnitFileState": self.enabled,
            "MainPID": "612" if self.active == "active" else "0",
            "NRestarts": "0",
            "Result": "exit-code" if self.active == "failed" else "success",
        }


@dataclass(frozen=True)
class JournalEntry:
    """One line of the journal; ``when`` in seconds since the epoch."""

    identifier: str
    message: str
    priority: int
    when: float
    pid: int = 1000

    @property
    def transport(self) -> str:
        """How the entry came into the journal."""
        return "kernel" if self.identifier == "kernel" else "syslog"

    def fields(self, host: ScriptedHost) -> Mapping[str, str]:
        """Return the fields that ``journalctl -o json`` prints."""
        micros = str(int(self.when * 1_000_000))
        boot = host.boot_id.replace("-", "")
        return {
            "__CURSOR": f"s=1;t={micros}",
            "__REALTIME_TIMESTAMP": micros,
            "_BOOT_ID": boot,
            "_HOSTNAME": host.hostname,
            "_TRANSPORT": self.transport,
            "PRIORITY": str(self.priority),
            "SYSLOG_IDENTIFIER": self.identifier,
            "_PID": str(self.pid),
            "MESSAGE": self.message,
        }


def find(host: ScriptedHost, name: str) -> tuple[str, Unit | None]:
    """Return a unit's full name and the unit."""
    full = name if "." in name else f"{name}.service"
    return full, host.services.get(full)


def _is_active(context: Context, names: Sequence[str]) -> CommandResult:
    states = [unit.active if unit else "inactive" for _, unit in (find(context.host, name) for name in names)]
    known = [find(context.host, name)[1] for name in names]
    rc = 0 if "active" in states else 3 if any(known) else 4
    return CommandResult(rc, "".join(f"{state}\n" for state in states), "")


def _is_enabled(context: Context, names: Sequence[str]) -> CommandResult:
    out, err, rc = "", "", 1
    for name in names:
        full, unit = find(context.host, name)
        if unit is None:
            err += f"Failed to get unit file state for {full}: No such file or directory\n"
        else:
            out += f"{unit.enabled}\n"
            rc = 0 if unit.enabled in {"enabled", "static", "alias", "generated"} else rc
    return CommandResult(rc, out, err)


def _is_failed(context: Context, names: Sequence[str]) -> CommandResult:
    units = [find(context.host, name)[1] for name in names]
    states = [unit.active if unit else "inactive" for unit in units]
    return CommandResult(0 if "failed" in states else 1, "".join(f"{state}\n" for state in states), "")


def _show(context: Context, words: Sequence[str]) -> CommandResult:
    wanted, names, value = _properties(words)
    blocks = []
    for name in names:
        full, unit = find(context.host, name)
        absent = {
            "Id": full,
            "Names": full,
            "Description": full,
            "LoadState": "not-found",
            "ActiveState": "inactive",
            "SubState": "dead",
            "UnitFileState": "",
            "MainPID": "0",
        }
        facts = absent if unit is None else unit.properties(full)
        shown = {key: facts.get(key, "") for key in wanted} if wanted else facts
        blocks.append("".join(f"{text}\n" if value else f"{key}={text}\n" for key, text in shown.items()))
    return ok("\n".join(blocks))


def _properties(words: Sequence[str]) -> tuple[list[str], list[str], bool]:
    wanted: list[str] = []
    names: list[str] = []
    rest = list(words)
    while rest:
        word = rest.pop(0)
        if word in {"-p", "--property"}:
            wanted += rest.pop(0).split(",")
        elif word.startswith(("--property=", "-p")):
            wanted += word.split("=", 1)[1].split(",") if "=" in word else word[2:].split(",")
        elif not word.startswith("-"):
            names.append(word)
    return wanted, names, "--value" in words


def _system_state(context: Context, _names: Sequence[str]) -> CommandResult:
    degraded = any(unit.active == "failed" for unit in context.host.services.values())
    return CommandResult(int(degraded), "degraded\n" if degraded else "running\n", "")


def _list_files(context: Context, _names: Sequence[str]) -> CommandResult:
    units = sorted(context.host.services.items())
    return ok("".join(f"{name} {unit.enabled} {unit.enabled}\n" for name, unit in units))


def _switch(state: str) -> Program:
    """Return ``start`` or ``stop``."""

    def switch(context: Context, names: list[str]) -> CommandResult:
        for name in names:
            full, unit = find(context.host, name)
            if unit is None:
                return fail(5, f"Failed to {'start' if state == 'active' else 'stop'} {full}: Unit {full} not found.")
            unit.active = state
        return ok()

    return switch


VERBS: Mapping[str, Program] = {
    "is-active": _is_active,
    "is-enabled": _is_enabled,
    "is-failed": _is_failed,
    "show": _show,
    "is-system-running": _system_state,
    "list-unit-files": _list_files,
    "start": _switch("active"),
    "stop": _switch("inactive"),
    "restart": _switch("active"),
}


def _systemctl(context: Context, arguments: list[str]) -> CommandResult:
    words = [word for word in arguments if word not in {"--no-pager", "--", "--quiet", "-q", "--no-legend", "--plain"}]
    if not words or words[0] not in VERBS:
        raise not_scripted(["systemctl", *arguments])
    rest = words[1:] if words[0] == "show" else [word for word in words[1:] if not word.startswith("-")]
    result = VERBS[words[0]](context, rest)
    quiet = {"--quiet", "-q"} & {*arguments}
    return CommandResult(result.rc, "" if quiet else result.stdout, result.stderr)


def _timedatectl(context: Context, arguments: list[str]) -> CommandResult:
    if arguments[:1] != ["show"]:
        raise not_scripted(["timedatectl", *arguments])
    host = context.host
    active = any(unit.active == "active" for name, unit in host.services.items() if name in TIME_SERVICES)
    moment = datetime.fromtimestamp(host.clock(), ZoneInfo(host.zone))
    facts = {
        "Timezone": host.zone,
        "LocalRTC": "no",
        "CanNTP": "yes",
        "NTP": "yes" if active else "no",
        "NTPSynchronized": "yes" if active else "no",
        "TimeUSec": moment.strftime("%a %Y-%m-%d %H:%M:%S %Z"),
        "RTCTimeUSec": moment.strftime("%a %Y-%m-%d %H:%M:%S %Z"),
    }
    wanted, _names, value = _properties(arguments[1:])
    shown = {key: facts[key] for key in wanted if key in facts} if wanted else facts
    return ok("".join(f"{text}\n" if value else f"{key}={text}\n" for key, text in shown.items()))


TIME_SERVICES = {"chrony.service", "systemd-timesyncd.service", "ntpsec.service"}
PROGRAMS: Mapping[str, Program] = {"systemctl": _systemctl, "timedatectl": _timedatectl}


def render(host: ScriptedHost, entries: Sequence[JournalEntry], form: str) -> str:
    """Render journal entries as ``journalctl -o FORM`` does: json, cat, short or short-iso."""
    if form == "json":
        return "".join(json.dumps(entry.fields(host)) + "\n" for entry in entries)
    if form == "cat":
        return "".join(f"{entry.message}\n" for entry in entries)
    stamp = "%Y-%m-%dT%H:%M:%S%z" if form == "short-iso" else "%b %d %H:%M:%S"
    lines = []
    for entry in entries:
        moment = datetime.fromtimestamp(entry.when, ZoneInfo(host.zone)).strftime(stamp)
        lines.append(f"{moment} {host.hostname} {entry.identifier}[{entry.pid}]: {entry.message}\n")
    return "".join(lines)
