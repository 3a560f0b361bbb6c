"""Whether the data in a restored guest is what was backed up: canary files by their content, heartbeats by their age.

A heartbeat is what the guest wrote while it lived: a file whose lines begin with moments, a file's last change, or a
command that prints such lines. The copy may go on writing as soon as it boots, so moments after the backup are left
out: they say nothing about the archive.
"""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import partial

from backup_standard.drill import looks
from backup_standard.drill.dialect import Dialect, Run, Unreadable, said
from backup_standard.inventory.checks import DataCheck
from backup_standard.quantities import say_duration

TOLERANCE = dt.timedelta(minutes=1)
"""How far a moment may lie after the archive's own: clocks differ, and the snapshot follows the stamp by seconds."""

_SECONDS = re.compile(r"\s*(\d{9,11}(?:\.\d+)?)(?!\S)")
_ISO = re.compile(r"\s*(\d{4}-\d\d-\d\d)[T ](\d\d:\d\d(?::\d\d(?:\.\d{1,6})?)?)\d*\s?(Z|UTC|[+-]\d\d:?\d\d)?(?!\S)")


@dataclass(frozen=True)
class Times:
    """What a heartbeat is measured against: begin of the drill, moment of the archive, the site's zone, the RPO.

    ``is_newest`` False: an older restore point is old on purpose, so its heartbeat is measured against its own moment.
    """

    began: dt.datetime
    archived: dt.datetime
    zone: dt.tzinfo
    rpo: dt.timedelta
    is_newest: bool = True

    @property
    def until(self) -> tuple[dt.datetime, str]:
        """The moment up to which the age of a heartbeat counts, and what that is."""
        return (self.began, "the drill") if self.is_newest else (self.archived, "this older backup")


@dataclass(frozen=True)
class Shown:
    """What one declared check showed: in words, what is wrong with it ("" for nothing), the age of the data if told."""

    text: str
    wrong: str = ""
    age: dt.timedelta | None = None

    def __str__(self) -> str:
        return self.wrong or self.text


def say(check: DataCheck) -> str:
    """A declared check in words."""
    if check.file is not None or check.folder is not None:
        return f"file {check.file}" if check.file is not None else f"folder {check.folder}"
    if check.command is not None:
        return f"heartbeat of the command {check.command}"
    return f"heartbeat in {check.heartbeat}" if check.heartbeat is not None else f"last change of {check.modified}"


def look(check: DataCheck, run: Run, dialect: Dialect, times: Times) -> Shown:
    """One look at one declared check."""
    try:
        if check.file is not None:
            return _canary(check, check.file, run, dialect)
        if check.folder is not None:
            return _folder(check, check.folder, run, dialect)
        return _heartbeat(_moments(check, run, dialect, times.zone), check, times)
    except looks.UNSEEN as problem:
        return Shown("", wrong=looks.why(problem))


def check_all(
    checks: Sequence[DataCheck], run: Run, dialect: Dialect, times: Times, *, timeout: float
) -> dict[str, Shown]:
    """Look at every declared check, again for ``timeout`` seconds while it is wrong: disks may be mounted late."""
    found: dict[str, Shown] = {}
    for name, check in zip(looks.named(map(say, checks)), checks, strict=True):
        once = partial(look, check, run, dialect, times)
        found[name] = looks.settle(once, ready=lambda shown: not shown.wrong, timeout=timeout, what=name)
    return found


def oldest(found: Iterable[Shown]) -> dt.timedelta | None:
    """The measured RPO: the greatest age that a heartbeat told."""
    return max((shown.age for shown in found if shown.age is not None), default=None)


def _canary(check: DataCheck, path: str, run: Run, dialect: Dialect) -> Shown:
    if check.sha256 is not None:
        digest = dialect.digest(run, path)
        wrong = "" if digest == check.sha256 else f"{path} has SHA-256 {digest}, not {check.sha256}"
        return Shown(f"SHA-256 {digest}", wrong)
    text = dialect.read(run, path).decode("utf-8", "replace")
    if check.contains is not None:
        wrong = "" if check.contains in text else f"{path} does not contain {check.contains!r}"
        return Shown(f"contains {check.contains!r}", wrong)
    found = re.search(check.matches or "", text, re.MULTILINE)
    return Shown(f"matches {check.matches!r}", "" if found else f"{path} does not match {check.matches!r}")


def _folder(check: DataCheck, path: str, run: Run, dialect: Dialect) -> Shown:
    """An empty folder where a file system should be mounted is told as such: it says which disk is missing."""
    if check.mounted and not dialect.is_mount(run, path):
        return Shown("", wrong=f"no file system of its own is mounted on {path}")
    if not dialect.holds_data(run, path):
        return Shown("", wrong=f"no file in {path} holds anything")
    return Shown(f"holds data that can be read{', on a file system of its own' if check.mounted else ''}")


def _moments(check: DataCheck, run: Run, dialect: Dialect, zone: dt.tzinfo) -> list[dt.datetime]:
    if check.modified is not None:
        return [dt.datetime.fromtimestamp(dialect.modified(run, check.modified), tz=dt.UTC)]
    if check.heartbeat is not None:
        return moments(dialect.read(run, check.heartbeat).decode("utf-8", "replace"), zone)
    ran = run(dialect.line(check.command or ""))
    if ran.rc != 0:
        raise Unreadable(f"{check.command!r} ended with {ran.rc}: {said(ran)}")
    return moments(ran.stdout, zone)


def moments(text: str, zone: dt.tzinfo) -> list[dt.datetime]:
    """The moments that lines begin with; one without a zone is in the site's. Other lines are passed over."""
    return [found for line in text.splitlines() if (found := _moment(line, zone))]


def _moment(line: str, zone: dt.tzinfo) -> dt.datetime | None:
    seconds, iso = _SECONDS.match(line), _ISO.match(line)
    try:
        if seconds:
            return dt.datetime.fromtimestamp(float(seconds[1]), tz=dt.UTC)
        if iso:
            offset = {"UTC": "+00:00", None: ""}.get(iso[3], iso[3])
            found = dt.datetime.fromisoformat(f"{iso[1]}T{iso[2]}{offset}")
            return found if found.tzinfo else found.replace(tzinfo=zone)
    except ValueError:  # a day that no month has
        return None
    return None


def _heartbeat(found: Sequence[dt.datetime], check: DataCheck, times: Times) -> Shown:
    if not found:
        return Shown("", wrong=f"{say(check)}: no line begins with a moment")
    before = [moment for moment in found if moment <= times.archived + TOLERANCE]
    if not before:
        newest = f"{max(found).astimezone(times.zone):%Y-%m-%d %H:%M:%S}"
        why = "the copy writes them itself as it boots, so they say nothing; keep earlier lines"
        return Shown("", wrong=f"{say(check)}: its only moments are after the backup (newest {newest}): {why}")
    last, rpo = max(before), check.rpo or times.rpo
    moment, what = times.until
    age = moment - last
    told = f"last written {last.astimezone(times.zone):%Y-%m-%d %H:%M:%S}, {say_duration(age)} before {what}"
    wrong = f"{say(check)}: {told}; the RPO is {say_duration(rpo)}" if age > rpo else ""
    return Shown(f"{told} (RPO {say_duration(rpo)})", wrong, age)
