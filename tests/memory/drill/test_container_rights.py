"""Drills of a container with the documented token: whole, and with each privilege removed in turn."""

from __future__ import annotations

from pathlib import Path
from typing import get_args

import pytest

from backup_standard.model import Facts
from lab.pve.releases import Version
from tests.memory.drill.test_container_drill import PLAIN, archive
from tests.memory.drill.test_rights import WHOLE, always_needed, documented, drilled, found, ground_on, without


@pytest.mark.parametrize("version", get_args(Version))
@pytest.mark.parametrize(("more", "disks"), [("", False), ("mp0: /data,mp=/data\n", True)], ids=["plain", "bind mount"])
def test_with_each_privilege_removed_a_container_passes_or_names_it_and_nothing_is_left(
    more: str, version: Version, tmp_path: Path, facts: Facts, monkeypatch: pytest.MonkeyPatch, *, disks: bool
) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    table: dict[str, str] = {}
    with ground_on(version, tmp_path, facts) as ground:
        archive(ground, f"{PLAIN}{more}")
        table[WHOLE] = found(ground, drilled(ground, 230, WHOLE), WHOLE)
        for role, privilege in documented(version):
            with without(ground, role, privilege):
                table[f"{role} {privilege}"] = found(ground, drilled(ground, 230, f"{role}-{privilege}"), privilege)
    assert table.pop(WHOLE) == "passed"
    assert set(table.values()) == {"passed", "named"}, table
    needed = {case.rpartition(" ")[2] for case, outcome in table.items() if outcome == "named"}
    assert always_needed(version) <= needed
    assert ("VM.Config.Disk" in needed) is disks
    assert not {"VM.GuestAgent.Unrestricted", "VM.Monitor", "VM.Clone"} & needed
