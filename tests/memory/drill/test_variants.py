"""Drills of guests that are not as usual: templates, none to log in to, none to look at, a terminal that is closed."""

from __future__ import annotations

from pathlib import Path

import pytest

from backup_standard.collect import collect
from backup_standard.drill.engine import TEARDOWN
from backup_standard.errors import ApiError
from backup_standard.model import Gap
from tests.drillground import Ground
from tests.memory.drill.faults import EVERY_STEP, on_phase, outcomes

pytestmark = pytest.mark.usefixtures("impatient")


def test_a_template_that_stays_one_is_cloned_and_the_clone_boots(
    ground: Ground, monkeypatch: pytest.MonkeyPatch
) -> None:
    with ground.drill(100) as drill:
        write = drill.tools.api.write

        def without(method: str, path: str, params: dict[str, object] | None = None) -> object:
            kept = {key: value for key, value in (params or {}).items() if key != "template"}
            return write(method, path, kept)

        monkeypatch.setattr(drill.tools.api, "write", without)
        found = outcomes(drill)
        assert drill.course.vmid == 9000
    assert found == dict.fromkeys(EVERY_STEP, "ok"), drill.record.steps
    assert drill.record.steps["restore"].observed["cloned_from"] == 101
    assert ground.nothing_left, ground.left_behind


def test_where_a_restore_refuses_template_0_the_same_restore_goes_without_it(ground: Ground) -> None:
    with ground.drill(100) as drill:
        write, asked = drill.tools.api.write, []

        def refusing(method: str, path: str, params: dict[str, object] | None = None) -> object:
            if "template" in (params or {}):
                asked.append(path)
                raise ApiError("Parameter verification failed.", status=400, parameters={"template": "no override"})
            return write(method, path, params)

        drill.tools.api.write = refusing  # type: ignore[method-assign, assignment]
        assert drill.step("restore").observed["cloned_from"] == 101
        assert asked == ["/nodes/pve1/qemu"]
    assert ground.nothing_left, ground.left_behind


def test_a_guest_that_cannot_be_made_harmless_is_refused_before_anything_is_made(ground: Ground) -> None:
    with ground.drill(210) as drill:
        real = drill.tools.api.get

        def with_passthrough(path: str, /, **params: object) -> object:
            answer = real(path, **params)
            return f"{answer}hostpci0: 0000:01:00.0\n" if path.endswith("extractconfig") else answer

        drill.tools.api.get = with_passthrough  # type: ignore[method-assign]
        restore = drill.step("restore")
    assert "cannot be made harmless: hostpci0" in restore.message
    assert not drill.tools.claims.path.exists()
    assert ground.nothing_left


def test_a_guest_without_declared_login_or_services_fails_those_rows(ground: Ground) -> None:
    ground.inventory = ground.changed(vmid=210, login=None)
    with ground.drill(210) as drill:
        assert "guests.210.drill.login" in drill.step("login").message
    ground.inventory = ground.changed(
        vmid=210, services=[], login={"user": "drill", "key": str(ground.lab.folder / "id_ed25519")}
    )
    with ground.drill(210, run="run-2") as drill:
        assert drill.step("network").ok, "the host key is read through the agent"
        assert "declares no services" in drill.step("services").message
    ground.inventory = ground.changed(vmid=210, services="none", services_reason="a plain file store")
    with ground.drill(210, run="run-3") as drill:
        assert drill.step("services").observed["services"] == "none, because a plain file store"
    assert ground.nothing_left, ground.left_behind


def test_a_closed_terminal_does_not_stop_a_drill(ground: Ground) -> None:
    def broken() -> None:
        raise BrokenPipeError

    on_phase(ground, "restore", broken)
    with ground.drill(210) as drill:
        assert drill.step("restore").ok
    assert ground.nothing_left


def test_without_ssh_to_the_node_the_record_says_what_was_not_proven(ground: Ground) -> None:
    data = ground.inventory.model_dump(by_alias=True)
    data["nodes"] = {}
    ground.inventory = type(ground.inventory).model_validate(data)
    with ground.drill(210) as drill:
        found = outcomes(drill)
    assert found == {"restore": "ok", "boot": "ok", "login": "failed", "network": "not run", "services": "not run",
                     "data": "not run", TEARDOWN: "ok"}  # fmt: skip
    assert "without a drill gateway" in drill.record.steps["login"].message
    assert any("no SSH to the node" in text for text in drill.record.not_proven)
    assert not drill.record.isolation["checked_on_node"]


def test_screens_are_in_the_artefacts(ground: Ground) -> None:
    with ground.drill(210) as drill:
        drill.step("boot")
    assert drill.record.screenshot == "artefacts/screen-210.png"
    assert (Path(drill.tools.folder) / "artefacts" / "screen-210.png").stat().st_size > 100


def test_an_archive_on_a_storage_of_another_type_is_drilled_all_the_same(ground: Ground) -> None:
    """Whether the policy wants that type is STO-01's business."""
    ground.lab.site.storages["backup-hdd"] |= {"type": "nfs", "server": "nas.example", "export": "/backup"}
    ground.facts = collect(ground.inventory)
    assert not isinstance(ground.facts.storages, Gap)
    assert ground.facts.storages["backup-hdd"].type == "nfs"
    with ground.drill(210) as drill:
        found = outcomes(drill)
    assert found == dict.fromkeys(EVERY_STEP, "ok"), drill.record.steps
    assert ground.nothing_left, ground.left_behind
