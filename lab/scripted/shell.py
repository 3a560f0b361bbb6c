"""Scripted commands: a table of programs, and just enough of a shell to run what is sent over SSH."""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from lab.hypervisor import CommandResult

if TYPE_CHECKING:
    from lab.scripted.host import ScriptedHost


JOINTS = ";&|<>"
QUOTED_JOINT = re.compile(f"'([{JOINTS}]+)'")
HIDDEN = {ord(sign): 0xE000 + place for place, sign in enumerate(JOINTS)}
"""What stands for a quoted sign of the shell while a line is taken apart: characters that no command has."""
SHOWN = {hidden: sign for sign, hidden in HIDDEN.items()}


@dataclass(frozen=True)
class Context:
    """Where a command runs: the host, its input, the network namespace ("" for the host's own) and the account."""

    host: ScriptedHost
    stdin: bytes = b""
    netns: str = ""
    user: str = "root"


Program = Callable[[Context, list[str]], CommandResult]
"""A scripted program: gets where it runs and its arguments (without its own name)."""


def ok(text: str = "") -> CommandResult:
    """Return the result of a command that succeeded."""
    return CommandResult(0, text, "")


def fail(rc: int, message: str = "") -> CommandResult:
    """Return the result of a command that failed; ``message`` goes to its error output."""
    return CommandResult(rc, "", message + "\n" if message else "")


class NotScripted(Exception):
    """Nobody scripted this command; the text is the command."""


def not_scripted(words: Sequence[str]) -> NotScripted:
    """Return the error that names a command nobody scripted."""
    return NotScripted(shlex.join(words))


def run_argv(programs: Mapping[str, Program], context: Context, argv: Sequence[str]) -> CommandResult:
    """Run one program. What is not scripted fails with status 127 and says so."""
    words = list(argv)
    program = programs.get(words[0].rsplit("/", 1)[-1]) if words else None
    try:
        if program is None:
            raise not_scripted(words)
        return program(context, words[1:])
    except NotScripted as unknown:
        return fail(127, f"lab: no recorded result for command: {unknown}")
    except OSError as error:
        return fail(1, f"{words[0]}: {error.filename}: {error.strerror}")


def run_line(programs: Mapping[str, Program], context: Context, line: str) -> CommandResult:
    """Run a shell line: programs joined by ``;``, ``&&``, ``||`` and ``|``, with output thrown away or joined.

    Anything else of the shell's language (variables, substitution, files as input) is not scripted.
    """
    try:
        plain = QUOTED_JOINT.sub(lambda found: found[1].translate(HIDDEN), line)
        lexer = shlex.shlex(plain, posix=True, punctuation_chars=";&|<>")
        lexer.whitespace_split = True
        words = list(lexer)
    except ValueError as error:
        return fail(2, f"sh: syntax error: {error}")
    out, err, rc, joint = "", "", 0, ";"
    for piece, following in _split(words, {";", "&&", "||"}):
        if piece and not (joint == "&&" and rc) and not (joint == "||" and not rc):
            result = _pipeline(programs, context, piece)
            out, err, rc = out + result.stdout, err + result.stderr, result.rc
        joint = following
    return CommandResult(rc, out, err)


def _split(words: Sequence[str], joints: set[str]) -> list[tuple[list[str], str]]:
    pieces: list[tuple[list[str], str]] = []
    current: list[str] = []
    for word in words:
        if word in joints:
            pieces.append((current, word))
            current = []
        else:
            current.append(word)
    return [*pieces, (current, "")]


def _pipeline(programs: Mapping[str, Program], context: Context, words: Sequence[str]) -> CommandResult:
    result = CommandResult(0, "", "")
    err, first = "", True
    for piece, _joint in _split(words, {"|"}):
        stdin = context.stdin if first else result.stdout.encode("utf-8", "surrogateescape")
        result = _redirected(programs, replace(context, stdin=stdin), piece)
        err, first = err + result.stderr, False
    return CommandResult(result.rc, result.stdout, err)


def _redirected(programs: Mapping[str, Program], context: Context, words: Sequence[str]) -> CommandResult:
    """Run one program after taking ``>/dev/null``, ``2>/dev/null`` and ``2>&1`` off its words."""
    argv: list[str] = []
    joined, silent = False, {"1": False, "2": False}
    rest = list(words)
    while rest:
        word = rest.pop(0)
        if word not in {">", ">&", ">>"}:
            argv.append(word.translate(SHOWN))
            continue
        stream = argv.pop() if argv and argv[-1] in silent else "1"
        target = rest.pop(0) if rest else ""
        if word == ">" and target == "/dev/null":
            silent[stream] = True
        elif word == ">&" and (stream, target) == ("2", "1"):
            joined = True
        else:
            return fail(127, f"lab: no recorded result for command: {shlex.join(words)}")
    result = run_argv(programs, context, argv)
    out = result.stdout + (result.stderr if joined else "")
    err = "" if joined else result.stderr
    return CommandResult(result.rc, "" if silent["1"] else out, "" if silent["2"] else err)
