"""Commands as root for an account that is not: through ``sudo -n``, which never asks for a password."""

from __future__ import annotations

import re
import shlex

from backup_standard.errors import ConnectionFailed
from backup_standard.hosts.ssh import Output, SshClient

_PREFIX = "env LC_ALL=C.UTF-8 sudo -n --"
"""sudo speaks the account's language; its refusals are told by their words."""
_REFUSALS = re.compile(
    r"^(sudo: (?!unable to resolve host )|Sorry, user |\S+ is not (in the sudoers file|allowed to run sudo))",
    re.MULTILINE,
)
_NOT_FOUND = 127


class SudoRefused(ConnectionFailed):
    """sudo on a node does not let the account run a command of the audit."""


def as_root(line: str) -> str:
    """A simple command (no pipe, no redirection of its own) as one that sudo runs."""
    return f"{_PREFIX} {line}"


def run_as_root(client: SshClient, line: str) -> Output:
    """Run a simple command through sudo. SudoRefused where sudo declines; status 127 where there is no such program."""
    output = client.run(as_root(line))
    said = output.stderr.decode("utf-8", "replace")
    if not _is_refusal(output, said):
        return output
    program, reason = line.split(" ", 1)[0], (said.strip().splitlines() or ["no reason given"])[-1]
    if not _is_there(client, program):
        return Output(_NOT_FOUND, b"", f"sh: 1: {program}: not found\n".encode())
    raise SudoRefused(
        f"sudo does not let {client.account.user} run: {line} ({reason})",
        where=f"{client.where}, with the sudoers file of: backup-standard standard --sudoers",
        next_step="write that file anew: backup-standard standard --sudoers",
    )


def _is_refusal(output: Output, said: str) -> bool:
    """Whether it was sudo that spoke, and not the command: it has status 1 (127: no sudo) and prints nothing else."""
    if output.rc == _NOT_FOUND and "sudo" in said and not output.stdout:
        return True
    return output.rc == 1 and not output.stdout and _REFUSALS.search(said) is not None


def _is_there(client: SshClient, program: str) -> bool:
    """Whether the node has a program: sudo answers alike for one that is missing and one that it refuses."""
    places = (program, f"/usr/sbin/{program}", f"/sbin/{program}")
    looked = " || ".join(f"command -v {shlex.quote(place)}" for place in places)
    return client.run(looked).rc == 0
