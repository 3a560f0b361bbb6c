"""Verification: whether backups really came about."""

from collections.abc import Sequence

import pytest

from backup_standard.audit.guest import Guest
from backup_standard.audit.site import Site
from backup_standard.evidence.notes import Evidence
from backup_standard.model.readings import DrilledArchive
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


@pytest.mark.rule(id="VER-04", level="must", tag="standard")
def test_no_error_of_backups_is_left_unmended(guest: Guest, evidence: Evidence) -> None:
    """No uncured vzdump error stands in the task history and journal of the last 16 nights.

    Rationale: an error that no later backup made up for is a hole that nobody has noticed.
    Remedy: vzdump {guest.vmid} --storage {guest.backup_storage} --compress zstd --mode snapshot
    """
    mishaps, zone = guest.mishaps, guest.site_zone
    evidence(cured=[one.say(zone) for one in mishaps.cured], uncured=[one.say(zone) for one in mishaps.open])

    latest = "; ".join(one.say(zone) for one in mishaps.open[:3])
    assert not mishaps.open, f"no later backup of {guest} made up for: {latest}"


@pytest.mark.rule(id="VER-05", level="must", tag="standard")
def test_newest_archive_is_intact(guest: Guest, drilled: Sequence[DrilledArchive], evidence: Evidence) -> None:
    """The newest archive of every mandatory guest is intact from end to end.

    Rationale: a damaged archive looks like any other until it is restored.
    Remedy: vzdump {guest.vmid} --storage {guest.backup_storage} --compress zstd --mode snapshot
    Look for the cause before the next night: the kernel's messages about the disk, its SMART values, the memory.
    """
    newest = guest.newest_archive
    evidence(newest_archive=newest)
    assert newest, f"{guest} has no archive on storage {guest.backup_storage}"
    proof = guest.prove_intact(drilled)
    evidence(shown_by=proof.by, at=proof.at, holds=proof.holds, sha256=proof.sha256)

    assert not proof.problem, f"{newest} of {guest} is damaged: {proof.problem}"


@pytest.mark.rule(id="VER-07", level="should", tag="added")
def test_somebody_is_told_when_a_backup_fails(guest: Guest, evidence: Evidence) -> None:
    """Somebody is told when a backup fails.

    Rationale: nobody reads logs every morning.
    Remedy: {guest.telling_remedy}
    """
    assert guest.jobs, guest.no_job
    evidence(told_by={job: one.by or "nobody" for job, one in guest.told.items()})

    assert not guest.untold, f"nobody is told when a backup of {guest} fails: {guest.untold}"


@pytest.mark.rule(id="VER-08", level="should", tag="standard")
def test_somebody_looks_at_the_backups(site: Site, evidence: Evidence) -> None:
    """Somebody looks: until monitoring is deployed, the backups were checked in the last seven days.

    Rationale: what nobody looks at fails unseen.
    Remedy: pytest --inventory INVENTORY
    once a week, from a timer; a look by a person counts as an attestation of VER-08.
    """
    evidence(monitoring=site.watchers, last_look=site.last_look)

    assert site.watchers or site.last_look, "no monitoring runs, and nobody checked the backups in the last seven days"
