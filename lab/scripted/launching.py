"""Programs that run others, and Python itself: what is sent along over SSH really runs, on the scripted files.

``python3 -I -c TEXT`` is a process of its own on this machine. It gets its input and nothing else: an argument that is
a path becomes the path of a copy of the scripted machine's file, or of nothing.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

from lab.hypervisor import CommandResult
from lab.scripted.shell import Context, Program, fail, not_scripted

LONGEST = 300.0
"""Seconds after which a program that was sent along is killed."""
NICE, IONICE = ["-n", "19"], ["-c", "3"]


def _after(own: list[str]) -> Program:
    """Return a program that runs another one behind these words of its own."""

    def program(context: Context, arguments: list[str]) -> CommandResult:
        if arguments[: len(own)] != own:
            raise not_scripted(arguments)
        return context.host.call(context, arguments[len(own) :])

    return program


def _env(context: Context, arguments: list[str]) -> CommandResult:
    words = list(arguments)
    while words and "=" in words[0]:
        words.pop(0)
    return context.host.call(context, words)


def _cat(context: Context, arguments: list[str]) -> CommandResult:
    """Files as they are, byte for byte (the bytes travel as surrogates)."""
    out, err = bytearray(), ""
    for path in (argument for argument in arguments if argument != "--"):
        try:
            out += context.host.files.read(path)
        except OSError as error:
            err += f"cat: {path}: {error.strerror}\n"
    data = bytes(out) if arguments else context.stdin
    return CommandResult(1 if err else 0, data.decode("utf-8", "surrogateescape"), err)


def _python(context: Context, arguments: list[str]) -> CommandResult:
    isolated, dash_c, *rest = [*arguments, "", ""][:2] + arguments[2:]
    if (isolated, dash_c) != ("-I", "-c") or not rest:
        raise not_scripted(["python3", *arguments])
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        words = [_local(context, Path(folder), word) for word in rest[1:]]
        try:
            done = subprocess.run(
                [sys.executable, "-I", "-c", rest[0], *words],
                input=context.stdin, capture_output=True, check=False, timeout=LONGEST,
            )  # fmt: skip
        except subprocess.TimeoutExpired:
            return fail(124, f"lab: python3 did not end within {LONGEST:g} s")
    return CommandResult(
        done.returncode, done.stdout.decode("utf-8", "replace"), done.stderr.decode("utf-8", "replace")
    )


def _local(context: Context, folder: Path, word: str) -> str:
    """Return an argument as the process here gets it."""
    if not word.startswith("/"):
        return word
    path = folder / word.strip("/").replace("/", "-")
    if context.host.files.exists(word):
        path.write_bytes(context.host.files.read(word))
        path.chmod(0o644)
    return str(path)


PROGRAMS: dict[str, Program] = {
    "cat": _cat,
    "env": _env,
    "ionice": _after(IONICE),
    "nice": _after(NICE),
    "python3": _python,
}
