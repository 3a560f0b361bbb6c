"""Programs that print the content of files in another form."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable, Mapping

from lab.hypervisor import CommandResult
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


PROGRAMS: Mapping[str, Program] = {
    "base64": _printing("base64", lambda data, _path: base64.encodebytes(data).decode()),
    "sha256sum": _printing("sha256sum", lambda data, path: f"{hashlib.sha256(data).hexdigest()}  {path}\n"),
}
