"""Retention: how long archives are kept."""

import pytest

from backup_standard.audit.guest import Guest
from backup_standard.audit.nights import say_nights
from backup_standard.audit.retained_guest import RECOMMENDED_NIGHTS
from backup_standard.audit.storage import BackupStorage
from backup_standard.audit.strays import say
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


@pytest.mark.rule(id="RET-02", level="must", tag="minimum")
def test_retention_is_enforced_by_proxmox_itself(guest: Guest, evidence: Evidence) -> None:
    """Retention is enforced automatically.

    Rationale: archives that nothing removes fill the disk, and then the backups fail; two jobs that remove by
    different counts leave what neither of them promises.
    Remedy: {guest.enforcing_remedy}
    """
    evidence(backed_up_by=guest.job_names)
    assert guest.jobs, guest.no_job
    evidence(retention=guest.retentions)

    assert not guest.unpruned, guest.unpruned
    assert not guest.rivals, f"the jobs of {guest} remove each other's archives by different counts: {guest.rivals}"


@pytest.mark.rule(id="RET-03", level="must", tag="standard")
def test_archives_already_hold_the_nights(guest: Guest, evidence: Evidence) -> None:
    """The archives on disk already hold seven distinct nights, or every night since the guest exists.

    Rationale: what a job promises to keep is of no use until it is there.
    Remedy: pvesh get /nodes/{guest.node}/storage/{guest.backup_storage}/prunebackups --vmid {guest.vmid}
    Find out what removed the archives or kept them from being made; {guest.first_job} fills the nights one by one.
    """
    assert guest.jobs, guest.no_job
    found = guest.nights_held
    evidence(nights_held=len(found.held), nights_demanded=found.demanded, guest_made=found.say_made())
    evidence(archives_of_a_former_guest=found.foreign, smbios=guest.seen.config.get("smbios1"))

    assert found.enough, (
        f"the archives of {guest} hold {len(found.held)} distinct nights of {found.demanded}"
        f"{': missing ' if found.missing else ''}{say_nights(found.missing)}"
    )


@pytest.mark.rule(id="RET-04", level="should", tag="standard")
def test_retention_keeps_the_recommended_nights(guest: Guest, evidence: Evidence) -> None:
    """Production guests keep 14 to 30 days if the disk allows.

    Rationale: damage that nobody notices for a week is not rare.
    Remedy: {guest.retention_remedy}
    """
    assert guest.jobs, guest.no_job
    evidence(retention=guest.retentions, nights_kept=guest.kept.nights, more_would_fit=guest.more_would_fit)

    assert guest.keeps_long, (
        f"{guest.kept.nights} nights of {guest} are kept; {RECOMMENDED_NIGHTS} to 30 are recommended, "
        "and the disk has room for them"
    )


@pytest.mark.rule(id="RET-05", level="should", tag="added")
def test_no_archive_escapes_retention_unnoticed(backup_storage: BackupStorage, evidence: Evidence) -> None:
    """No archive escapes retention unnoticed.

    Rationale: archives of deleted guests, protected ones and renamed files stay for ever, unless somebody decides.
    Remedy: pvesm free {backup_storage.first_stray}
    Keep what is kept on purpose; a protected archive must be unprotected before it can go.
    """
    strays = backup_storage.strays
    evidence(archives_that_nothing_removes=list(map(str, strays)))

    assert not strays, f"nothing ever removes {say(strays)}"
