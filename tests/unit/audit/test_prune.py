"""The prune algorithm against worked examples, recorded answers of Proxmox VE, and its own laws."""

from __future__ import annotations

import datetime as dt
import json
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from backup_standard.audit import prune
from backup_standard.audit.prune import Mark, Point, marks

BERLIN = ZoneInfo("Europe/Berlin")
RECORDED = json.loads((Path(__file__).parents[2] / "contract" / "vectors" / "prune.json").read_text())


def at(text: str, year: int = 2026) -> int:
    """``"03-01 02:00"`` or ``"2025-01-05 23:00"`` in Berlin, as epoch seconds."""
    date, _, time = text.partition(" ")
    full = date if date.count("-") == 2 else f"{year}-{date}"
    return int(dt.datetime.fromisoformat(f"{full} {time or '02:00'}").replace(tzinfo=BERLIN).timestamp())


EXAMPLES: dict[str, tuple[str, list[tuple[str, str]]]] = {
    "a covered day does not use up daily": (
        "keep-last=1,keep-daily=2",
        [("03-01", "R"), ("03-02", "K"), ("03-03", "R"), ("03-03 14:00", "K"), ("03-04", "K")],
    ),
    "the newest of a day stays": (
        "keep-daily=2",
        [("03-01", "R"), ("03-02", "R"), ("03-02 14:00", "K"), ("03-03", "R"), ("03-03 14:00", "K")],
    ),
    "weeks are ISO weeks": (
        "keep-weekly=2",
        [
            ("2024-12-29 23:00", "R"), ("2024-12-30", "R"), ("2025-01-01", "R"),
            ("2025-01-05 23:00", "K"), ("2025-01-06", "K"),
        ],
    ),
    "gaps age nothing out": ("keep-daily=3", [("01-01", "R"), ("02-01", "K"), ("03-01", "K"), ("04-01", "K")]),
    "protected ones do not count": ("keep-last=2", [("03-01", "R"), ("03-02", "K"), ("03-03", "P"), ("03-04", "K")]),
    "nothing above zero keeps all": ("keep-last=0,keep-daily=0", [("03-01", "K"), ("03-02", "K")]),
    "a removed sibling is beyond rescue": (
        "keep-last=1,keep-daily=2,keep-weekly=1,keep-monthly=1,keep-yearly=1",
        [
            ("2024-12-31", "R"), ("2025-12-31", "K"), ("2026-01-31", "K"), ("02-27", "R"), ("02-28", "R"),
            ("03-01", "K"), ("03-02", "K"), ("03-03", "K"), ("03-04", "K"),
        ],
    ),
    "both hours of the autumn night are one": (
        "keep-hourly=10",
        [("10-25 01:30", "K"), ("10-25 02:15", "R"), ("10-25 02:45", "K"), ("10-25 03:10", "K")],
    ),
    "hours after last": (
        "keep-last=2,keep-hourly=1",
        [("03-01 00:10", "K"), ("03-01 01:10", "R"), ("03-01 01:40", "K"), ("03-01 02:00", "K")],
    ),
    "weeks after a day": (
        "keep-daily=1,keep-weekly=2",
        [("03-01", "K"), ("03-02", "R"), ("03-05", "R"), ("03-08", "K"), ("03-09", "K")],
    ),
}  # fmt: skip
LETTERS = {"K": Mark.KEEP, "R": Mark.REMOVE, "P": Mark.PROTECTED}


@pytest.mark.parametrize("name", list(EXAMPLES))
def test_worked_examples(name: str) -> None:
    keep, archives = EXAMPLES[name]
    points = [Point(at(when), protected=letter == "P") for when, letter in archives]
    assert marks(points, prune.parse_keep(keep), BERLIN) == [LETTERS[letter] for _, letter in archives]


def test_of_two_archives_with_the_same_stamp_the_second_goes() -> None:
    points = [Point(at("03-04")), Point(at("03-04")), Point(at("03-03"))]
    assert marks(points, {"keep-last": 2}, BERLIN) == [Mark.KEEP, Mark.REMOVE, Mark.KEEP]


