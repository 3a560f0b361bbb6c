"""Drills with the documented token: whole, and with each privilege removed in turn."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import get_args

import pytest

from backup_standard.drill.engine import STEPS, TEARDOWN, Drill
from backup_standard.errors import ConnectionFailed, NotRun
from backup_standard.inventory.loader import load
from backup_standard.model import Facts
from backup_standard.standard.privileges import DRILL_ROLES, release_of
from lab.pve.releases import Version
from tests import labsite
from tests.drillground import NOON, Ground, write_inventory

WHOLE = "whole"


@contextmanager
def ground_on(version: Version, folder: Path, facts: Facts) -> Iterator[Ground]:
    """The site as that release answers; the facts of one release serve both."""
    with labsite.running(folder / "backup-standard-lab", now=NOON, version=version) as lab:
        inventory = load(write_inventory(folder / "lab.yaml", lab)).inventory
        ground = Ground(lab, inventory, facts, folder / "reports/lab")
        yield ground
        for drill in ground.drills:
            drill.tools.close()


@contextmanager
def without(ground: Ground, role: str, privilege: str) -> Iterator[None]:
    """The role for a while without one of its privileges."""
    roles = ground.lab.site.access.roles
    assert privilege in roles[role], f"the lab's {role} has no {privilege}: it is not as documented"
    held = roles[role]
    roles[role] = held - {privilege}
    try:
        yield
    finally:
        roles[role] = held


def drilled(ground: Ground, vmid: int, run: str) -> Drill:
    """A whole drill, every row asked for."""
    with ground.drill(vmid, run=run) as drill:
        for name in (*STEPS, TEARDOWN):
            try:
                drill.step(name)
            except (NotRun, ConnectionFailed, KeyError):
                continue
    return drill


def found(ground: Ground, drill: Drill, privilege: str) -> str:
    """What became of a drill, in one word or in what is wrong about it."""
    if not ground.nothing_left or drill.tools.claims.standing():
        return f"left {ground.left_behind}"
    failed = [step for step in drill.record.steps.values() if step.outcome in {"failed", "error"}]
    if not failed:
        return "passed"
    return "named" if f"{privilege} on /" in failed[0].message else f"not named: {failed[0]}"


def documented(version: Version) -> list[tuple[str, str]]:
    release = release_of(version)
    return [(role, need.name) for role, needs in DRILL_ROLES.items() for need in needs if need.known_in(release)]


def always_needed(version: Version) -> set[str]:
    """What no drill goes without, virtual machine or container; bridges ask for rights since 8."""
    found = {"VM.Allocate", "VM.PowerMgmt", "VM.Backup", "Datastore.AllocateSpace", "Sys.Audit"}
    return found | ({"SDN.Use"} if version != "7.4" else set())


@pytest.mark.parametrize("version", get_args(Version))
def test_the_lab_grants_exactly_what_is_documented(version: Version, tmp_path: Path) -> None:
    with labsite.running(tmp_path, now=NOON, version=version, guests=False) as lab:
        for role in DRILL_ROLES:
            wanted = {name for one, name in documented(version) if one == role}
            assert lab.site.access.roles.get(role, set()) == wanted, role


@pytest.mark.parametrize("version", get_args(Version))
def test_with_each_privilege_removed_a_drill_passes_or_names_it_and_nothing_is_left(
    version: Version, tmp_path: Path, facts: Facts, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    table: dict[str, str] = {}
    with ground_on(version, tmp_path, facts) as ground:
        table[WHOLE] = found(ground, drilled(ground, 210, WHOLE), WHOLE)
        for role, privilege in documented(version):
            with without(ground, role, privilege):
                table[f"{role} {privilege}"] = found(ground, drilled(ground, 210, f"{role}-{privilege}"), privilege)
    assert table.pop(WHOLE) == "passed"
    assert set(table.values()) == {"passed", "named"}, table
    needed = {case.rpartition(" ")[2] for case, outcome in table.items() if outcome == "named"}
    assert always_needed(version) <= needed


@pytest.mark.parametrize("version", get_args(Version))
def test_a_failed_restore_leaves_nothing_with_rights_on_the_pool_alone(
    version: Version, tmp_path: Path, facts: Facts, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    with ground_on(version, tmp_path, facts) as ground:
        node = ground.lab.hypervisor.node
        names = [file.name for file in node.listdir("/mnt/backup/dump")]
        newest = max(name for name in names if name.startswith("vzdump-qemu-210") and name.endswith(".zst"))
        path = f"/mnt/backup/dump/{newest}"
        node.files.write(path, node.read(path)[:-20])
        drill = drilled(ground, 210, "damaged")
        assert drill.record.steps["restore"].outcome == "failed"
        assert drill.record.steps[TEARDOWN].ok, drill.record.steps[TEARDOWN]
        assert ground.nothing_left, ground.left_behind
