"""Violations and healthy variants on older releases: the rules that change are those that change on 9.2.

Those of guests, disks and nodes do not ask the API anything that differs; they are left to 9.2, for the time they take.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from lab.pve.releases import Version
from tests import labsite
from tests.judging import red
from tests.lab.test_violations_in_memory import Reading, next_noon
from tests.violations import healthy, of_jobs, of_runs
from tests.violations.case import Case
from tests.violations.judge import changed
from tests.violations.seeding import seeded

NOTIFICATIONS = "nobody is told"
"""The case about ``notification-mode``, which 7.4 does not have."""
CASES: dict[Version, tuple[Case, ...]] = {
    "8.4": of_jobs.CASES,
    "7.4": tuple(one for one in (*of_jobs.CASES, *of_runs.CASES, *healthy.CASES) if one.name != NOTIFICATIONS),
}


@pytest.fixture(scope="module")
def site(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Reading]:
    folder = tmp_path_factory.mktemp("lab")
    with labsite.running(folder, version=request.param, now=next_noon(), guests=False) as running:
        yield Reading(running)


@pytest.mark.parametrize("site", CASES, indirect=True)
def test_the_site_is_healthy_before(site: Reading) -> None:
    assert red(site.before) == {}


@pytest.mark.parametrize(
    ("site", "case"),
    [pytest.param(version, case, id=f"{version}-{case.name}") for version, cases in CASES.items() for case in cases],
    indirect=["site"],
)
def test_an_older_release_is_judged_as_9_is(site: Reading, case: Case) -> None:
    with seeded(site.lab, case.seed):
        found = changed(site.before, site.rows(case))
    assert set(found) == case.expected, found
    assert case.says in str(found), found
