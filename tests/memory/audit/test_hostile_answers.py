"""Answers in the right form with hostile values in them; a site that dies, and a node that hangs, while it is read."""

from __future__ import annotations

import itertools
import json
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import requests
from urllib3.exceptions import ProtocolError

from backup_standard.audit.site import Site
from backup_standard.collect import collect
from backup_standard.collect.node_side import read_node_sides
from backup_standard.hosts import ssh
from backup_standard.inventory.schema import Inventory
from backup_standard.model import Facts, Gap
from backup_standard.model.codec import facts_from_json, facts_to_json
from lab.hypervisor import CommandResult
from lab.scripted.shell import Context
from tests import judging, labsite, wire
from tests.memory.audit.test_bad_answers import DISPENSABLE, NEEDED_BY
from tests.wire import Answered, Asked

WORDS = [
    "<script>alert(1)</script>",
    "../../etc/passwd",
    "\x1b[2J\x00\r\n",
    "$(reboot); rm -rf /",
    "\u202egnp",
    "",
    "-1",
    "é" * 999,
]
NUMBERS = [-1, 10**400, 2**63, 0.5, None, True, "NaN", {"a": 1}]


def hostile(data: Any, words: Iterator[Any], numbers: Iterator[Any]) -> Any:
    """The same structure with other values in it."""
    if isinstance(data, dict):
        return {key: hostile(value, words, numbers) for key, value in data.items()}
    if isinstance(data, list):
        return [hostile(value, words, numbers) for value in data]
    return next(words if isinstance(data, str) else numbers)


@pytest.mark.parametrize("turn", [0, 3])
@pytest.mark.parametrize("route", [*NEEDED_BY, *DISPENSABLE])
def test_hostile_values_are_no_defect_anywhere(
    route: str, turn: int, line: wire.Line, inventory: Inventory, read: Callable[[], Facts]
) -> None:
    def bend(asked: Asked, told: Answered) -> Answered:
        if asked.route != route:
            return told
        words, numbers = itertools.cycle(WORDS[turn:] + WORDS[:turn]), itertools.cycle(NUMBERS[turn:] + NUMBERS[:turn])
        data = hostile(json.loads(told.body)["data"], words, numbers)
        return told._replace(body=json.dumps({"data": data}).encode())

    line.bend = bend
    facts = read()
    rows = judging.judge(Site(inventory, facts))
    assert not judging.defects(rows)
    assert all(asked.path.count("..") == 0 for asked in line.asked)
    assert facts_from_json(facts_to_json(facts)) == facts


@pytest.mark.parametrize("answers", [1, 12, 30])
def test_a_site_that_dies_while_it_is_read_costs_what_was_not_read_yet(
    answers: int, line: wire.Line, inventory: Inventory, read: Callable[[], Facts], before: judging.Rows
) -> None:
    left, lock = [answers], threading.Lock()

    def bend(_asked: Asked, told: Answered) -> Answered:
        with lock:
            left[0] -= 1
            if left[0] < 0:
                raise requests.ConnectionError(ProtocolError("Connection aborted.", ConnectionResetError(104, "reset")))
        return told

    line.bend = bend
    rows = judging.judge(Site(inventory, read()))
    changed = judging.changed(before, rows)
    assert {row.outcome for row in changed.values()} == {"error"}, {
        k: r for k, r in rows.items() if r.outcome == "unknown"
    }
    assert -left[0] < 50, "a dead site is not asked for everything that it will not answer"


def test_a_node_that_hangs_costs_what_only_it_can_show(
    lab: labsite.LabSite, inventory: Inventory, before: judging.Rows, monkeypatch: pytest.MonkeyPatch
) -> None:
    released = threading.Event()

    def hang(_context: Context, _arguments: list[str]) -> CommandResult:
        released.wait()
        return CommandResult(0, "", "")

    monkeypatch.setattr(ssh, "COMMAND_TIMEOUT", 0.2)
    monkeypatch.setitem(lab.hypervisor.node.host.programs, "lsblk", hang)
    try:
        facts = collect(inventory)
    finally:
        released.set()
    assert isinstance(facts.systems["pve1"], Gap)
    assert "no sign of life" in facts.systems["pve1"].reason
    rows = judging.judge(Site(inventory, facts))
    changed = {rule: row.outcome for (rule, _), row in judging.changed(before, rows).items()}
    assert set(changed.values()) == {"error"}, {k: r for k, r in rows.items() if r.outcome == "unknown"}
    assert {"STO-02", "STO-05", "SCH-03", "VER-03"} <= changed.keys()
    assert not {"TGT-02", "RET-01", "VER-02", "SCH-01"} & changed.keys()


@pytest.mark.parametrize("output", ["", "[]", '{"blockdevices": [{"name": {}}]}', "<html>\x00"])
@pytest.mark.parametrize(
    "program", ["lsblk", "findmnt", "find", "systemctl", "timedatectl", "journalctl", "cat", "head"]
)
def test_what_a_node_prints_may_be_anything(
    program: str, output: str, lab: labsite.LabSite, sound: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(
        lab.hypervisor.node.host.programs, program, lambda _context, _words: CommandResult(0, output, "")
    )
    facts = read_node_sides(sound.inventory, sound.facts, lambda _phrase: None)  # what the API shows is as before
    rows = judging.judge(Site(sound.inventory, facts))
    assert not judging.defects(rows)
