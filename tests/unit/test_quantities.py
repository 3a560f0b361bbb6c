"""Durations and sizes are read and said as operators write them."""

from __future__ import annotations

import datetime as dt

import pytest

from backup_standard.quantities import parse_duration, parse_size, say_duration, say_size


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("90s", 90), ("30m", 1800), ("26h", 93600), ("1d 2h", 93600), ("1D2H", 93600), ("0.5h", 1800), ("2w", 1209600)],
)
def test_durations_are_read(text: str, seconds: int) -> None:
    assert parse_duration(text).total_seconds() == seconds


@pytest.mark.parametrize("text", ["", "soon", "26", "26 hours", "1h x", "-1h"])
def test_what_is_no_duration_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is not a duration; write 90s, 30m, 26h or 7d"):
        parse_duration(text)


@pytest.mark.parametrize(
    ("text", "size"), [("500", 500), ("64 MiB", 64 << 20), ("1.5G", 3 << 29), ("2 TiB", 2 << 40), ("10 B", 10)]
)
def test_sizes_are_read(text: str, size: int) -> None:
    assert parse_size(text) == size


@pytest.mark.parametrize("text", ["", "big", "5 PiB", "1 2 G"])
def test_what_is_no_size_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is not a size; write 500 GiB"):
        parse_size(text)


@pytest.mark.parametrize(
    ("seconds", "said"),
    [(0, "0 s"), (4.25, "4.2 s"), (59, "59 s"), (60, "1 min"), (450, "7 min 30 s"), (93600, "1 d 2 h"), (86400, "1 d"),
     (-93600, "-1 d 2 h"), (-5, "-5 s"), (90061, "1 d 1 h"), (86460, "1 d")],
)  # fmt: skip
def test_durations_are_said_in_two_units_at_most(seconds: float, said: str) -> None:
    assert say_duration(seconds) == said
    assert say_duration(dt.timedelta(seconds=seconds)) == said


@pytest.mark.parametrize(
    ("size", "said"),
    [
        (0, "0 B"),
        (1023, "1023 B"),
        (1024, "1.0 KiB"),
        (112 << 20, "112 MiB"),
        (3 << 29, "1.5 GiB"),
        (5 << 40, "5.0 TiB"),
    ],
)
def test_sizes_are_said(size: int, said: str) -> None:
    assert say_size(size) == said
