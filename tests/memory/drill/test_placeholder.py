"""The empty guest that is restored over: only our own, only while it is empty, and it keeps the pool's rights."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from backup_standard.drill import names, placeholder
from backup_standard.drill.claims import Claims
from backup_standard.drill.guard import Ground as Granted
from backup_standard.drill.guard import Guard
from backup_standard.errors import Refused
from tests.drillground import Ground

RUN = "2026-11-24_100000"
MADE = "UPID:pve1:00000001:00000001:66000000:qmcreate:201:drill@pve!suite:"
RESTORED = MADE.replace("qmcreate", "qmrestore")
MARKS = {"tags": names.TAG, "description": names.description(RUN, 200, "backup:x")}
EMPTY = {
    **MARKS, "name": "drill-200", "onboot": 0, "boot": " ", "smbios1": "uuid=x", "vmgenid": "x", "meta": "x",
    "digest": "x",
}  # fmt: skip
OVER = {**MARKS, "vmid": 201, "archive": "backup:x", "storage": "vmdata", "pool": "drill", "force": 1}
WHERE = "/nodes/pve1/qemu"


class Site:
    """Answers with one configuration for every guest."""

    def __init__(self, config: dict[str, Any]) -> None:
        self.config = config

    def get(self, _path: str, **_params: Any) -> Any:
        return self.config


@pytest.fixture
def claims(tmp_path: Path) -> Claims:
    made = Claims(tmp_path / "runs" / RUN, RUN)
    made.claim(201, source=200, node="pve1")
    return made


def guard(claims: Claims, config: dict[str, Any]) -> Guard:
    return Guard(Granted(names.Reserved({200: 201}), "vmbr9", "vmdata", "drill"), claims, Site(config))


def test_the_empty_guest_of_this_claim_may_be_restored_over(claims: Claims) -> None:
    claims.add_task(201, MADE)
    guard(claims, EMPTY).permit("POST", WHERE, OVER)


@pytest.mark.parametrize("key", ["scsi0", "net0", "unused0", "hostpci0", "usb0", "efidisk0", "ide2", "parent", "lock"])
def test_nothing_but_an_empty_guest_is_restored_over(claims: Claims, key: str) -> None:
    claims.add_task(201, MADE)
    with pytest.raises(Refused, match=rf"not empty \({key}\)"):
        guard(claims, EMPTY | {key: "x"}).permit("POST", WHERE, OVER)


@pytest.mark.parametrize("lost", ["tags", "description"])
def test_a_guest_without_our_marks_is_not_restored_over(claims: Claims, lost: str) -> None:
    claims.add_task(201, MADE)
    with pytest.raises(Refused, match="is not a drill's"):
        guard(claims, {key: value for key, value in EMPTY.items() if key != lost}).permit("POST", WHERE, OVER)


@pytest.mark.parametrize("tasks", [(), (RESTORED,), (MADE, RESTORED), (MADE, MADE)])
def test_only_right_after_it_was_made(claims: Claims, tasks: tuple[str, ...]) -> None:
    for upid in tasks:
        claims.add_task(201, upid)
    with pytest.raises(Refused, match="right after this run made it empty"):
        guard(claims, EMPTY).permit("POST", WHERE, OVER)


@pytest.mark.parametrize("extra", ["scsi0", "start", "net0", "force", "memory"])
def test_it_is_made_with_its_marks_and_nothing_else(claims: Claims, extra: str) -> None:
    call = {**MARKS, "vmid": 201, "pool": "drill", "name": "drill-200", "onboot": "0"}
    guard(claims, {}).permit("POST", WHERE, call)
    with pytest.raises(Refused):
        guard(claims, {}).permit("POST", WHERE, {**call, extra: "1"})


def test_it_is_never_made_twice_nor_outside_the_pool(claims: Claims) -> None:
    call = {**MARKS, "vmid": 201, "pool": "drill"}
    with pytest.raises(Refused, match="uses pool drill"):
        guard(claims, {}).permit("POST", WHERE, {**call, "pool": "production"})
    claims.add_task(201, MADE)
    with pytest.raises(Refused, match="never repeated"):
        guard(claims, {}).permit("POST", WHERE, call)


def test_a_restored_copy_is_in_the_pool_from_the_first_moment(ground: Ground) -> None:
    seen: list[str | None] = []
    with ground.drill(210) as drill:
        write = drill.tools.api.write

        def looking(method: str, path: str, params: dict[str, Any] | None = None) -> Any:
            if "archive" in (params or {}):
                seen.append(ground.lab.site.guest(211).pool)
            return write(method, path, params)

        drill.tools.api.write = looking  # type: ignore[method-assign, assignment]
        assert drill.step("restore").ok
    assert seen == ["drill"]
    assert ground.nothing_left


def test_without_a_pool_nothing_is_made_first(ground: Ground) -> None:
    data = ground.inventory.model_dump(by_alias=True)
    data["drill"]["pool"] = None
    ground.inventory = type(ground.inventory).model_validate(data)
    assert not placeholder.is_wanted(ground.drill(210).plan)