def test_renamed_files_are_never_touched() -> None:
    points = [Point(at("03-04"), standard_name=False), Point(at("03-03")), Point(at("03-02"))]
    assert marks(points, {"keep-last": 1}, BERLIN) == [Mark.RENAMED, Mark.KEEP, Mark.REMOVE]


@pytest.mark.parametrize("vector", RECORDED["vectors"], ids=lambda vector: vector["keep"] + str(vector["only"] or ""))
def test_recorded_dry_runs(vector: dict[str, object]) -> None:
    """Each group (type and VMID) of a recorded answer gets the recorded marks."""
    groups: dict[tuple[object, object], list[dict[str, object]]] = {}
    for archive in vector["archives"]:  # type: ignore[attr-defined]
        groups.setdefault((archive["type"], archive["vmid"]), []).append(archive)
    for archives in groups.values():
        points = [
            Point(int(str(one["ctime"])), protected=one["mark"] == "protected", standard_name=one["mark"] != "renamed")
            for one in archives
        ]
        found = marks(points, prune.parse_keep(str(vector["keep"])), ZoneInfo(RECORDED["zone"]))
        assert found == [one["mark"] for one in archives]


KEEPS = st.dictionaries(st.sampled_from(prune.RULES), st.integers(0, 5))
UNHURRIED = settings(deadline=None)  # a busy machine is no defect
TIMES = st.lists(st.integers(1_700_000_000, 1_800_000_000), min_size=1, max_size=40, unique=True)


@UNHURRIED
@given(TIMES, KEEPS)
def test_the_newest_is_always_kept(times: list[int], keep: dict[str, int]) -> None:
    found = dict(zip(times, marks([Point(one) for one in times], keep, BERLIN), strict=True))
    assert found[max(times)] is Mark.KEEP


@UNHURRIED
@given(TIMES, KEEPS)
def test_no_more_are_kept_than_the_counts_add_up_to(times: list[int], keep: dict[str, int]) -> None:
    kept = marks([Point(one) for one in times], keep, BERLIN).count(Mark.KEEP)
    assert prune.keeps_all(keep) or kept <= sum(keep.values())


@UNHURRIED
@given(TIMES, st.integers(1, 10))
def test_keep_last_keeps_the_newest_n(times: list[int], count: int) -> None:
    found = marks([Point(one) for one in times], {"keep-last": count}, BERLIN)
    kept = {one for one, mark in zip(times, found, strict=True) if mark is Mark.KEEP}
    assert kept == set(sorted(times)[-count:])


@UNHURRIED
@given(TIMES, KEEPS, st.randoms())
def test_the_order_of_listing_does_not_matter(times: list[int], keep: dict[str, int], random: object) -> None:
    shuffled = list(times)
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    first = dict(zip(times, marks([Point(one) for one in times], keep, BERLIN), strict=True))
    assert first == dict(zip(shuffled, marks([Point(one) for one in shuffled], keep, BERLIN), strict=True))


@UNHURRIED
@given(TIMES, KEEPS, TIMES)
def test_protected_archives_change_nothing_for_the_others(
    times: list[int], keep: dict[str, int], more: list[int]
) -> None:
    alone = marks([Point(one) for one in times], keep, BERLIN)
    together = marks([*(Point(one) for one in times), *(Point(one, protected=True) for one in more)], keep, BERLIN)
    assert together[: len(times)] == alone
    assert set(together[len(times) :]) == {Mark.PROTECTED}


def test_keep_counts_are_read_and_said() -> None:
    assert prune.parse_keep("keep-daily=7, keep-weekly=4") == {"keep-daily": 7, "keep-weekly": 4}
    assert prune.parse_keep("") == {}
    assert prune.say_keep({"keep-weekly": 4, "keep-daily": 7, "keep-last": 0}) == "keep-daily=7,keep-weekly=4"
    assert prune.say_keep({}) == "keep-all=1"


@pytest.mark.parametrize("text", ["7", "keep-often=3", "keep-daily", "keep-daily=-1"])
def test_other_texts_are_no_retention(text: str) -> None:
    with pytest.raises(ValueError, match="is not a prune-backups value"):
        prune.parse_keep(text)
