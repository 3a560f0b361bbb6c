"""Programs that print the content of files in another form."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable, Mapping

from lab.hypervisor import CommandResult
from lab.scripted.files import Files
from lab.scripted.shell import Context, Program, not_scripted


def _printing(name: str, form: Callable[[bytes, str], str]) -> Program:
    """Return a program that prints each file it is given in a form; like the real ones it goes on after a bad one."""

    def program(context: Context, arguments: list[str]) -> CommandResult:
        paths = [word for word in arguments if word != "--"]
        if not paths or any(word.startswith("-") for word in paths):
            raise not_scripted([name, *arguments])
        out, err = "", ""
        for path in paths:
            try:
                out += form(context.host.files.read(path), path)
            except OSError as error:
                err += f"{name}: {path}: {error.strerror}\n"
        return CommandResult(1 if err else 0, out, err)

    return program


def mountinfo(files: Files) -> bytes:
    """Render /proc/self/mountinfo: what is mounted where, read-only or not (upstream: proc_pid_mountinfo(5))."""
    lines = [
        f"{number} 1 {one.device >> 8}:{one.device & 255} / {point} rw,relatime - {one.fstype} {one.source} "
        f"{'ro' if one.readonly else 'rw'}"
        for number, (point, one) in enumerate(sorted(files.mounts.items()), 20)
    ]
    return "".join(f"{line}\n" for line in lines).encode()


def _find(context: Context, arguments: list[str]) -> CommandResult:
    """``find FOLDER/`` for a file that holds something and that ``dd`` can read, as drills ask for it."""
    wanted = ["-type", "f", "-size", "+0c", "-exec", "dd", "if={}", "of=/dev/null", "bs=512", "count=1", ";"]
    if arguments[1:-5] != wanted or arguments[-5:-3] != ["-exec", "echo"] or arguments[-2:] != [";", "-quit"]:
        raise not_scripted(["find", *arguments])
    files, folders, err = context.host.files, [arguments[0].rstrip("/") or "/"], ""
    while folders:
        folder = folders.pop()
        try:
            for name, entry in files.children(folder):
                path = f"{folder.rstrip('/')}/{name}"
                if entry.folder:
                    folders.append(path)
                elif files.read(path):
                    return CommandResult(0, f"{arguments[-3]}\n", err)
        except OSError as error:
            err += f"find: '{folder}/': {error.strerror}\n"
    return CommandResult(1 if err else 0, "", err)


PROGRAMS: Mapping[str, Program] = {
    "base64": _printing("base64", lambda data, _path: base64.encodebytes(data).decode()),
    "find": _find,
    "sha256sum": _printing("sha256sum", lambda data, path: f"{hashlib.sha256(data).hexdigest()}  {path}\n"),
}
