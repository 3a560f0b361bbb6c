"""Backup targets: which guests are backed up at all."""

import pytest

from backup_standard.audit.everyone import AnyGuest, HiddenGuests, RequiredRole
from backup_standard.audit.guest import Guest
from backup_standard.audit.scheduled_job import ScheduledJob
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


@pytest.mark.rule(id="TGT-01", level="must", tag="standard")
def test_required_role_is_declared_and_exists(required_role: RequiredRole, evidence: Evidence) -> None:
    """Every role the standard requires is declared and exists.

    Rationale: what nobody declares, nobody misses when it is gone: neither its backups nor the guest itself.
    Remedy: In the inventory: guests: {{VMID: {{role: {required_role.role}}}}}
    or, where the client has none: not_deployed: {{{required_role.role}: reason}}
    """
    evidence(guests=required_role.guests, not_deployed=required_role.not_deployed)

    nobody = f"the inventory declares no guest as {required_role.role}, and no reason why there is none"
    assert required_role.vmids or required_role.not_deployed, nobody
    missing = ", ".join(required_role.missing)
    assert not missing, f"the inventory declares guest {missing} as {required_role.role}, and the site has none such"
    assert not required_role.wrong_kind, required_role.wrong_kind


@pytest.mark.rule(id="TGT-03", level="must", tag="standard")
def test_every_guest_is_classified_and_backed_up_or_exempt(
    any_guest: AnyGuest | HiddenGuests, evidence: Evidence
) -> None:
    """Every guest on the site is classified, and none lacks backup unless exempted with a reason and an expiry date.

    Rationale: "temporary" guests come to hold important data; only a decision with a date may leave one out.
    Remedy: In the inventory: guests: {{{any_guest.vmid}: {{role: client-data}}}}
    or: guests: {{{any_guest.vmid}: {{role: scratch, exempt: {{reason: WHY, until: YYYY-MM-DD}}}}}}
    """
    seen = any_guest.seen
    evidence(name=seen.name, node=seen.node, role=any_guest.role, backed_up_by=any_guest.job_names)
    evidence(exempt=any_guest.exemption)

    assert any_guest.section, (
        f"{any_guest} stands nowhere in the inventory: it counts as mandatory until it is classified"
    )
    assert not any_guest.lacks, any_guest.lacks


@pytest.mark.rule(id="TGT-04", level="must", tag="standard")
def test_every_data_volume_is_in_the_backups(guest: Guest, evidence: Evidence) -> None:
    """Every data volume of a mandatory guest is in its backups.

    Rationale: a disk that is left out is missing after the restore, and nothing says so until then.
    Remedy: {guest.volumes_remedy}
    """
    assert guest.jobs, guest.no_job
    volumes = guest.volumes
    evidence(included=[one.key for one in volumes.included], left_out_with_a_reason=volumes.declared)
    evidence(passed_through=volumes.passed_through)

    assert not volumes.missing, f"not in the backups of {guest}: {volumes.missing}"


@pytest.mark.rule(id="TGT-05", level="must", tag="standard")
def test_job_names_only_guests_that_exist(job: ScheduledJob, evidence: Evidence) -> None:
    """No job names a guest that does not exist.

    Rationale: a VMID without a guest makes every run end in "job errors", and real errors drown in it.
    Remedy: {job.remedy}
    """
    evidence(selects=job.selection, enabled=job.enabled)

    ghosts = ", ".join(map(str, job.ghosts))
    assert not ghosts, f"{job} names {ghosts}, and the site has no such guest"
