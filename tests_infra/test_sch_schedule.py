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
    evidence(schedule=guest.schedules, time_zone=str(guest.zone), nights_looked_at=plan.looked_at)
    evidence(nights_without_a_run=len(plan.missing), nights_lost_to_summer_time=plan.skipped)
    evidence.advise(guest.summertime_advice, guest.summertime_remedy)

    missing = say_nights(plan.missing)
    assert not plan.missing, (
        f"{len(plan.missing)} of the next {plan.looked_at} nights have no run of {guest}: {missing}"
    )
