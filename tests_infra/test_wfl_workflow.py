"""Workflow: backups around changes. What changes inside a guest does not show here: drills compare that."""

import pytest

from backup_standard.audit.guest import Guest
from backup_standard.evidence.notes import Evidence


@pytest.mark.rule(id="WFL-01", level="should", tag="standard")
def test_a_way_back_before_the_last_change_exists(golden_template: Guest, evidence: Evidence) -> None:
    """A restore point older than the golden template's last change and newer than the change before it exists.

    Rationale: a change that turns out wrong is undone by restoring what was before it; templates take no snapshots.
    Remedy: vzdump {golden_template.vmid} --storage {golden_template.backup_storage} --compress zstd --protected 1
    Run it before each change of the template: what is gone now cannot be had again.
    """
    changes, way_back = golden_template.changes, golden_template.way_back
    evidence(last_change=golden_template.last_change, way_back=way_back)

    assert changes.unchanged or way_back, (
        f"no archive of {golden_template} shows it as it was before its last change ({golden_template.last_change})"
    )


@pytest.mark.rule(id="WFL-02", level="should", tag="standard")
def test_a_backup_since_the_last_change_exists(changing_guest: Guest, evidence: Evidence) -> None:
    """A backup newer than the last change of the golden template and of the Docker host exists.

    Rationale: a change that no backup holds has to be made again by hand after a restore.
    Remedy: vzdump {changing_guest.vmid} --storage {changing_guest.backup_storage} --compress zstd --mode snapshot
    """
    newest = changing_guest.newest_archive
    evidence(last_change=changing_guest.last_change, newest_archive=newest)

    assert changing_guest.backed_up_since_change, (
        f"no archive of {changing_guest} is newer than its last change ({changing_guest.last_change})"
    )


@pytest.mark.rule(id="WFL-03", level="should", tag="standard")
def test_docker_host_is_a_clone_of_the_golden_template(docker_host: Guest, evidence: Evidence) -> None:
    """The Docker host is a clone of the golden template.

    Rationale: a host built from the template is like every other client's, and can be rebuilt.
    """
    evidence(linked_clone_of=docker_host.prove_clone())
