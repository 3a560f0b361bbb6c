"""Compression: how archives are packed."""

import pytest

from backup_standard.audit.guest import Guest
from backup_standard.evidence.notes import Evidence


@pytest.mark.rule(id="CMP-01", level="must", tag="standard")
def test_job_compresses_with_zstd(guest: Guest, evidence: Evidence) -> None:
    """The policy job of every mandatory guest compresses with zstd.

    Rationale: zstd is fast, packs well, and its checksums show damage that
    would otherwise restore as if sound.
    Remedy: pvesh set /cluster/backup/{guest.first_job} --compress zstd
    """
    evidence(backed_up_by=guest.job_names, compression=guest.compressions)
    assert guest.jobs, guest.no_job

    assert guest.zstd_jobs, f"no job of {guest} compresses with zstd: {guest.say_compressions()}"


@pytest.mark.rule(id="CMP-02", level="must", tag="standard")
def test_newest_archive_is_packed_with_zstd(guest: Guest, evidence: Evidence) -> None:
    """The newest archive of every mandatory guest is zstd-compressed.

    Rationale: what a job says counts from its next run on; only the file shows how it was really packed.
    Remedy: vzdump {guest.vmid} --storage {guest.backup_storage} --compress zstd --mode snapshot
    """
    newest = guest.newest_archive
    evidence(newest_archive=newest)
    assert newest, f"{guest} has no archive on storage {guest.backup_storage}"
    named = newest.archive.compression
    assert named == "zstd", f"{newest} of {guest} is packed with {named}, by its name"

    evidence(first_bytes_say=guest.newest_file.compression)
    assert guest.newest_file.compression == "zstd", (
        f"{newest} of {guest} is named as zstd, and its first bytes say {guest.newest_file.compression}"
    )
