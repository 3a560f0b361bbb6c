"""Jobs as releases before 7.1 made them, which later ones still list: in vzdump.cron, with ``maxfiles``."""

from __future__ import annotations

from dataclasses import replace

import pytest

from backup_standard.errors import Unknown
from backup_standard.evidence.notes import Evidence
from backup_standard.model import BackupJob, Facts
from tests.rules import builders as b
from tests_infra import test_ret_retention as ret
from tests_infra import test_sch_nodes as nodes
from tests_infra import test_sch_schedule as sch
from tests_infra import test_ver_verification as ver

CRON = f"{'0a' * 20}:1"


def cron_job(schedule: str = "02:00", **raw: str) -> BackupJob:
    """A line of vzdump.cron; as the API gives its options."""
    options = {"starttime": "02:00", "quiet": "1", "maxfiles": "7", **raw}
    return b.job(210, id=CRON, schedule=schedule, prune=None, raw=options)


def site(job: BackupJob, release: str = "7.4") -> Facts:
    return replace(b.with_jobs([job]), release=release)


def every_night(facts: Facts) -> Evidence:
    evidence = Evidence()
    sch.test_guest_has_a_run_planned_every_night(b.mandatory(facts), evidence)
    return evidence


def kept(facts: Facts) -> Evidence:
    evidence = Evidence()
    ret.test_retention_keeps_enough_nights(b.mandatory(facts), evidence)
    return evidence


def last_run(facts: Facts) -> Evidence:
    evidence = Evidence()
    ver.test_last_scheduled_run_was_without_error(b.mandatory(facts), evidence)
    return evidence


def test_only_the_shape_of_its_id_tells_such_a_job() -> None:
    assert cron_job().by_cron
    assert not any(b.job(210, id=name).by_cron for name in ("nightly-vm210", "0a" * 20, f"{'0A' * 20}:1", "x:1"))


def test_it_is_a_run_every_night_and_cron_makes_up_for_the_hour_that_summer_time_takes() -> None:
    evidence = every_night(site(cron_job()))
    assert evidence.observed["nights_lost_to_summer_time"] == []
    assert evidence.advice == ""
    assert every_night(site(b.job(210))).advice, "the scheduler does not"


def test_it_makes_up_for_no_night_that_it_leaves_out_anyway() -> None:
    with pytest.raises(AssertionError, match=r"114 of the next 400 nights"):
        every_night(site(cron_job("mon,tue,wed,thu,fri 02:00")))


@pytest.mark.parametrize("release", ["7.0", "7.4", "8.4"])
def test_its_maxfiles_counts_as_keep_last_up_to_8(release: str) -> None:
    evidence = kept(site(cron_job(), release))
    assert evidence.observed["nights_kept"] == 7
    assert evidence.observed["retention"] == {CRON: f"keep-last=7 (from job {CRON})"}
    with pytest.raises(AssertionError, match="3 nights of VM 210"):
        kept(site(cron_job(maxfiles="3"), release))


def test_release_9_knows_no_maxfiles() -> None:
    assert kept(site(cron_job(), "9.2")).observed["retention"] == {
        CRON: "keep-all=1 (from Proxmox's default, as nothing is set)"
    }


@pytest.mark.parametrize(("quiet", "told"), [("1", "210 --quiet 1"), ("0", "210"), ("0", "210 --quiet 1")])
def test_its_run_is_recognised_by_command_and_start_time(quiet: str, told: str) -> None:
    """A line written by hand need not be quiet, as all that the scheduler starts is."""
    facts = site(cron_job(quiet=quiet))
    task = b.task(210, b.LAST_NIGHT, log=b.log(210, b.LAST_NIGHT, command=f"{told} --storage {b.STORAGE}"))
    evidence = last_run(replace(facts, tasks={b.NODE: (task,)}, job_states={}))
    assert evidence.observed["told_by"] == "command and start time"


def test_a_loud_run_is_none_of_a_quiet_line() -> None:
    task = b.task(210, b.LAST_NIGHT, log=b.log(210, b.LAST_NIGHT, command=f"210 --storage {b.STORAGE}"))
    with pytest.raises(AssertionError, match="no such run took place"):
        last_run(replace(site(cron_job()), tasks={b.NODE: (task,)}, job_states={}))


def test_before_7_1_there_is_no_scheduler_to_look_at() -> None:
    gone = b.with_system(scheduler={"LoadState": "not-found"})
    for version, raised in (("7.0-14", Unknown), ("6.4-15", Unknown), ("7.1-4", AssertionError)):
        node = replace(gone.nodes[b.NODE], version=version)  # type: ignore[type-var]
        with pytest.raises(raised, match=r"has none: cron runs its jobs|does not run"):
            nodes.test_the_scheduler_is_alive(b.node(replace(gone, nodes={b.NODE: node})), Evidence())
