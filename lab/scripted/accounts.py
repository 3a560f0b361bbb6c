"""An account on the scripted node that is not root: what it may run, and what its sudoers file lets it run as root.

The file is read as sudo 1.9.10 and later do (upstream: sudoers(5)), as far as such a file goes: one command alias of
written-out commands and of extended regular expressions, one rule. Anything else in it is an error, and then nothing is
allowed. The lab is stricter than a node on purpose: without sudo, only what UNPRIVILEGED lists runs at all.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass, field

from lab.hypervisor import CommandResult
from lab.memory_node import MemoryNode
from lab.scripted.shell import Context, Program, fail, run_argv, run_line

UNPRIVILEGED = ("command", "echo", "false", "python3", "true")
_UNESCAPED_COMMA = re.compile(r"(?<!\\),")
_RULE = re.compile(r"(?P<account>\S+) ALL = \(root\) NOPASSWD: NOEXEC: (?P<alias>[A-Z_]+)")


class Misread(Exception):
    """The sudoers file says something that this reader does not know."""


@dataclass(frozen=True)
class Allowed:
    """One command of a sudoers file: its path, and its arguments written out or as an expression."""

    path: str
    arguments: str

    def matches(self, argv: list[str]) -> bool:
        """Whether it is this command; the arguments are joined by blanks, as sudo does."""
        given = " ".join(argv[1:])
        if self.path.rsplit("/", 1)[-1] != argv[0].rsplit("/", 1)[-1]:
            return False
        if self.arguments.startswith("^") and self.arguments.endswith("$"):
            return re.search(self.arguments[:-1].replace("[\\]", r"[\\]") + r"\Z", given) is not None
        return given == self.arguments


def read_sudoers(text: str, account: str) -> tuple[Allowed, ...]:
    """What an account may run as root. Misread where the file is not understood."""
    found: dict[str, tuple[Allowed, ...]] = {}
    granted: tuple[Allowed, ...] = ()
    for line in text.replace("\\\n", " ").splitlines():
        if not line.strip() or line.startswith(("#", f"Defaults:{account} ")):
            continue
        if line.startswith("Cmnd_Alias "):
            name, _, listed = line.removeprefix("Cmnd_Alias ").partition(" = ")
            found[name] = tuple(_commands(listed))
            continue
        rule = _RULE.fullmatch(line.rstrip())
        if rule is None or rule["alias"] not in found:
            raise Misread(line)
        granted += found[rule["alias"]] if rule["account"] == account else ()
    return granted


def _commands(listed: str) -> Iterator[Allowed]:
    for one in _UNESCAPED_COMMA.split(listed):
        path, _, arguments = one.strip().partition(" ")
        if not re.fullmatch(r"/usr/s?bin/[a-z]+", path) or not arguments:
            raise Misread(one)
        yield Allowed(path, re.sub(r"\\(.)", r"\1", arguments))


@dataclass
class NodeAccount:
    """An account with its public key ("ssh-ed25519 AAAA…") and the sudoers file that speaks of it.

    ``refused`` collects what sudo refused.
    """

    name: str
    key: str
    sudoers: str = ""
    refused: list[str] = field(default_factory=list)

    def run(self, node: MemoryNode, line: str) -> CommandResult:
        """Run a shell line as this account."""
        programs: dict[str, Program] = {
            name: program for name, program in node.host.programs.items() if name in UNPRIVILEGED
        }
        programs["sudo"] = lambda context, argv: self._sudo(node, context, argv)
        for name in ("env", "ionice", "nice"):
            programs[name] = lambda context, argv: _around(programs, context, argv)
        result = run_line(programs, node.host.context(user=self.name), line)
        if result.rc == 127 and "no recorded result" in result.stderr:
            return fail(126, f"sh: 1: {line.split(' ', 1)[0]}: Permission denied")
        return result

    def _sudo(self, node: MemoryNode, context: Context, argv: list[str]) -> CommandResult:
        if argv[:2] != ["-n", "--"] or len(argv) == 2:
            return fail(1, "sudo: a password is required")
        command = argv[2:]
        if not any(one.matches(command) for one in read_sudoers(self.sudoers, self.name)):
            self.refused.append(shlex.join(command))
            return fail(1, "sudo: a password is required")
        if command[0] in node.host.absent:  # sudo finds no such program, and so no rule for it
            return fail(1, "sudo: a password is required")
        return node.host.call(node.host.context(context.stdin), command)


def _around(programs: dict[str, Program], context: Context, argv: list[str]) -> CommandResult:
    """Run what ``env A=b``, ``nice -n 19`` or ``ionice -c 3`` run, as the same account."""
    words = list(argv)
    while words and ("=" in words[0] or words[0].startswith("-") or words[0].isdecimal()):
        words.pop(0)
    return run_argv(programs, context, words)
