"""Drills and an account on the node that may only read."""

from __future__ import annotations

import pytest

from backup_standard.drill.assembly import node_shell
from backup_standard.errors import OperatorError
from backup_standard.inventory.loader import load
from backup_standard.inventory.schema import Inventory
from tests.drillground import LAB_INVENTORY


def inventory(ssh: str, *, gateway: bool = True) -> Inventory:
    data = load(LAB_INVENTORY).inventory.model_dump(by_alias=True)
    data["nodes"]["pve1"]["ssh"] = ssh
    data["drill"]["gateway"] = gateway
    return Inventory.model_validate(data)


def test_a_gateway_needs_root() -> None:
    with pytest.raises(OperatorError, match=r"gateway on node pve1 needs root, and backup-audit@h may only read there"):
        node_shell(inventory("backup-audit@h"), "pve1")


def test_without_a_gateway_no_account_is_needed() -> None:
    assert node_shell(inventory("backup-audit@h", gateway=False), "pve1") == (None, None)
