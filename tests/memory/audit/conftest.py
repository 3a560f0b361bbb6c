"""The lab's own site, read once as it is; then over a line that bends its answers."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from backup_standard.audit.site import Site
from backup_standard.collect import collect
from backup_standard.collect.reader import Reader
from backup_standard.collect.site import read_site
from backup_standard.inventory.loader import load
from backup_standard.inventory.schema import Inventory
from backup_standard.model import Facts
from backup_standard.pve import Pve
from tests import judging, labinventory, labsite, wire
from tests.memory.audit.grafting import at_the_same_moment, with_the_nodes_side


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[labsite.LabSite]:
    with labsite.running(tmp_path_factory.mktemp("lab"), guests=False) as running:
        yield running


@pytest.fixture(scope="module")
def inventory(lab: labsite.LabSite) -> Inventory:
    return load(labinventory.write(lab, lab.folder / "lab.yaml")).inventory


@pytest.fixture(scope="module")
def sound(inventory: Inventory) -> Site:
    return Site(inventory, collect(inventory))


@pytest.fixture(scope="module")
def before(sound: Site) -> judging.Rows:
    return judging.judge(sound)


@pytest.fixture
def line(lab: labsite.LabSite, monkeypatch: pytest.MonkeyPatch) -> wire.Line:
    return wire.to(monkeypatch, lab.site)


@pytest.fixture
def read(inventory: Inventory, sound: Site) -> Callable[[], Facts]:
    """Reads the site over the bent line, with the node's side and the moment of the sound reading."""

    def read() -> Facts:
        with Pve(inventory.api, inventory.api.audit_token) as pve, Reader(pve) as reader:
            shown = with_the_nodes_side(read_site(reader, inventory, lambda _phrase: None), sound.facts)
        return at_the_same_moment(shown, sound.facts)

    return read
