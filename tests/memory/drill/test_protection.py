"""An archive that is protected while it is restored, where that is wanted: claimed first, always taken back."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from backup_standard.cli.tokens import drill_token
from backup_standard.drill import names, protection, reap
from backup_standard.drill.choices import Choices
from backup_standard.drill.claims import Claims, standing_under
from backup_standard.drill.engine import STEPS, TEARDOWN, Drill
from backup_standard.drill.guard import Ground as Granted
from backup_standard.drill.guard import Guard
from backup_standard.errors import ConnectionFailed, NotRun, Refused
from tests.drillground import Ground
from tests.memory.drill.conftest import run
from tests.memory.drill.test_reap import die_at, kill_in_call

pytest_plugins = ["pytester"]
FOLDER = "/mnt/backup/dump"


@pytest.fixture
def protecting(ground: Ground) -> Ground:
    """A site whose inventory wants archives protected."""
    file = ground.reports.parents[1] / "lab.yaml"
    text = file.read_text(encoding="utf-8")
    file.write_text(text.replace("\ndrill: {", "\ndrill: {protect_archive: true, "), encoding="utf-8")
    data = ground.inventory.model_dump(by_alias=True)
    data["drill"]["protect_archive"] = True
    ground.inventory = type(ground.inventory).model_validate(data)
    return ground


def protected(ground: Ground) -> list[str]:
    """The archives that the site protects now."""
    found = ground.lab.hypervisor.node.listdir(FOLDER)
    return sorted(file.name.removesuffix(".protected") for file in found if file.name.endswith(".protected"))


def whole(drill: Drill) -> None:
    for name in (*STEPS, TEARDOWN):
        drill.step(name)


@pytest.mark.parametrize("vmid", [100, 210, 230])
def test_the_archive_is_protected_from_the_claim_to_the_end(protecting: Ground, vmid: int) -> None:
    with protecting.drill(vmid) as drill:
        restored = drill.step("restore")
        assert restored.ok, restored.message
        assert drill.plan.archive
        assert protected(protecting) == [drill.plan.archive.filename]
        assert restored.observed["archive_protected"] == protection.MEANWHILE
        assert drill.step(TEARDOWN).ok, drill.record.steps[TEARDOWN]
    assert protected(protecting) == []
    assert protecting.nothing_left


def test_without_the_key_nothing_is_written_to_an_archive(ground: Ground) -> None:
    with ground.drill(210) as drill:
        assert "archive_protected" not in drill.step("restore").observed
        assert protected(ground) == []
        assert drill.tools.claims.standing()[0].protects == ""


def test_an_archive_that_was_protected_before_stays_so(protecting: Ground) -> None:
    with protecting.drill(210) as drill:
        protecting.lab.data("PUT", protection.path_of("pve1", drill.plan.volid), "root", protected=1)
        assert drill.step("restore").observed["archive_protected"] == protection.BEFORE
        assert drill.tools.claims.standing()[0].protects == ""
        assert drill.step(TEARDOWN).ok
    assert len(protected(protecting)) == 1


def kill_at_claim(ground: Ground, drill: Drill) -> None:
    """After the claim names the archive, before anything is written."""
    kill_in_call("PUT", f"content/{drill.plan.volid.replace(':', '%3A').replace('/', '%2F')}", before=True)(
        ground, drill
    )


def kill_when_protected(ground: Ground, drill: Drill) -> None:
    kill_in_call("PUT", f"content/{drill.plan.volid.replace(':', '%3A').replace('/', '%2F')}", before=False)(
        ground, drill
    )


def kill_at_second(ground: Ground, drill: Drill, *, before: bool) -> None:
    """At the write that takes the protection back."""
    write = drill.tools.api.write

    def counting(how: str, path: str, params: dict[str, object] | None = None) -> object:
        if how == "PUT" and (params or {}).get("protected") == 0:
            drill.tools.api.write = write  # type: ignore[method-assign]
            kill_in_call("PUT", path, before=before)(ground, drill)
            return drill.tools.api.write(how, path, params)
        return write(how, path, params)

    drill.tools.api.write = counting  # type: ignore[method-assign]


MOMENTS: dict[str, Callable[[Ground, Drill], None]] = {
    "claimed, not yet protected": kill_at_claim,
    "protected, and nothing more": kill_when_protected,
    "before the restore call": kill_in_call("POST", "/qemu", before=True, carrying="archive"),
    "after power-on": kill_in_call("POST", "/status/start", before=False),
    "after the destroy call": kill_in_call("DELETE", "/211", before=False),
    "before it is taken back": lambda ground, drill: kill_at_second(ground, drill, before=True),
    "taken back, not yet noted": lambda ground, drill: kill_at_second(ground, drill, before=False),
}


@pytest.mark.usefixtures("dead_owner")
@pytest.mark.parametrize("moment", MOMENTS)
def test_after_a_kill_a_sweep_takes_the_protection_back(protecting: Ground, moment: str) -> None:
    die_at(protecting, 210, MOMENTS, moment)
    said: list[str] = []
    done = reap.sweep(protecting.inventory, protecting.reports, do_it=True, say=said.append)
    assert done.left == (), said
    assert protected(protecting) == []
    assert protecting.nothing_left, protecting.left_behind
    assert standing_under(protecting.reports) == ()


@pytest.mark.usefixtures("dead_owner")
def test_a_dry_run_names_it_and_touches_nothing(protecting: Ground) -> None:
    die_at(protecting, 210, MOMENTS, "protected, and nothing more")
    said: list[str] = []
    assert reap.sweep(protecting.inventory, protecting.reports, do_it=False, say=said.append).left
    assert "vma.zst is still protected" in said[0]
    assert len(protected(protecting)) == 1


def test_a_protection_that_cannot_be_taken_back_fails_the_teardown_and_stays_claimed(protecting: Ground) -> None:
    with protecting.drill(210) as drill:
        assert drill.step("restore").ok
        write = drill.tools.api.write

        def failing(how: str, path: str, params: dict[str, object] | None = None) -> object:
            if "protected" in (params or {}):
                raise ConnectionFailed("the connection broke")
            return write(how, path, params)

        drill.tools.api.write = failing  # type: ignore[method-assign]
        torn = drill.step(TEARDOWN)
        assert "vma.zst is still protected; the connection broke" in torn.message
        assert drill.tools.claims.standing()[0].protects == drill.plan.volid
        drill.tools.api.write = write  # type: ignore[method-assign]
    reap.sweep(protecting.inventory, protecting.reports, do_it=True, say=lambda _text: None, own_run="run-1")
    assert protected(protecting) == []


def test_a_site_with_as_many_protected_archives_as_it_allows_refuses_the_drill_by_name(protecting: Ground) -> None:
    protecting.lab.site.storages["backup-hdd"] = dict(protecting.lab.site.storages["backup-hdd"]) | {
        "max-protected-backups": 0
    }
    with protecting.drill(210) as drill:
        refused = drill.step("restore")
        assert "could not be protected: The number of protected backups per guest is limited to 0" in refused.message
        assert "max-protected-backups" in refused.message
        assert drill.step(TEARDOWN).ok
    assert protecting.nothing_left


def test_a_missing_privilege_is_named_before_anything_is_made(protecting: Ground) -> None:
    roles = protecting.lab.site.access.roles
    roles["RestoreTarget"] = roles["RestoreTarget"] - {"Datastore.AllocateSpace"}
    with protecting.drill(210) as drill:
        assert "Datastore.AllocateSpace on /storage/backup-hdd" in drill.step("restore").message
        with pytest.raises(NotRun):
            drill.step(TEARDOWN)
    assert protected(protecting) == []


def test_a_copy_that_is_kept_needs_its_archive_no_longer(protecting: Ground) -> None:
    with protecting.drill(210) as drill:
        object.__setattr__(drill.tools, "choices", Choices(keep_failed=True))
        protecting.lab.hypervisor.faults.refused_passwords.add(211)
        protecting.lab.hypervisor.faults.dead_agents.add(211)
        protecting.lab.hypervisor.faults.boot_seconds[211] = 1e9
        drill.step("boot")
        assert not drill.step(TEARDOWN).ok
    assert 211 in protecting.lab.site.guests
    assert protected(protecting) == []
    (claim,) = drill.tools.claims.standing()
    assert (claim.kept, claim.protects) == (True, "")


class Site:
    """Answers with one configuration for every guest."""

    def get(self, _path: str, /, **_params: Any) -> Any:
        return {}


VOLID = "backup-hdd:backup/vzdump-qemu-200-2026_11_23-02_00_00.vma.zst"
CONTENT = protection.path_of("pve1", VOLID)


def test_the_guard_lets_only_the_claimed_archive_through(tmp_path: Path) -> None:
    claims = Claims(tmp_path / "runs/run-1", "run-1")
    claims.claim(201, source=200, node="pve1")
    guard = Guard(Granted(names.Reserved({200: 201}), "vmbr9", "vmdata"), claims, Site())
    with pytest.raises(Refused, match="is not the one that this run protects"):
        guard.permit("PUT", CONTENT, {"protected": 1})
    claims.protect(201, VOLID)
    guard.permit("PUT", CONTENT, {"protected": 1})
    guard.permit("PUT", CONTENT, {"protected": 0})
    for path, params, saying in (
        (CONTENT, {"protected": 1, "notes": "x"}, "may not set notes"),
        (CONTENT, {"protected": 2}, "is neither"),
        (CONTENT, {}, "is neither"),
        (CONTENT.replace("02_00_00", "02_00_01"), {"protected": 1}, "is not the one"),
        (CONTENT.replace("/storage/backup-hdd", "/storage/other"), {"protected": 1}, "is not the one"),
        (CONTENT.replace("/nodes/pve1", "/nodes/pve2"), {"protected": 1}, "is not the one"),
        (f"{CONTENT}%2F..%2Fx", {"protected": 1}, "is not the one"),
    ):
        with pytest.raises(Refused, match=saying):
            guard.permit("PUT", path, params)
    with pytest.raises(Refused, match="not among the calls"):
        guard.permit("DELETE", CONTENT, {})
    claims.unprotect(201)
    with pytest.raises(Refused, match="is not the one"):
        guard.permit("PUT", CONTENT, {"protected": 0})


def test_the_plan_says_what_would_be_protected(protecting: Ground, project: pytest.Pytester) -> None:
    result = run(protecting, project, "--plan", "-k", "210")
    result.stdout.fnmatch_lines([f"*protects  the archive: {protection.MEANWHILE}"])
    assert protected(protecting) == []


def test_the_row_says_it_and_the_facts_of_the_run_know_nothing_of_it(
    protecting: Ground, project: pytest.Pytester
) -> None:
    run(protecting, project, "-k", "210")
    (folder,) = protecting.reports.glob("*-drill")
    verdicts = [json.loads(line) for line in (folder / "verdicts.jsonl").read_text(encoding="utf-8").splitlines()]
    (restored,) = (one for one in verdicts if one["rule"] == "RST-01")
    assert restored["outcome"] == "pass", restored
    assert protection.MEANWHILE in json.dumps(restored)
    assert not re.search(r'"protected": ?true', (folder / "facts.json").read_text(encoding="utf-8"))
    assert protected(protecting) == []


def test_the_tokens_commands_say_that_nothing_more_is_needed_and_only_with_the_key(protecting: Ground) -> None:
    assert "drill.protect_archive needs nothing more" in drill_token((9, 2), protecting.inventory)
    assert "protect_archive" not in drill_token((9, 2))
