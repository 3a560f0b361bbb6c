"""RST: a restored archive boots by itself, lets its account in, is on its network, serves, and is deleted again.

Each row looks at one step of a guest's drill; the step runs when its row asks for it. After a failure the later rows
of that guest read *not run*, except the last: what was made is deleted whatever happened before.
"""

from __future__ import annotations

import pytest

from backup_standard.drill.engine import Drill
from backup_standard.evidence.notes import Evidence


@pytest.mark.restore_point("newest")
@pytest.mark.rule(id="RST-01", level="must", tag="minimum")
def test_newest_archive_restores_into_a_temporary_vmid(drill: Drill, evidence: Evidence) -> None:
    """The newest archive restores into a temporary VMID, isolated from production.

    Rationale: a backup that has never been restored is not trusted; the newest one is what an emergency would use.
    Remedy: pvesh get /nodes/{drill.plan.node}/tasks --vmid {drill.plan.temporary_vmid}
    """
    restore = drill.step("restore")
    evidence(**restore.observed)

    assert restore.ok, restore.message


@pytest.mark.restore_point("other")
@pytest.mark.rule(id="RST-08", level="should", tag="added")
def test_another_restore_point_than_the_newest_restores_as_well(drill: Drill, evidence: Evidence) -> None:
    """An older archive, chosen by the operator, restores into a temporary VMID: an extra drill, no substitute.

    Rationale: what was damaged unnoticed is needed from before the damage; that the newest archive restores is RST-01.
    Remedy: pvesm list {drill.plan.archive.storage} --vmid {drill.plan.vmid}
    """
    restore = drill.step("restore")
    evidence(restore_point=drill.plan.point, **restore.observed)

    assert restore.ok, restore.message


@pytest.mark.rule(id="RST-02", level="must", tag="standard")
def test_restored_guest_boots_from_its_own_disk(drill: Drill, evidence: Evidence) -> None:
    """The restored guest boots by itself from its own disk.

    Rationale: an archive whose copy does not start is a file, not a backup.
    Remedy: pvesh get /nodes/{drill.plan.node}/{drill.plan.kind}/{drill.plan.vmid}/config
    """
    boot = drill.step("boot")
    evidence(**boot.observed)

    assert boot.ok, boot.message


@pytest.mark.rule(id="RST-03", level="must", tag="standard")
def test_named_account_logs_in_and_a_wrong_credential_is_refused(drill: Drill, evidence: Evidence) -> None:
    """A named account logs in to the restored guest and runs a command; a wrong credential is refused.

    Rationale: in an emergency somebody must get in, and nobody else.
    Remedy: check guests.{drill.plan.vmid}.drill.login in the inventory against the accounts in guest {drill.plan.vmid}
    """
    login = drill.step("login")
    evidence(**login.observed)

    assert login.ok, login.message


@pytest.mark.rule(id="RST-04", level="must", tag="standard")
def test_network_is_as_at_home_and_production_is_out_of_reach(drill: Drill, evidence: Evidence) -> None:
    """The restored guest has its addresses, exchanges traffic with its gateway, and cannot reach production.

    Rationale: a guest without its network serves nobody, and a copy that reaches production can harm it.
    Remedy: check guests.{drill.plan.vmid}.drill.address and gateway in the inventory against the guest's own settings
    """
    network = drill.step("network")
    evidence(**network.observed)

    assert network.ok, network.message


@pytest.mark.rule(id="RST-05", level="must", tag="standard")
def test_declared_services_start_within_the_rto(drill: Drill, evidence: Evidence) -> None:
    """The declared services of the restored guest start correctly, within its RTO where one is declared.

    Rationale: what the client needs back is the service, not the machine.
    Remedy: look at the named service in guest {drill.plan.vmid}; take a new backup once it starts after a reboot
    """
    services = drill.step("services")
    evidence(**services.observed)

    assert services.ok, services.message


@pytest.mark.whole_group
@pytest.mark.rule(id="RST-05", level="must", tag="standard")
def test_application_group_works_from_end_to_end(drill: Drill, evidence: Evidence) -> None:
    """The guests of an application group, restored beside each other on one isolated network, work together.

    Rationale: each guest may serve by itself, and the application still not, for what one expects of the other.
    Remedy: look at the named check; log in to guest {drill.plan.vmid} and try the other guest from there
    """
    group = drill.step("group")
    evidence(**group.observed)

    assert group.ok, group.message


@pytest.mark.declared("data")
@pytest.mark.rule(id="RST-06", level="must", tag="added")
def test_data_is_what_was_backed_up_and_no_older_than_the_rpo(drill: Drill, evidence: Evidence) -> None:
    """The restored data is what was backed up, and its last heartbeat before the backup is no older than the RPO.

    Rationale: a guest that boots and serves may still have come back without the client's data, or with last month's.
    Remedy: look at the named file in guest {drill.plan.vmid}; check that its disk is in the backup (TGT-04)
    """
    data = drill.step("data")
    evidence(**data.observed)

    assert data.ok, data.message


@pytest.mark.rule(id="RST-07", level="must", tag="standard")
def test_temporary_guest_is_deleted_and_production_is_as_before(drill: Drill, evidence: Evidence) -> None:
    """The temporary guest is deleted after validation, and production is exactly as before.

    Rationale: a forgotten copy takes space, may start beside the original, and blocks the next drill.
    Remedy: backup-standard reap --inventory FILE --dry-run
    """
    teardown = drill.step("teardown")
    evidence(**teardown.observed)

    assert teardown.ok, teardown.message
