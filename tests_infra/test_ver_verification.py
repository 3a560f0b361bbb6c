"""Verification: whether backups really came about."""

import pytest

from backup_standard.audit.guest import Guest
from backup_standard.evidence.notes import Evidence
from backup_standard.quantities import say_duration, say_size


@pytest.mark.rule(id="VER-01", level="must", tag="standard")
def test_last_scheduled_run_was_without_error(guest: Guest, evidence: Evidence) -> None:
    """The last scheduled run backed up every mandatory guest without error.

    Rationale: a job that fails every night looks like a job; only its result is a backup.
    Remedy: pvesh get /nodes/{guest.node}/tasks/{guest.last_run.upid}/log --limit 0
    Mend what the log names, then: vzdump {guest.vmid} --storage {guest.backup_storage} --compress zstd --mode snapshot
    """
    evidence(backed_up_by=guest.job_names)
    assert guest.jobs, guest.no_job
    run = guest.last_run
    assert run, f"no job of {guest} has been due yet"
    evidence(job=run.job, planned_for=run.planned, task=run.upid, ended_with=run.status, told_by=run.confirmed_by)
    evidence.advise(run.advice)

    assert not run.problem, f"{guest}: {run.problem}"


@pytest.mark.rule(id="VER-02", level="must", tag="standard")
def test_newest_archive_is_younger_than_the_rpo(guest: Guest, evidence: Evidence) -> None:
    """The newest archive of every mandatory guest is younger than its RPO.

    Rationale: what was written after the newest archive is lost with the node.
    Remedy: vzdump {guest.vmid} --storage {guest.backup_storage} --compress zstd --mode snapshot
    """
    newest, allowed = guest.newest_archive, say_duration(guest.allowed_age)
    evidence(rpo=guest.rpo, newest_archive=newest, age=guest.say_age(), archives=len(guest.archives))
    evidence(nights_lost_to_summer_time=guest.lost_nights)

    assert newest, f"{guest} has no archive on storage {guest.backup_storage}"
    assert not guest.dated_in_the_future, f"{newest} is dated in the future: the node's clock or time zone is wrong"
    assert newest.age <= guest.allowed_age, f"{newest} of {guest} is {guest.say_age()} old; the RPO allows {allowed}"


@pytest.mark.rule(id="VER-03", level="must", tag="standard")
def test_newest_archive_is_a_whole_file_on_the_backup_disk(guest: Guest, evidence: Evidence) -> None:
    """The archive exists as a file on the backup disk with a plausible size.

    Rationale: a listing is not a file, and a file that was cut short looks like one until it is restored.
    Remedy: ls -l {guest.dump_folder}
    vzdump {guest.vmid} --storage {guest.backup_storage} --compress zstd --mode snapshot
    What a broken backup left behind (.dat, .tmp) can be deleted once no backup runs.
    """
    newest = guest.newest_archive
    assert newest, f"{guest} has no archive on storage {guest.backup_storage}"
    file = guest.newest_file
    evidence(newest_archive=newest, folder=guest.dump_folder, size=file.size, log_beside_it=file.log)
    evidence(left_by_broken_backups=file.leftovers)
    evidence.advise(file.log_advice)

    assert not file.problem, f"{guest}: {file.problem}"
    assert not file.leftovers, f"a broken backup of {guest} left behind: {', '.join(file.leftovers)}"


@pytest.mark.rule(id="VER-06", level="should", tag="added")
def test_archive_sizes_are_plausible(guest: Guest, evidence: Evidence) -> None:
    """Archive sizes are plausible.

    Rationale: an archive of half the usual size may lack a disk; one of twice the size tells of a guest that fills up.
    Remedy: pvesh get /nodes/{guest.node}/{guest.seen.kind}/{guest.vmid}/config
    Compare with the disks that the log of the newest backup includes.
    """
    newest = guest.newest_archive
    assert newest, f"{guest} has no archive on storage {guest.backup_storage}"
    sizes = guest.sizes
    evidence(newest=say_size(sizes.newest), usual=say_size(sizes.usual), compared_with=len(sizes.others))

    assert not sizes.oddity, f"{newest} of {guest} has {sizes.oddity}"
