"""Programs that every scripted machine has, as far as audits and drills use them."""

from __future__ import annotations

import errno
import ipaddress
import re
from collections.abc import Callable, Mapping
from datetime import datetime
from zoneinfo import ZoneInfo

from lab.hypervisor import CommandResult
from lab.scripted.files import Entry, Files
from lab.scripted.shell import Context, Program, fail, not_scripted, ok

TCP = re.compile(r"^(?:exec \d+<>|cat < /dev/null > )/dev/tcp/(?P<address>[^/]+)/(?P<port>\d+)$")
KINDS: Mapping[str, Callable[[Entry], object]] = {
    "-e": lambda _entry: True,
    "-f": lambda entry: not entry.folder,
    "-d": lambda entry: entry.folder,
    "-r": lambda _entry: True,
    "-s": lambda entry: entry.data,
    "-x": lambda entry: entry.mode & 0o111,
}


def _cat(context: Context, arguments: list[str]) -> CommandResult:
    if not arguments:
        return ok(context.stdin.decode("utf-8", "replace"))
    out, err = "", ""
    for path in (argument for argument in arguments if argument != "--"):
        try:
            out += context.host.files.read(path).decode("utf-8", "replace")
        except OSError as error:
            err += f"cat: {path}: {error.strerror}\n"
    return CommandResult(1 if err else 0, out, err)


def _test(context: Context, arguments: list[str]) -> CommandResult:
    words = [word for word in arguments if word != "]"]
    negated = words[:1] == ["!"]
    option, *rest = words[negated:]
    if len(rest) != 1 or option not in {*KINDS, "-L", "-h", "-S", "-p", "-b"}:
        raise not_scripted(["test", *arguments])
    if option in {"-L", "-h"}:
        holds = context.host.files.resolve(rest[0]) != rest[0]
    else:
        holds = _holds(context.host.files, option, rest[0])
    return CommandResult(int(holds == negated), "", "")


def _holds(files: Files, option: str, path: str) -> bool:
    try:
        entry = files.entry(path)
    except OSError:
        return False
    return option in KINDS and bool(KINDS[option](entry))


def _stat(context: Context, arguments: list[str]) -> CommandResult:
    """``stat [-L] -c FORMAT PATH…`` with the formats that audits use."""
    words = [word for word in arguments if word not in {"-L", "--"}]
    if not words or words[0] not in {"-c", "--format"}:
        raise not_scripted(["stat", *arguments])
    out, err, files = "", "", context.host.files
    for path in words[2:]:
        try:
            out += _format(words[1], _stat_fields(files, path)) + "\n"
        except OSError as error:
            err += f"stat: cannot statx '{path}': {error.strerror}\n"
    return CommandResult(1 if err else 0, out, err)


def _stat_fields(files: Files, path: str) -> Mapping[str, object]:
    entry = files.entry(path)
    point, filesystem, _inner = files.place(path)
    names = {0: "root", 1000: "drill"}
    kind = "directory" if entry.folder else "regular file" if entry.data else "regular empty file"
    return {
        "n": path,
        "s": len(entry.data),
        "Y": int(entry.mtime),
        "Z": int(entry.ctime),
        "X": int(entry.mtime),
        "a": f"{entry.mode:o}",
        "u": entry.uid,
        "g": entry.gid,
        "U": names.get(entry.uid, entry.uid),
        "G": names.get(entry.gid, entry.gid),
        "F": kind,
        "d": filesystem.device,
        "m": point,
        "f": f"{(0o040000 if entry.folder else 0o100000) | entry.mode:x}",
        "h": 1,
        "i": abs(hash(path)) % 10**6,
    }


def _format(template: str, fields: Mapping[str, object]) -> str:
    out, parts = "", iter(template)
    for character in parts:
        if character != "%":
            out += character
            continue
        key = next(parts, "%")
        if key != "%" and key not in fields:
            raise not_scripted(["stat", "-c", template])
        out += str(fields.get(key, "%"))
    return out


def _ls(context: Context, arguments: list[str]) -> CommandResult:
    flags = {word for word in arguments if word.startswith("-")}
    paths = [word for word in arguments if not word.startswith("-")] or ["/root"]
    if flags - {"-1", "-A", "-a", "--"} or len(paths) != 1:
        raise not_scripted(["ls", *arguments])
    try:
        entry = context.host.files.entry(paths[0])
        names = [name for name, _ in context.host.files.children(paths[0])] if entry.folder else [paths[0]]
    except OSError as error:
        return fail(2, f"ls: cannot access '{paths[0]}': {error.strerror}")
    return ok("".join(f"{name}\n" for name in names if "-a" in flags or "-A" in flags or not name.startswith(".")))


def _command(context: Context, arguments: list[str]) -> CommandResult:
    known = {*context.host.programs, "command"}
    if arguments[:1] != ["-v"] or len(arguments) != 2:
        raise not_scripted(["command", *arguments])
    name = arguments[1]
    if name == "command":
        return ok("command\n")
    if name.startswith("/"):
        return ok(f"{name}\n") if context.host.files.exists(name) else CommandResult(127, "", "")
    return ok(f"/usr/bin/{name}\n") if name in known else CommandResult(127, "", "")


def _uname(context: Context, arguments: list[str]) -> CommandResult:
    release = context.host.release
    values = {
        "-s": "Linux",
        "-n": context.host.hostname,
        "-r": release.kernel,
        "-v": release.kernel_version,
        "-m": "x86_64",
        "-o": "GNU/Linux",
    }
    values["-a"] = " ".join(values.values())
    if len(arguments) > 1 or not {*arguments} <= {*values}:
        raise not_scripted(["uname", *arguments])
    return ok(values[arguments[0] if arguments else "-s"] + "\n")


