"""Canaries and heartbeats in a restored guest, on made-up answers."""

from __future__ import annotations

import base64
import datetime as dt
import hashlib
from collections.abc import Sequence
from dataclasses import replace
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from backup_standard.drill import data
from backup_standard.drill.ports import Ran
from backup_standard.drill.posix import POSIX
from backup_standard.errors import ConnectionFailed
from backup_standard.inventory.checks import DataCheck

BERLIN = ZoneInfo("Europe/Berlin")
ARCHIVED = dt.datetime(2026, 11, 24, 2, 0, tzinfo=BERLIN)
TIMES = data.Times(ARCHIVED + dt.timedelta(hours=10), ARCHIVED, BERLIN, dt.timedelta(hours=26))


class Inside:
    """A guest with files: path to content and last change in seconds since 1970."""

    def __init__(self, files: dict[str, bytes], changed: float = 0, output: Ran | None = None) -> None:
        self.files, self.changed, self.output = files, changed, output

    def __call__(self, argv: Sequence[str]) -> Ran:
        if argv[0] == "sh":
            assert self.output
            return self.output
        content = self.files.get(argv[-1])
        if content is None:
            return Ran(1, "", f"{argv[0]}: {argv[-1]}: No such file or directory\n")
        return Ran(0, {
            "stat": str(len(content) if "%s" in argv else int(self.changed)),
            "base64": base64.encodebytes(content).decode(),
            "sha256sum": f"{hashlib.sha256(content).hexdigest()}  {argv[-1]}\n",
        }[argv[0]])  # fmt: skip


def look(check: dict[str, Any], inside: Any) -> data.Shown:
    return data.look(DataCheck.model_validate(check), inside, POSIX, TIMES)


CUSTOMERS = Inside({"/srv/c.csv": "id,name\n1,Müller\n".encode(), "/srv/large": bytes(2 << 20)})


@pytest.mark.parametrize(
    ("check", "wrong"),
    [
        ({"file": "/srv/c.csv", "contains": "Müller"}, ""),
        ({"file": "/srv/c.csv", "matches": "^1,M.*r$"}, ""),
        ({"file": "/srv/c.csv", "sha256": hashlib.sha256("id,name\n1,Müller\n".encode()).hexdigest()}, ""),
        ({"file": "/srv/large", "sha256": hashlib.sha256(bytes(2 << 20)).hexdigest()}, ""),
        ({"file": "/srv/c.csv", "contains": "Meier"}, "/srv/c.csv does not contain 'Meier'"),
        ({"file": "/srv/c.csv", "matches": "^2,"}, "/srv/c.csv does not match '^2,'"),
        ({"file": "/srv/c.csv", "sha256": "0" * 64}, "/srv/c.csv has SHA-256 "),
        ({"file": "/srv/gone", "contains": "x"}, "/srv/gone cannot be read: stat: /srv/gone: No such file"),
        ({"file": "/srv/gone", "sha256": "0" * 64}, "/srv/gone cannot be read: sha256sum: /srv/gone: No such file"),
        ({"file": "/srv/large", "contains": "x"}, "/srv/large is 2.0 MiB large; declare its sha256"),
    ],
)
def test_a_canary_is_known_by_its_content(check: dict[str, Any], wrong: str) -> None:
    found = look(check, CUSTOMERS)
    assert found.wrong.startswith(wrong)
    assert bool(found.wrong) is bool(wrong)


def test_a_heartbeat_is_the_last_moment_before_the_backup_and_its_age_is_the_measured_rpo() -> None:
    text = "# written hourly\n2026-11-24T00:00:00Z ok\n2026-11-24 01:30:00\n2026-11-24T09:00:00Z the copy\n"
    found = look({"heartbeat": "/var/beat"}, Inside({"/var/beat": text.encode()}))
    assert found.age == dt.timedelta(hours=10, minutes=30), "01:30 is in the site's zone, the latest before 02:00"
    assert not found.wrong
    assert found.text == "last written 2026-11-24 01:30:00, 10 h 30 min before the drill (RPO 1 d 2 h)"


def test_a_heartbeat_older_than_the_rpo_is_wrong_and_its_own_rpo_comes_first() -> None:
    beat = Inside({}, output=Ran(0, f"{int(ARCHIVED.timestamp()) - 3600}.25 rows\n"))
    assert look({"command": "tail beat"}, beat).wrong == ""
    found = look({"command": "tail beat", "rpo": "1h"}, beat)
    assert "10 h 59 min before the drill; the RPO is 1 h" in found.wrong
    assert found.age == dt.timedelta(hours=11, seconds=-0.25)


