"""Every answer that the audit asks for, spoiled in every way: an error with its cause where it is needed, no more.

Each route that a reading of the lab's site asks for is spoiled alone, at the level of HTTP, and every rule judges what
was read. A row may then turn into an error; it may not pass, fail or be advised in another way than before.
"""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest
import requests

from backup_standard.audit.site import Site
from backup_standard.inventory.schema import Inventory
from backup_standard.model import Facts
from tests import judging, wire
from tests.memory.audit.grafting import without_reasons
from tests.wire import Answered


def of_another_type(told: Answered) -> Answered:
    data = json.loads(told.body).get("data")
    return told._replace(body=json.dumps({"data": {} if isinstance(data, list) else []}).encode())


def drop(_told: Answered) -> Answered:
    raise wire.reset()


def keep_silent(_told: Answered) -> Answered:
    raise requests.ReadTimeout("Read timed out. (read timeout=45)")


FAULTS: dict[str, Callable[[Answered], Answered]] = {
    "truncated": lambda told: told._replace(body=told.body[: len(told.body) // 2]),
    "empty": lambda told: told._replace(body=b""),
    "null": lambda told: told._replace(body=b'{"data":null}'),
    "wrong type": of_another_type,
    "text": lambda told: told._replace(body=b'{"data":"all is well"}'),
    "rows of nothing": lambda told: told._replace(body=b'{"data":[{}]}'),
    "HTML": lambda told: told._replace(body=b"<!DOCTYPE html><script>alert(1)</script>"),
    "deep": lambda told: told._replace(body=b'{"data":' + b"[" * 9000 + b"]" * 9000 + b"}"),
    "500": lambda _told: Answered(500, "got timeout", b'{"data":null}'),
    "401": lambda _told: Answered(401, "permission denied - invalid token", b""),
    "502": lambda _told: Answered(502, "Bad Gateway", b"<html>nginx</html>"),
    "596": lambda _told: Answered(596, "Connection timed out", b""),
    "reset": drop,
    "silence": keep_silent,
}
NEEDED_BY: dict[str, set[str]] = {
    "GET /access/permissions": {"TGT-03", "VER-01"},
    "GET /cluster/backup": {"TGT-02", "TGT-05", "STO-06", "SCH-01", "RET-01", "VER-01"},
    "GET /cluster/backup/{id}/included_volumes": {"TGT-02", "TGT-04", "SCH-01", "RET-01"},
    "GET /cluster/notifications/matchers": {"VER-07"},
    "GET /cluster/notifications/targets": {"VER-07"},
    "GET /cluster/resources": {"TGT-01", "TGT-02", "TGT-03", "VER-02", "RET-01"},
    "GET /nodes/{node}/lxc/{vmid}/config": {"TGT-04"},
    "GET /nodes/{node}/qemu/{vmid}/config": {"TGT-04"},
    "GET /nodes/{node}/status": {"SCH-07"},
    "GET /nodes/{node}/time": {"SCH-07"},
    "GET /nodes/{node}/storage": {"STO-01", "STO-08"},
    "GET /nodes/{node}/storage/{storage}/prunebackups": {"VER-02", "VER-03"},
    "GET /nodes/{node}/tasks": {"VER-01", "VER-04"},
    "GET /nodes/{node}/tasks/{upid}/log": {"SCH-08", "VER-01"},
    "GET /storage": {"STO-01", "STO-02", "STO-03", "VER-02"},
}
"""The routes whose failure turns rules into errors, with some rules that must be among them."""
DISPENSABLE: dict[str, str] = {
    "GET /cluster/jobs/schedule-analyze": "the schedule's own grammar gives the same runs",
    "GET /nodes": "the inventory names the node, and the node answers for itself",
    "GET /nodes/{node}/storage/{storage}/content": "the node shows the files' sizes over SSH",
    "GET /nodes/{node}/vzdump/defaults": "the lab's jobs leave nothing to defaults that a rule of level must needs",
    "GET /version": "no rule needs the release",
}
"""The routes that another source makes up for, or that the lab's own site does not depend on."""


def test_the_table_names_every_route_that_is_asked(line: wire.Line, read: Callable[[], Facts]) -> None:
    read()
    assert {asked.route for asked in line.asked} == NEEDED_BY.keys() | DISPENSABLE.keys()


@pytest.mark.parametrize("route", [*NEEDED_BY, *DISPENSABLE])
def test_a_spoiled_answer_is_an_error_of_the_rules_that_need_it(
    route: str, line: wire.Line, inventory: Inventory, read: Callable[[], Facts], before: judging.Rows
) -> None:
    judged: dict[str, judging.Rows] = {}
    for name, fault in FAULTS.items():
        line.bend = lambda asked, told, fault=fault: fault(told) if asked.route == route else told  # type: ignore[misc]
        facts = read()
        likeness = without_reasons(facts)
        if likeness not in judged:
            judged[likeness] = judging.judge(Site(inventory, facts))
        rows = judged[likeness]

        assert not judging.defects(rows), name
        changed = judging.changed(before, rows)
        assert {row.outcome for row in changed.values()} <= {"error"}, (name, changed)
        assert {rule for rule, _ in changed} >= NEEDED_BY.get(route, set()), name
