"""The end-to-end checks of an application group: what the copy of one guest does with that of another."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial

from backup_standard.drill import looks
from backup_standard.drill.dialect import NOT_FOUND, Dialect, Run, said
from backup_standard.inventory.checks import CommandCheck
from backup_standard.inventory.groups import EndToEndCheck


@dataclass(frozen=True)
class Member:
    """A guest of a group as the checks use it: a way to run commands inside, in the words of its system."""

    run: Run
    dialect: Dialect


def say(check: EndToEndCheck) -> str:
    """A declared check in words."""
    command = check.command.run if isinstance(check.command, CommandCheck) else check.command
    return f"guest {check.guest}: {command or check.url or f'connect {check.connect}'}"


def failure(check: EndToEndCheck, members: Mapping[int, Member]) -> str:
    """One look: "" when it is as declared, else what is wrong."""
    member = members.get(check.guest)
    if member is None:
        return f"guest {check.guest} was not drilled"
    try:
        return _look(check, member)
    except looks.UNSEEN as problem:
        return looks.why(problem)


def check_all(checks: Sequence[EndToEndCheck], members: Mapping[int, Member], *, timeout: float) -> dict[str, str]:
    """Wait for each check, ``timeout`` seconds at most; "" or what is wrong for each."""
    found: dict[str, str] = {}
    for name, check in zip(looks.named(map(say, checks)), checks, strict=True):
        look = partial(failure, check, members)
        found[name] = looks.settle(look, ready=lambda wrong: wrong == "", timeout=timeout, what=name)
    return found


def _look(check: EndToEndCheck, member: Member) -> str:
    if check.connect is not None:
        host, _colon, port = check.connect.rpartition(":")
        ran = member.run(member.dialect.connect(host.strip("[]"), int(port)))
        return "" if ran.rc == 0 else f"{check.connect} does not answer guest {check.guest}"
    if check.url is not None:
        return _read(check, check.url, member)
    command = check.command if isinstance(check.command, CommandCheck) else CommandCheck(run=str(check.command))
    ran = member.run(member.dialect.line(command.run))
    if ran.rc != command.status:
        return f"{command.run!r} ended with {ran.rc}: {said(ran)}"
    if command.output is not None and command.output not in ran.stdout:
        return f"{command.run!r} printed {ran.stdout.strip()[:200]!r}, which does not contain {command.output!r}"
    return ""


def _read(check: EndToEndCheck, url: str, member: Member) -> str:
    ran = member.run(("curl", "--silent", "--show-error", "--fail", "--max-time", "10", "--", url))
    if ran.rc in NOT_FOUND:
        return f"guest {check.guest} has no curl; use a command instead of a url"
    if ran.rc != 0:
        return f"{url} is not answered: {said(ran)}"
    return "" if check.body is None or check.body in ran.stdout else f"{url} does not contain {check.body!r}"
