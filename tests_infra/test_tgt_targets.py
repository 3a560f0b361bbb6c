"""Backup targets: which guests are backed up at all."""

import pytest

from backup_standard.audit.guest import Guest
from backup_standard.evidence.notes import Evidence


@pytest.mark.rule(id="TGT-02", level="must", tag="minimum")
def test_guest_is_included_by_an_enabled_job(guest: Guest, evidence: Evidence) -> None:
    """Every mandatory guest is included by at least one enabled job that runs on the node where it lives now.

    Rationale: a guest that no job backs up is lost with its node; a disabled job, or one pinned to a node that
    the guest has left, still looks like cover.
    Remedy: pvesh create /cluster/backup --id nightly-vm{guest.vmid} --vmid {guest.vmid} --schedule 02:00 \
--storage {guest.backup_storage} --mode snapshot --compress zstd --prune-backups keep-daily=14
    """
    assert guest.exists, f"the inventory demands backups of {guest}, and the site has no guest {guest.vmid}"

    evidence(node=guest.node, backed_up_by=guest.job_names, other_jobs=guest.coverage.reasons)

    assert guest.jobs, guest.no_job
