"""Detects N of N, where the site is one in memory: each violation alone, read over HTTPS and SSH, judged by every rule.

What is expected changes, and nothing else does. No virtual machine is needed.
"""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from lab import memory_node
from lab.pve import seed
from tests import labinventory, labsite
from tests.judging import Rows, red, rules
from tests.lab.site import run_suite
from tests.violations import healthy, in_memory, score
from tests.violations.case import Case
from tests.violations.judge import changed, judge, read
from tests.violations.seeding import seeded

Note = Callable[[str, object], None]
DEEP = 210
"""The guest whose newest archive is read from end to end where a case is about that."""
BERLIN = ZoneInfo("Europe/Berlin")
SPRING = dt.datetime(2026, 3, 29, 12, tzinfo=BERLIN)
"""Noon after the night without a 02:00."""


def next_noon() -> int:
    """The lab's clock stands at noon, so that the hour at which the tests run is no matter."""
    now = dt.datetime.now(BERLIN)
    noon = now.replace(hour=12, minute=0, second=0, microsecond=0)
    return int((noon if noon > now else noon + dt.timedelta(days=1)).timestamp())


class Reading:
    """A site in memory, how it is judged, and how it was judged while it was healthy."""

    def __init__(self, lab: labsite.LabSite) -> None:
        self.lab, self._path, self._moved = lab, lab.folder / "lab.yaml", lab.hypervisor.node.skew
        self._inventory = labinventory.write(lab, self._path).read_text()
        self.before = self.rows()

    def rows(self, case: Case | None = None) -> Rows:
        """Every rule with every subject, by the inventory that the case goes with."""
        self._path.write_text(case.inventory(self._inventory) if case else self._inventory)
        return judge(read(self._path, self._moved, DEEP if case and case.deep else None))


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Reading]:
    with labsite.running(tmp_path_factory.mktemp("lab"), now=next_noon(), guests=False) as running:
        yield Reading(running)


def check(site: Reading, case: Case, note: Note, *, is_healthy: bool) -> None:
    found = score.NOT_JUDGED
    try:
        with seeded(site.lab, case.seed):
            found = changed(site.before, site.rows(case))
    finally:
        told = score.line(case.name, where="memory", expected=case.expected, found=found, healthy=is_healthy)
        note(score.KEY, told)
    assert set(found) == case.expected, found
    assert case.says in str(found), found


def test_the_site_is_healthy_before(site: Reading) -> None:
    assert red(site.before) == {}
    assert len({rule for rule, _ in site.before}) > 30


@pytest.mark.parametrize("case", in_memory.VIOLATIONS, ids=lambda case: case.name)
def test_a_violation_turns_its_rules_red_and_no_other(site: Reading, case: Case, record_property: Note) -> None:
    assert case.red or case.advised
    check(site, case, record_property, is_healthy=False)


@pytest.mark.parametrize("case", healthy.CASES, ids=lambda case: case.name)
def test_a_healthy_variant_stays_green(site: Reading, case: Case, record_property: Note) -> None:
    assert not case.red
    check(site, case, record_property, is_healthy=True)


def test_the_site_is_as_healthy_afterwards(site: Reading) -> None:
    assert site.rows() == site.before or changed(site.before, site.rows()) == {}


def test_the_rows_are_those_of_the_audit_itself(tmp_path: Path) -> None:
    """The judge of these tests comes to what ``pytest --inventory`` comes to, rule by rule and subject by subject."""
    with labsite.running(tmp_path / "lab", guests=False) as lab:
        ours = Reading(lab).before
        done = run_suite(f"--inventory={lab.folder / 'lab.yaml'}", f"--run-dir={tmp_path}", inventory=None)
    file = next(tmp_path.rglob("verdicts.jsonl"), None)
    assert file, done.stdout + done.stderr
    theirs = {}
    for verdict in map(json.loads, file.read_text(encoding="utf-8").splitlines()):
        _, bracket, name = verdict["item"].rpartition("[")
        theirs[verdict["rule"], name.removesuffix("]") if bracket else "the site"] = verdict["outcome"]
    unread = {one.id for one in rules() if one.deep}  # no archive was read from end to end
    assert {key: str(row.outcome) for key, row in ours.items()} == {
        key: outcome for key, outcome in theirs.items() if key[0] not in unread
    }


def whole(lab: labsite.LabSite, name: str, note: Note) -> None:
    """A healthy site of its own kind: nothing in it is red."""
    found = red(Reading(lab).before)
    told = score.line(name, where="memory", expected=(), found=(f"{rule} fail" for rule, _ in found), healthy=True)
    note(score.KEY, told)
    assert found == {}


def test_the_night_without_a_two_oclock_stays_green(tmp_path: Path, record_property: Note) -> None:
    with labsite.running(tmp_path, now=int(SPRING.timestamp()), guests=False) as lab:
        whole(lab, "the night that summer time shortens", record_property)


def test_a_node_in_utc_stays_green(tmp_path: Path, record_property: Note, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its jobs run at 01:00 by its clock, which is 02:00 at the site in winter; the advice names the summer."""
    for place, name, value in (
        (seed, "ZONE", "Etc/UTC"),
        (seed, "SCHEDULE", "01:00"),
        (memory_node, "ZONE", "Etc/UTC"),
    ):
        monkeypatch.setattr(place, name, value)
    seed._told.cache_clear()
    winter = int(dt.datetime(2026, 1, 20, 12, tzinfo=BERLIN).timestamp())
    try:
        with labsite.running(tmp_path, now=winter, guests=False) as lab:
            whole(lab, "a node in UTC", record_property)
    finally:
        seed._told.cache_clear()
