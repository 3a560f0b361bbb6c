"""PowerShell as far as drills speak it, for a scripted guest: each form of script is known by its words.

The answers have the form that Windows prints (carriage returns, ``True``, capitals of a hash); a script that nobody
knows fails as an unknown command does.
"""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Callable

from lab.hypervisor import CommandResult
from lab.scripted.shell import Context
from lab.scripted.units import find

STATES = {"active": "Running", "inactive": "Stopped", "failed": "Stopped"}
Answer = Callable[[Context, "re.Match[str]"], str]


class Failed(Exception):
    """The script ended with 1; the text is its error output."""


def program(passwords: dict[str, str]) -> Callable[[Context, list[str]], CommandResult]:
    """``powershell.exe`` of a machine whose accounts have these passwords."""

    def powershell(context: Context, arguments: list[str]) -> CommandResult:
        assert arguments[-2] == "-EncodedCommand"
        text = base64.b64decode(arguments[-1]).decode("utf-16-le")
        if "LogonUser" in text:
            return CommandResult(0, logon(context, passwords), "")
        for form, answer in FORMS.items():
            found = re.search(form, text)
            if found:
                try:
                    return CommandResult(0, answer(context, found).replace("\n", "\r\n"), "")
                except (Failed, OSError) as problem:
                    return CommandResult(1, "", f"{problem}\r\n")
        return CommandResult(1, "", f"nobody knows the script {text!r}\r\n")

    return powershell


def logon(context: Context, passwords: dict[str, str]) -> str:
    """As LogonUser answers: only the right password makes a logon."""
    user, word = (base64.b64decode(line).decode() for line in context.stdin.splitlines())
    return f"account WINSRV\\{user}\r\n" if passwords.get(user) == word else "refused 1326\r\n"


def _boot(context: Context, _found: re.Match[str]) -> str:
    return f"{context.host.boot_id[:8]}T000000Z {int(context.host.clock() - context.host.booted)}\n"


def _service(context: Context, found: re.Match[str]) -> str:
    _name, unit = find(context.host, found[1])
    if unit is None:
        raise Failed(f"Get-Service : Cannot find any service with service name '{found[1]}'.")
    return f"{STATES[unit.active]}\n"


def _dial(context: Context, found: re.Match[str]) -> str:
    port = found.groupdict().get("port")
    context.host.dial(context, found["address"], int(port) if port else None)
    return ""


def _line(context: Context, found: re.Match[str]) -> str:
    words = found[1].split()
    return f"{' '.join(words[1:])}\n" if words[0] == "Write-Output" else context.host.line(context, found[1]).stdout


FORMS: dict[str, Answer] = {
    "LastBootUpTime": _boot,
    "Get-Service -Name '(.*?)'": _service,
    r"Ping\)\.Send\('(?P<address>.*?)', \d+\)": _dial,
    r"ConnectAsync\('(?P<address>.*?)', (?P<port>\d+)\)": _dial,
    "Get-FileHash .* -LiteralPath '(.*?)'": lambda context, found: (
        hashlib.sha256(context.host.files.read(found[1])).hexdigest().upper() + "\n"
    ),
    "-LiteralPath '(.*?)'; .*ReadAllBytes": lambda context, found: (
        base64.b64encode(context.host.files.read(found[1])).decode() + "\n"
    ),
    "-LiteralPath '(.*?)'; .*LastWriteTimeUtc": lambda context, found: (
        f"{int(context.host.files.entry(found[1]).mtime)}\n"
    ),
    "-LiteralPath '(.*?)'; .*Get-ChildItem -Force -Recurse -File": lambda context, found: (
        f"{any(entry.data for _name, entry in context.host.files.children(found[1]))}\n"
    ),
    "-LiteralPath '(.*?)'; .*GetPathRoot": lambda context, found: (
        f"{context.host.files.exists(found[1]) and found[1] in context.host.files.mounts}\n"
    ),
    r"Continue'; (.*)\nif \(\$null -ne": _line,
}
"""The forms of script, each with what prints its answer."""
