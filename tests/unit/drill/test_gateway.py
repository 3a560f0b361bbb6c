"""A drill's gateway: the address it takes, and a node that will not make it."""

from __future__ import annotations

from pathlib import Path

import pytest

from backup_standard.drill.claims import Claim, Owner
from backup_standard.drill.gateway import Gateway
from backup_standard.drill.guard import Ground as Granted
from backup_standard.drill.guard import Guard
from backup_standard.drill.names import Reserved
from backup_standard.drill.ports import Ran
from backup_standard.errors import Refused
from tests.unit.drill.test_checks import Api, Node


def claim(tmp_path: Path, *upids: str) -> Claim:
    return Claim("run-1", 201, 200, "pve1", 0.0, Owner.this_process(), upids, tmp_path)


def guard(tmp_path: Path) -> Guard:
    return Guard(Granted(Reserved({200: 201}), "vmbr9", "vmdata"), None, Api(), adopted=[claim(tmp_path)])


def test_a_gateway_takes_the_declared_or_the_first_address(tmp_path: Path) -> None:
    node, allowed = Node(), guard(tmp_path)
    assert Gateway.of(201, "10.0.0.20/24", "10.0.0.254", node, allowed).address == "10.0.0.254/24"
    assert Gateway.of(201, "10.0.0.20/24", None, node, allowed).address == "10.0.0.1/24"
    with pytest.raises(Refused, match=r"both have the address 10.0.0.1"):
        Gateway.of(201, "10.0.0.1/24", None, node, allowed)


def test_a_gateway_that_cannot_be_made_says_which_command_failed(tmp_path: Path) -> None:
    node = Node(other=Ran(2, "", "RTNETLINK answers: File exists"))
    with pytest.raises(Refused, match="ip link add name db201 type bridge failed on the node: RTNETLINK"):
        Gateway.of(201, "10.0.0.20/24", None, node, guard(tmp_path)).up()
