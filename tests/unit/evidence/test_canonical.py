"""Values as canonical JSON."""

from __future__ import annotations

import datetime as dt
from enum import StrEnum

import pytest

from backup_standard.evidence.canonical import canonical, plain
from backup_standard.model import Archive


class Colour(StrEnum):
    RED = "red"


def test_keys_are_sorted_and_nothing_is_escaped_needlessly() -> None:
    assert canonical({"b": 1, "a": "Grüße"}) == '{"a":"Grüße","b":1}'


def test_numbers_that_json_does_not_have_are_refused() -> None:
    with pytest.raises(ValueError, match="not JSON compliant"):
        canonical(float("nan"))


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (None, None),
        (True, True),
        (1.5, 1.5),
        ("text", "text"),
        (Colour.RED, "red"),
        (dt.timedelta(hours=26), "1 d 2 h"),
        (dt.datetime(2026, 11, 24, 9, 0, tzinfo=dt.UTC), "2026-11-24T09:00:00+00:00"),
        (dt.date(2026, 11, 24), "2026-11-24"),
        ({1: (dt.date(2026, 1, 1),)}, {"1": ["2026-01-01"]}),
        (frozenset({"b", "a"}), ["a", "b"]),
        (Archive("s:backup/x.vma", "s", "n", 100, "qemu", 0), "archive s:backup/x.vma"),
    ],
)
def test_plain_values(value: object, expected: object) -> None:
    assert plain(value) == expected
