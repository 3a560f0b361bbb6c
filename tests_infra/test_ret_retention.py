"""Retention: how long archives are kept."""

import pytest

from backup_standard.audit.guest import Guest
from backup_standard.evidence.notes import Evidence
from backup_standard.quantities import say_duration


@pytest.mark.rule(id="RET-01", level="must", tag="minimum")
def test_retention_keeps_enough_nights(guest: Guest, evidence: Evidence) -> None:
    """The effective retention keeps restore points of at least seven distinct nights.

    Rationale: damage is often noticed days later; the restore point from before it must still be there.
    Remedy: {guest.retention_remedy}
    """
    evidence(backed_up_by=guest.job_names)
    assert guest.jobs, guest.no_job
    kept, oldest = guest.kept, say_duration(guest.kept.oldest_age)
    evidence(retention=guest.retentions, nights_kept=kept.nights, oldest_right_after_pruning=oldest)
    evidence(nights_kept_with_a_weekly_backup_by_hand=guest.kept_with_manual_backups.nights)
    evidence.advise(guest.retention_advice, guest.retention_remedy)

    refused = f"nothing is removed (remove=0): Proxmox refuses every backup of {guest} once {kept.archives} are there"
    assert not kept.refused, refused
    assert kept.nights >= guest.keep_nights, (
        f"{kept.nights} nights of {guest} are kept; the policy demands {guest.keep_nights}"
    )
