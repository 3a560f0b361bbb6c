"""Retention: the worked examples and the recorded dry runs."""

import json
from datetime import datetime
from itertools import groupby
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lab.pve.retention import Candidate, RetentionError, mark, parse, render

BERLIN = ZoneInfo("Europe/Berlin")
RECORDED = json.loads((Path(__file__).parent / "data" / "prune.json").read_text())

EXAMPLES = {
    "keep-last=1,keep-daily=2": [
        ("2026-03-01 02:00", "R"),
        ("2026-03-02 02:00", "K"),
        ("2026-03-03 02:00", "R"),
        ("2026-03-03 14:00", "K"),
        ("2026-03-04 02:00", "K"),
    ],
    "keep-daily=2": [
        ("2026-03-01 02:00", "R"),
        ("2026-03-02 02:00", "R"),
        ("2026-03-02 14:00", "K"),
        ("2026-03-03 02:00", "R"),
        ("2026-03-03 14:00", "K"),
    ],
    "keep-weekly=2": [
        ("2024-12-29 23:00", "R"),
        ("2024-12-30 02:00", "R"),
        ("2025-01-01 02:00", "R"),
        ("2025-01-05 23:00", "K"),
        ("2025-01-06 02:00", "K"),
    ],
    "keep-daily=3": [
        ("2026-01-01 02:00", "R"),
        ("2026-02-01 02:00", "K"),
        ("2026-03-01 02:00", "K"),
        ("2026-04-01 02:00", "K"),
    ],
    "keep-last=2": [
        ("2026-03-01 02:00", "R"),
        ("2026-03-02 02:00", "K"),
        ("2026-03-03 02:00", "P"),
        ("2026-03-04 02:00", "K"),
    ],
    "keep-last=0,keep-daily=0": [("2026-03-01 02:00", "K"), ("2026-03-02 02:00", "K")],
    "keep-last=1,keep-daily=2,keep-weekly=1,keep-monthly=1,keep-yearly=1": [
        ("2024-12-31 02:00", "R"),
        ("2025-12-31 02:00", "K"),
        ("2026-01-31 02:00", "K"),
        ("2026-02-27 02:00", "R"),
        ("2026-02-28 02:00", "R"),
        ("2026-03-01 02:00", "K"),
        ("2026-03-02 02:00", "K"),
        ("2026-03-03 02:00", "K"),
        ("2026-03-04 02:00", "K"),
    ],
    "keep-hourly=10": [
        ("2026-10-25 01:30", "K"),
        ("2026-10-25 02:15", "R"),
        ("2026-10-25 02:45", "K"),
        ("2026-10-25 03:10", "K"),
    ],
    "keep-last=2,keep-hourly=1": [
        ("2026-03-01 00:10", "K"),
        ("2026-03-01 01:10", "R"),
        ("2026-03-01 01:40", "K"),
        ("2026-03-01 02:00", "K"),
    ],
    "keep-daily=1,keep-weekly=2": [
        ("2026-03-01 02:00", "K"),
        ("2026-03-02 02:00", "R"),
        ("2026-03-05 02:00", "R"),
        ("2026-03-08 02:00", "K"),
        ("2026-03-09 02:00", "K"),
    ],
}
MARKS = {"K": "keep", "R": "remove", "P": "protected"}


def local(text: str) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=BERLIN).timestamp())


@pytest.mark.parametrize("rules", EXAMPLES)
def test_worked_examples(rules: str) -> None:
    wanted = {text: MARKS[letter] for text, letter in EXAMPLES[rules]}
    group = [Candidate(text, local(text), protected=kind == "protected") for text, kind in wanted.items()]
    assert mark(group, parse(rules), BERLIN) == wanted


def test_of_two_archives_with_one_moment_the_first_stays() -> None:
    noon = local("2026-03-02 12:00")
    group = [Candidate("a.vma", noon), Candidate("a.vma.zst", noon), Candidate("older", noon - 86400)]
    assert mark(group, parse("keep-last=2"), BERLIN) == {"a.vma": "keep", "a.vma.zst": "remove", "older": "keep"}


@pytest.mark.parametrize("case", RECORDED["kept"])
def test_recorded_dry_runs(case: str) -> None:
    rules, _, vmid = case.partition("|")
    listed = [one for one in RECORDED["archives"] if not vmid or (one["vmid"] == vmid and one["type"] == "qemu")]
    kept = []
    for _, group in groupby(
        sorted(listed, key=lambda one: (one["type"], one["vmid"])), key=lambda one: (one["type"], one["vmid"])
    ):
        marks = mark(
            [
                Candidate(one["name"], one["ctime"], one["special"] != "renamed", one["special"] == "protected")
                for one in group
            ],
            parse(rules),
            ZoneInfo("UTC"),
        )
        kept += [name for name, kind in marks.items() if kind == "keep"]
    assert sorted(kept) == sorted(RECORDED["kept"][case])


@pytest.mark.parametrize("text", ["keep-last=0", "keep-all=0", "keep-all=1", ""])
def test_nothing_positive_keeps_everything(text: str) -> None:
    assert mark([Candidate("a", 1), Candidate("b", 2)], parse(text), BERLIN) == {"a": "keep", "b": "keep"}


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (
            "keep-foo=1",
            (
                "format error\nprune-backups.keep-foo: property is not defined in schema and the schema does"
                " not allow additional properties\n"
            ),
        ),
        ("keep-all=1,keep-last=2", "keep-all cannot be set together with other options.\n"),
    ],
)
def test_refused_rules_keep_the_recorded_words(text: str, words: str) -> None:
    with pytest.raises(RetentionError) as caught:
        parse(text)
    assert str(caught.value) == words


def test_logs_write_rules_sorted() -> None:
    assert render(parse("keep-weekly=2,keep-last=3")) == "keep-last=3, keep-weekly=2"


@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(0, 500_000), min_size=1, unique=True), st.integers(1, 5), st.integers(0, 5))
def test_the_newest_stays_and_no_more_than_the_rules_add_up_to(minutes: list[int], last: Any, daily: int) -> None:
    group = [Candidate(str(minute), 1_790_000_000 + 60 * minute) for minute in minutes]
    marks = mark(group, {"keep-last": last, "keep-daily": daily}, BERLIN)
    kept = [name for name, kind in marks.items() if kind == "keep"]
    assert str(max(minutes)) in kept
    assert len(kept) <= last + daily
    with_protected = mark(
        [*group, Candidate("p", 1_790_000_001, protected=True)], {"keep-last": last, "keep-daily": daily}, BERLIN
    )
    assert {name: with_protected[name] for name in marks} == marks