def _id(context: Context, arguments: list[str]) -> CommandResult:
    flags = [word for word in arguments if word.startswith("-")]
    name = next((word for word in arguments if not word.startswith("-")), context.user)
    if name not in context.host.accounts:
        return fail(1, f"id: '{name}': no such user")
    uid = context.host.accounts[name]
    forms = {
        "": f"uid={uid}({name}) gid={uid}({name}) groups={uid}({name})",
        "-u": str(uid),
        "-g": str(uid),
        "-un": name,
        "-gn": name,
        "-Gn": name,
        "-nG": name,
        "-G": str(uid),
    }
    if "".join(flags) not in forms:
        raise not_scripted(["id", *arguments])
    return ok(forms["".join(flags)] + "\n")


def _date(context: Context, arguments: list[str]) -> CommandResult:
    words = [word for word in arguments if word not in {"-u", "--utc"}]
    zone = "Etc/UTC" if len(words) < len(arguments) else context.host.zone
    moment = datetime.fromtimestamp(context.host.clock(), ZoneInfo(zone))
    if words in (["-Is"], ["-Iseconds"], ["--iso-8601=seconds"]):
        return ok(moment.isoformat(timespec="seconds") + "\n")
    if len(words) != 1 or not words[0].startswith("+"):
        raise not_scripted(["date", *arguments])
    form = words[0][1:].replace("%s", str(int(moment.timestamp()))).replace("%N", f"{moment.microsecond * 1000:09d}")
    return ok(moment.strftime(form) + "\n")


def _sh(context: Context, arguments: list[str]) -> CommandResult:
    words = [word for word in arguments if word != "-l"]
    if len(words) >= 2 and words[0] in {"-c", "-lc"}:
        if tcp := TCP.search(words[1]):
            return _dialled(context, tcp["address"], int(tcp["port"]))
        return context.host.line(context, words[1])
    raise not_scripted(["sh", *arguments])


def _dialled(context: Context, address: str, port: int) -> CommandResult:
    """Open a connection as bash does for ``/dev/tcp/ADDRESS/PORT``."""
    try:
        context.host.dial(context, address, port)
    except OSError as error:
        return fail(1, f"bash: connect: {error.strerror}\nbash: line 1: /dev/tcp/{address}/{port}: {error.strerror}")
    return ok()


def _ping(context: Context, arguments: list[str]) -> CommandResult:
    address = arguments[-1] if arguments else ""
    head = f"PING {address} ({address}) 56(84) bytes of data.\n"
    tail = f"\n--- {address} ping statistics ---\n1 packets transmitted, "
    try:
        ipaddress.ip_address(address.partition("%")[0])
        context.host.dial(context, address, None)
    except ValueError:
        return fail(2, f"ping: {address}: Name or service not known")
    except OSError as error:
        if error.errno == errno.ENETUNREACH:
            return fail(2, f"ping: connect: {error.strerror}")
        return CommandResult(1, f"{head}{tail}0 received, 100% packet loss, time 0ms\n", "")
    answer = f"64 bytes from {address}: icmp_seq=1 ttl=64 time=0.5 ms\n"
    return ok(f"{head}{answer}{tail}1 received, 0% packet loss, time 0ms\n")


def _realpath(context: Context, arguments: list[str]) -> CommandResult:
    paths = [word for word in arguments if word not in {"-f", "-e", "-m", "--"}]
    found = [(path, context.host.files.resolve(path)) for path in paths]
    missing = [path for path, real in found if "-e" in arguments and not context.host.files.exists(real)]
    if missing:
        return fail(1, f"realpath: {missing[0]}: No such file or directory")
    return ok("".join(f"{real}\n" for _, real in found))


def _grep(context: Context, arguments: list[str]) -> CommandResult:
    """``grep -q PATTERN`` on the input: a plain word, ``^`` before it allowed."""
    if len(arguments) != 2 or arguments[0] not in {"-q", "-c"}:
        raise not_scripted(["grep", *arguments])
    pattern, lines = arguments[1], context.stdin.decode("utf-8", "replace").splitlines()
    plain = pattern.removeprefix("^")
    hits = sum(line.startswith(plain) if pattern.startswith("^") else plain in line for line in lines)
    return CommandResult(0 if hits else 1, f"{hits}\n" if arguments[0] == "-c" else "", "")


def _through(count: int) -> Program:
    """Return a program that runs another one, as ``sudo`` and ``timeout`` do, after ``count`` words of its own."""

    def program(context: Context, arguments: list[str]) -> CommandResult:
        words = [word for word in arguments if word not in {"-n", "--"}][count:]
        if not words or words[0].startswith("-"):
            raise not_scripted(arguments)
        return context.host.call(context, words)

    return program


def _echo(_context: Context, arguments: list[str]) -> CommandResult:
    return ok(" ".join(arguments) + "\n")


PROGRAMS: dict[str, Program] = {
    "cat": _cat,
    "test": _test,
    "[": _test,
    "stat": _stat,
    "ls": _ls,
    "command": _command,
    "uname": _uname,
    "id": _id,
    "date": _date,
    "sh": _sh,
    "bash": _sh,
    "realpath": _realpath,
    "readlink": _realpath,
    "grep": _grep,
    "ping": _ping,
    "timeout": _through(1),
    "sudo": _through(0),
    "env": _through(0),
    "echo": _echo,
    "true": lambda _context, _arguments: ok(),
    "false": lambda _context, _arguments: fail(1),
    "hostname": lambda context, _arguments: ok(f"{context.host.hostname}\n"),
    "whoami": lambda context, _arguments: ok(f"{context.user}\n"),
    "nproc": lambda _context, _arguments: ok("2\n"),
}
