"""What readings of archives from end to end are tested on: the lab's site in memory at noon."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from backup_standard.audit import next_runs
from backup_standard.audit.site import Site
from backup_standard.collect import collect, deep, reading
from backup_standard.hosts import Recorder
from backup_standard.inventory.loader import load
from backup_standard.inventory.schema import Inventory
from backup_standard.model import Facts
from tests import labinventory, labsite
from tests.drillground import NOON


class Ground:
    """The lab's site at noon, its inventory and facts, and the newest archive of each guest."""

    def __init__(self, lab: labsite.LabSite, inventory: Inventory, facts: Facts) -> None:
        self.lab, self.inventory, self.facts = lab, inventory, facts
        guests = Site(inventory, facts).guests
        self.newest = {one.vmid: one.newest_archive.archive for one in guests if one.newest_archive}
        self.said: list[str] = []

    def path(self, vmid: int) -> str:
        return f"/mnt/backup/dump/{self.newest[vmid].filename}"

    def read(self, *vmids: int, recorder: Recorder | None = None, **limits: float) -> dict[int, Any]:
        """What came of reading these guests' newest archives."""
        facts, archives = self.facts, [self.newest[vmid] for vmid in vmids]
        wish = deep.Wish(archives, next_runs.of(facts), reading.Limits(**limits))
        found = deep.read_archives(self.inventory, facts, wish, self.said.append, recorder)
        return {vmid: found[f"pve1/{self.newest[vmid].volid}"] for vmid in vmids}


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ground]:
    folder = tmp_path_factory.mktemp("deep")
    with labsite.running(folder / "lab", now=NOON, guests=False) as lab:
        inventory = load(labinventory.write(lab, folder / "lab.yaml")).inventory
        yield Ground(lab, inventory, collect(inventory))


@pytest.fixture
def ground(made: Ground) -> Iterator[Ground]:
    """The same for one test: archives are as they were afterwards, words are forgotten."""
    node, before = made.lab.hypervisor.node, {}
    for vmid in made.newest:
        before[vmid] = node.read(made.path(vmid))
    facts, pressure = made.facts, node.pressure
    made.said.clear()
    yield made
    made.facts, node.pressure = facts, pressure
    node.host.extra.clear()
    for vmid, data in before.items():
        node.write(made.path(vmid), data)
