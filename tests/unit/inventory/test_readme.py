"""The inventories' README names every key there is."""

from __future__ import annotations

from pathlib import Path

import pytest

from backup_standard.inventory.checks import CommandCheck, DataCheck, DnsCheck, HttpCheck, ServiceCheck, SqlCheck
from backup_standard.inventory.drills import DrillOfGuest, DrillSection
from backup_standard.inventory.groups import EndToEndCheck, GroupSection
from backup_standard.inventory.schema import GuestSection, Inventory, NodeSection

README = (Path(__file__).parents[3] / "inventories/README.md").read_text()
CHECKS = (ServiceCheck, HttpCheck, DnsCheck, SqlCheck, CommandCheck, DataCheck)
SECTIONS = (Inventory, NodeSection, GuestSection, DrillSection, DrillOfGuest, *CHECKS, GroupSection, EndToEndCheck)


@pytest.mark.parametrize(
    "key", sorted({field.alias or name for model in SECTIONS for name, field in model.model_fields.items()})
)
def test_every_key_is_explained(key: str) -> None:
    words = README.replace(":", " ").replace("{", " ").replace("}", " ").replace("`", " ").replace(",", " ").split()
    assert key in words
