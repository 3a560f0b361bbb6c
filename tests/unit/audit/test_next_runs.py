"""The coming runs that readings keep away from."""

from __future__ import annotations

import datetime as dt
from dataclasses import replace

import pytest

from backup_standard.audit import next_runs
from backup_standard.errors import Unknown
from backup_standard.model import Facts, Gap, Node
from tests.rules import builders as b

TONIGHT = b.LAST_NIGHT + dt.timedelta(days=1)


def runs(facts: Facts) -> dict[str, list[dt.datetime]]:
    return {job.id: [dt.datetime.fromtimestamp(run, tz=b.BERLIN) for run in job.runs] for job in next_runs.of(facts)}


def test_runs_are_reckoned_in_the_zone_of_the_node() -> None:
    assert runs(b.facts())["nightly-vm210"] == [TONIGHT, TONIGHT + dt.timedelta(days=1)]
    abroad = Node("pve2", online=True, timezone="UTC")
    read = b.facts(nodes={**b.facts().nodes, "pve2": abroad}, jobs={"a": b.job(210, id="a", node="pve2")})
    assert runs(read)["a"][0] == TONIGHT + dt.timedelta(hours=1)


def test_a_job_of_any_node_runs_on_each() -> None:
    abroad = Node("pve2", online=True, timezone="UTC")
    read = b.facts(nodes={**b.facts().nodes, "pve2": abroad}, jobs={"a": b.job(210, id="a")})
    assert runs(read)["a"][:2] == [TONIGHT, TONIGHT + dt.timedelta(hours=1)]


def test_what_the_site_itself_told_counts_too() -> None:
    told = int((b.NOW + dt.timedelta(minutes=10)).timestamp())
    read = b.with_jobs([b.job(210, runs=(told, told + 9 * 86400))])
    assert b.NOW + dt.timedelta(minutes=10) in runs(read)["nightly-vm210"]
    assert len(runs(read)["nightly-vm210"]) == 3


def test_a_disabled_job_does_not_run() -> None:
    assert runs(b.with_jobs([replace(b.job(210), enabled=False)])) == {}


def test_what_is_not_understood_is_unknown() -> None:
    with pytest.raises(Unknown, match="when job nightly-vm210 runs next is unknown: its schedule 'nonsense'"):
        next_runs.of(b.with_jobs([b.job(210, schedule="nonsense")]))
    with pytest.raises(Unknown, match="403"):
        next_runs.of(b.facts(jobs=Gap("backup jobs", "403")))


def test_a_node_of_which_nothing_is_known_makes_its_runs_unknown_unless_the_site_told_them() -> None:
    nodes = {**b.facts().nodes, "pve2": Gap("node pve2", "595")}
    with pytest.raises(Unknown, match="the zone of node pve2 is not known: 595"):
        next_runs.of(b.facts(nodes=nodes, jobs={"a": b.job(210, id="a", node="pve2")}))
    told = int((b.NOW + dt.timedelta(hours=1)).timestamp())
    assert next_runs.of(b.facts(nodes=nodes, jobs={"a": b.job(210, id="a", node="pve2", runs=(told,))}))[0].runs


def test_facts_get_the_runs_and_keep_disabled_jobs() -> None:
    disabled = replace(b.job(220, id="off"), enabled=False)
    dated = next_runs.dated(b.with_jobs([b.job(210), disabled])).jobs
    assert isinstance(dated, dict)
    assert dated["off"] == disabled
    assert dated["nightly-vm210"].runs


def test_facts_whose_runs_are_unknown_have_no_jobs() -> None:
    dated = next_runs.dated(b.with_jobs([b.job(210, schedule="nonsense")])).jobs
    assert isinstance(dated, Gap)
    assert "nonsense" in dated.reason
