"""Backup schedule: when the jobs run."""

import pytest

from backup_standard.audit.guest import Guest
from backup_standard.audit.nights import say_nights
from backup_standard.evidence.notes import Evidence


@pytest.mark.rule(id="SCH-01", level="must", tag="minimum")
def test_guest_has_a_run_planned_every_night(guest: Guest, evidence: Evidence) -> None:
    """Every mandatory guest has a run planned every night.

    Rationale: a night without a backup is a day of work that cannot be recovered.
    Remedy: pvesh set /cluster/backup/{guest.first_job} --schedule 02:00
    """
    evidence(backed_up_by=guest.job_names)
    assert guest.jobs, guest.no_job
    plan = guest.plan
    evidence(schedule=guest.schedules, time_zone=str(guest.zone), planned_by=guest.planned_by)
    evidence(nights_looked_at=plan.looked_at)
    evidence(nights_without_a_run=len(plan.missing), nights_lost_to_summer_time=plan.skipped)
    evidence.advise(guest.summertime_advice, guest.summertime_remedy)

    missing = say_nights(plan.missing)
    assert not plan.missing, (
        f"{len(plan.missing)} of the next {plan.looked_at} nights have no run of {guest}: {missing}"
    )


@pytest.mark.rule(id="SCH-02", level="must", tag="standard")
def test_run_is_planned_for_the_hour_of_the_policy(guest: Guest, evidence: Evidence) -> None:
    """The run is planned for 02:00 local time of the site.

    Rationale: backups load disks and network; the hour is chosen so that nobody notices, and so that it is known.
    Remedy: pvesh set /cluster/backup/{guest.first_job} --schedule {guest.inventory.policy.start}
    """
    evidence(backed_up_by=guest.job_names)
    assert guest.jobs, guest.no_job
    hours, start = guest.hours, guest.inventory.policy.start
    evidence(schedule=guest.schedules, hours_at_the_site=hours.times, zone_of_the_node=guest.zone.key)
    evidence.advise(guest.hours_advice)

    assert hours.planned, f"no run of {guest} is planned at all: {guest.schedules}"
    assert not hours.wrong, (
        f"{len(hours.wrong)} of {hours.planned} planned nights of {guest} have no run at {start}, but at "
        f"{', '.join(hours.times)} ({say_nights(hours.wrong)})"
    )


@pytest.mark.rule(id="SCH-04", level="should", tag="standard")
def test_runs_stay_within_the_hours_of_low_usage(guest: Guest, evidence: Evidence) -> None:
    """Runs start and finish within the hours of low usage.

    Rationale: a run that reaches into the working day slows the guests down, and its archive is late.
    Remedy: pvesh set /cluster/backup/{guest.first_job} --schedule {guest.inventory.policy.start}
    Where runs wait for each other, spread the guests over fewer and earlier jobs, or give them a faster disk.
    """
    assert guest.jobs, guest.no_job
    evidence(hours_of_low_usage=guest.low_usage, runs=len(guest.history.runs), longest=guest.say_longest_run())

    assert guest.history.runs, f"no scheduled run of {guest} of the last 14 nights is known"
    late = guest.runs_outside_low_usage
    assert not late, (
        f"{len(late)} of {len(guest.history.runs)} runs of {guest} left the hours of low usage "
        f"({guest.low_usage}): {', '.join(late[:3])}"
    )


@pytest.mark.rule(id="SCH-05", level="should", tag="standard")
def test_job_is_named_after_its_guest(guest: Guest, evidence: Evidence) -> None:
    """Job ids follow nightly-vm<VMID>.

    Rationale: who looks for a guest's backup finds it at once, on every client's site.
    Remedy: {guest.renaming}
    """
    evidence(backed_up_by=guest.job_names)
    assert guest.jobs, guest.no_job

    assert guest.named_jobs, f"{guest} is backed up by {guest.job_names}, not by a job named nightly-vm{guest.vmid}"


@pytest.mark.rule(id="SCH-06", level="should", tag="added")
def test_no_run_was_missed_unnoticed(guest: Guest, evidence: Evidence) -> None:
    """A missed run is noticed.

    Rationale: a run that never began leaves no task, no log and no message.
    Remedy: pvesh set /cluster/backup/{guest.first_job} --repeat-missed 1
    It catches up once, as soon as the node is up again, even in working hours: decide which is worse.
    """
    evidence(backed_up_by=guest.job_names, makes_up_for_missed_runs=guest.repeats)
    assert guest.jobs, guest.no_job
    missed = guest.history.missed
    evidence(nights_without_a_run=[night.isoformat() for night in missed])

    assert not missed, f"in {len(missed)} of the last 14 nights no planned run of {guest} began: {say_nights(missed)}"


@pytest.mark.rule(id="SCH-08", level="should", tag="standard")
def test_job_uses_mode_snapshot(guest: Guest, evidence: Evidence) -> None:
    """Jobs use mode snapshot.

    Rationale: the other modes stop or suspend the guest while it is backed up.
    Remedy: pvesh set /cluster/backup/{guest.first_job} --mode snapshot
    """
    evidence(backed_up_by=guest.job_names)
    assert guest.jobs, guest.no_job
    evidence(mode=guest.modes)
    evidence.advise(guest.fallback_advice)

    assert guest.snapshot_jobs, f"no job of {guest} uses mode snapshot: {guest.say_modes()}"
