"""Client data: what is declared can be written where it lies, and its databases answer.

That the data itself came back is RST-06. Where nothing is declared of a guest, its row is not applicable and says what
to declare.
"""

from __future__ import annotations

from typing import Any

import pytest

from backup_standard.drill import client_data, mounts
from backup_standard.drill.engine import Drill
from backup_standard.evidence.notes import Evidence

pytestmark = [pytest.mark.role("client-data"), pytest.mark.rule(id="RST-05", level="must", tag="standard")]


def test_client_data_can_be_written_where_it_lies(drill: Drill, restored_guest: Any, evidence: Evidence) -> None:
    """The file systems that hold the client's declared data are mounted for writing in the restored copy.

    Rationale: after an error the kernel mounts a file system read-only, and the guest still looks alive.
    Remedy: qm guest exec {drill.plan.vmid} -- cat /proc/self/mountinfo
    """
    found = {path: mounts.look(restored_guest, path) for path in client_data.paths(drill.plan)}
    evidence(client_data={path: str(mount) for path, mount in found.items()})

    read_only = [path for path, mount in found.items() if mount.read_only]
    assert not read_only, f"read-only in the restored copy: {', '.join(read_only)}"


def test_databases_of_the_client_answer(drill: Drill, evidence: Evidence) -> None:
    """Every declared database of the restored copy answers its query as declared.

    Rationale: a database that was cut off in the middle of a write may start, and then refuse every query.
    Remedy: look at the named database in guest {drill.plan.vmid}; back up with its agent, so that it is frozen first
    """
    answers = client_data.databases(drill)
    evidence(databases=answers)

    wrong = [f"{name}: {answer}" for name, answer in answers.items() if answer != "ok"]
    assert not wrong, "; ".join(wrong)
