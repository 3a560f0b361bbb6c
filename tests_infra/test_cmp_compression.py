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