def test_an_older_restore_point_is_held_against_its_own_moment() -> None:
    beat = Inside({}, output=Ran(0, f"{int(ARCHIVED.timestamp()) - 3600}\n"))
    month_later = replace(TIMES, began=ARCHIVED + dt.timedelta(days=30))
    check = DataCheck.model_validate({"command": "tail beat"})
    assert "30 d 1 h before the drill; the RPO is 1 d 2 h" in data.look(check, beat, POSIX, month_later).wrong
    found = data.look(check, beat, POSIX, replace(month_later, is_newest=False))
    assert found.text == "last written 2026-11-24 01:00:00, 1 h before this older backup (RPO 1 d 2 h)"
    assert not found.wrong


def test_the_last_change_of_a_file_is_a_heartbeat() -> None:
    inside = Inside({"/var/lib/db": b"x"}, changed=ARCHIVED.timestamp() - 60)
    assert look({"modified": "/var/lib/db"}, inside).age == dt.timedelta(hours=10, minutes=1)


@pytest.mark.parametrize("after", [61, 3600])
def test_a_heartbeat_that_the_copy_wrote_itself_shows_nothing(after: int) -> None:
    inside = Inside({"/var/beat": b"x"}, changed=ARCHIVED.timestamp() + after)
    found = look({"modified": "/var/beat"}, inside)
    assert "the copy writes them itself as it boots" in found.wrong
    assert found.age is None


@pytest.mark.parametrize(
    ("output", "wrong"),
    [
        (Ran(0, "no moment here\n2026-13-45T00:00:00Z\n12345\n"), "no line begins with a moment"),
        (Ran(0, ""), "no line begins with a moment"),
        (Ran(2, "", "psql: no server"), "'beat' ended with 2: psql: no server"),
    ],
)
def test_what_tells_no_moment_is_wrong(output: Ran, wrong: str) -> None:
    assert wrong in look({"command": "beat"}, Inside({}, output=output)).wrong


def test_a_lost_connection_is_told() -> None:
    def lost(_argv: Sequence[str]) -> Ran:
        raise ConnectionFailed("the agent is gone")

    assert look({"file": "/x", "contains": "y"}, lost).wrong == "the agent is gone"


def test_moments_are_read_in_every_form_that_programs_print() -> None:
    texts = ["1764000000", "1764000000.5 x", "2026-11-24T02:00:00+01:00", "2026-11-24 02:00:00.123456789 +0100",
             "2026-11-24T01:00Z", "2026-11-24 01:00:00 UTC", "  2026-11-24 02:00"]  # fmt: skip
    found = data.moments("\n".join(texts), BERLIN)
    assert len(found) == len(texts)
    assert {moment.replace(microsecond=0) for moment in found[2:]} == {ARCHIVED}


def test_all_are_told_in_order_and_the_oldest_heartbeat_is_the_measured_rpo() -> None:
    inside = Inside({"/srv/c.csv": b"x", "/b": b"y"}, changed=ARCHIVED.timestamp())
    checks = [DataCheck.model_validate(one) for one in (
        {"file": "/srv/c.csv", "contains": "x"}, {"file": "/srv/c.csv", "contains": "z"}, {"modified": "/b"},
    )]  # fmt: skip
    found = data.check_all(checks, inside, POSIX, TIMES, timeout=0)
    assert [(name, bool(shown.wrong)) for name, shown in found.items()] == [
        ("file /srv/c.csv", False), ("file /srv/c.csv (number 2)", True), ("last change of /b", False),
    ]  # fmt: skip
    assert data.oldest(found.values()) == dt.timedelta(hours=10)
    assert data.oldest([]) is None


@pytest.mark.parametrize(
    ("check", "saying"),
    [
        ({}, "exactly one of file, folder, heartbeat"),
        ({"file": "/x"}, "exactly one of contains"),
        ({"file": "/x", "contains": "a", "sha256": "0" * 64}, "exactly one of contains"),
        ({"modified": "/x", "contains": "a"}, "stands beside file"),
        ({"file": "/x", "contains": "a", "rpo": "1h"}, "a file has none"),
        ({"file": "/x", "matches": "("}, "not a regular expression"),
    ],
)
def test_half_a_check_is_refused(check: dict[str, Any], saying: str) -> None:
    with pytest.raises(ValueError, match=saying):
        DataCheck.model_validate(check)
