"""A site in memory over HTTPS and SSH, and an inventory of it, for drills that really run."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from backup_standard.collect import collect
from backup_standard.drill import assembly
from backup_standard.drill.engine import Drill
from backup_standard.drill.plan import plan_drills
from backup_standard.drill.progress import Event
from backup_standard.inventory.loader import load
from backup_standard.inventory.schema import Inventory
from backup_standard.model import Facts
from tests import labsite

LAB_INVENTORY = Path(__file__).parents[1] / "inventories" / "lab.yaml"


@dataclass
class Ground:
    """A running site, its inventory and facts, and a client's folder for runs."""

    lab: labsite.LabSite
    inventory: Inventory
    facts: Facts
    reports: Path
    events: list[Event] = field(default_factory=list)
    drills: list[Drill] = field(default_factory=list)

    def drill(self, vmid: int, run: str = "run-1") -> Drill:
        """A drill of one guest, ready to go."""
        plan = plan_drills(self.inventory, self.facts).of(vmid)
        tools = assembly.tools(
            self.inventory, self.facts, node=plan.node, folder=self.reports / run, run=run, listener=self.listen
        )
        self.drills.append(Drill(plan, tools))
        return self.drills[-1]

    def listen(self, event: Event) -> None:
        """Keep what a drill says."""
        self.events.append(event)

    def changed(self, **changes: Any) -> Inventory:
        """The inventory with some keys of one guest's drill changed: ``changed(vmid=210, rto="1s")``."""
        data = self.inventory.model_dump(by_alias=True)
        vmid = changes.pop("vmid")
        data["guests"][vmid]["drill"].update(changes)
        return Inventory.model_validate(data)

    @property
    def left_behind(self) -> dict[str, Any]:
        """What a drill could leave: guests, volumes and devices beyond the lab's own."""
        network, own = self.lab.hypervisor.node.host.network, {100, 200, 210, 220, 230}
        return {
            "guests": sorted(set(self.lab.site.guests) - own),
            "volumes": sorted(v for v in self.lab.hypervisor.volumes() if not any(f"-{vmid}-" in v for vmid in own)),
            "namespaces": sorted(name for name in network.namespaces if name),
            "devices": sorted(name for name in network.links("") if name.startswith(("dg", "db"))),
        }

    @property
    def nothing_left(self) -> bool:
        """Whether the site is as it was."""
        return not any(self.left_behind.values())


@pytest.fixture(scope="session")
def facts(tmp_path_factory: pytest.TempPathFactory) -> Facts:
    """The lab's facts, read once: every site of these tests has the same content at the same (frozen) hour."""
    folder = tmp_path_factory.mktemp("facts")
    with pytest.MonkeyPatch.context() as patch, labsite.running(folder / "backup-standard-lab", now=NOON) as lab:
        patch.setenv("XDG_STATE_HOME", str(folder))
        return collect(load(write_inventory(folder / "lab.yaml", lab)).inventory, progress=lambda _text: None)


@pytest.fixture
def ground(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, facts: Facts) -> Iterator[Ground]:
    """The lab's site; every guest's drill gives up early, so that what hangs is seen at once."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    with labsite.running(tmp_path / "backup-standard-lab", now=NOON) as lab:
        made = Ground(lab, load(write_inventory(tmp_path / "lab.yaml", lab)).inventory, facts, tmp_path / "reports/lab")
        yield made
        for drill in made.drills:
            drill.tools.close()


def write_inventory(path: Path, lab: labsite.LabSite) -> Path:
    """The embedded lab's inventory, pointed at a site in memory."""
    text = LAB_INVENTORY.read_text(encoding="utf-8")
    text = text.replace("https://127.0.0.1:18006", lab.url).replace("127.0.0.1:12222", f"127.0.0.1:{lab.ssh.port}")
    path.write_text(
        text.replace("gateway: 10.0.0.1\n", "gateway: 10.0.0.1\n      boot_timeout: 10s\n"), encoding="utf-8"
    )
    return path


def noon() -> int:
    """Today's noon UTC: far from any nightly run."""
    now = dt.datetime.now(dt.UTC)
    return int(now.replace(hour=12, minute=0, second=0, microsecond=0).timestamp())


NOON = noon()
