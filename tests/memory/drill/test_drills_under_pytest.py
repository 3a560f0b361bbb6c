"""``pytest drills --inventory FILE`` as an operator runs it, against the site in memory."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.drillground import Ground
from tests.memory.drill.conftest import run

pytest_plugins = ["pytester"]


def runs(ground: Ground) -> list[Path]:
    return sorted(path for path in ground.reports.iterdir() if path.is_dir())


def verdicts(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / "verdicts.jsonl").read_text().splitlines()]


def test_every_guest_is_drilled_in_order(ground: Ground, project: pytest.Pytester) -> None:
    done = run(ground, project)
    assert done.ret == 0, done.outlines
    (folder,) = runs(ground)
    rules = [row["rule"] for row in verdicts(folder) if row["subject"] == "VM 210 (dns)"]
    assert rules == ["RST-01", "RST-02", "RST-03", "RST-04", "RST-05", "RST-05", "RST-06", "RST-07"]
    text = done.stdout.str()
    assert "drill  guest 210 (dns) → 211 on pve1 from vzdump-qemu-210-" in text
    assert "drill  guest 230 (files) → 231 on pve1 from vzdump-lxc-230-" in text
    assert "not yet covered" not in text
    assert "drill 210→211" in text
    container = {row["rule"] for row in verdicts(folder) if row["subject"] == "CT 230 (files)"}
    assert container == set(rules)
    assert len((folder / "drills.jsonl").read_text().splitlines()) == 5
    assert ground.nothing_left, ground.left_behind


def test_a_failed_restore_is_a_failed_row_and_the_rest_reads_not_run(ground: Ground, project: pytest.Pytester) -> None:
    upid = ground.lab.data("POST", "/nodes/pve1/qemu", "root", vmid=211, name="somebody-elses", memory=64, pool="drill")
    ground.lab.site.tasks.wait(upid)
    done = run(ground, project, "-k", "210")
    assert done.ret == 1
    (folder,) = runs(ground)
    found = {(row["rule"], row["outcome"]) for row in verdicts(folder)}
    assert found == {("RST-01", "fail")} | {(f"RST-0{number}", "not run") for number in (2, 3, 4, 5, 6, 7)}
    assert "VMID 211 is taken by 'somebody-elses' on pve1" in done.stdout.str()
    assert "Traceback" not in done.stdout.str()


def test_without_an_inventory_one_sentence_says_how_to_get_one(project: pytest.Pytester) -> None:
    done = project.runpytest_inprocess("drills", "-p", "no:cacheprovider")
    assert done.ret == pytest.ExitCode.USAGE_ERROR
    assert "inventories/lab.yaml" in done.stderr.str()


def test_listing_touches_nothing(ground: Ground, project: pytest.Pytester) -> None:
    done = run(ground, project, "--collect-only", "-q")
    assert "test_newest_archive_restores_into_a_temporary_vmid[210]" in done.stdout.str()
    assert not ground.lab.data("GET", "/nodes/pve1/tasks", "root", typefilter="qmrestore", source="all")


def test_an_inventory_without_a_drill_token_ends_with_one_message(ground: Ground, project: pytest.Pytester) -> None:
    file = ground.reports.parents[1] / "lab.yaml"
    kept = [line for line in file.read_text().splitlines() if "drill_token" not in line]
    file.write_text("\n".join(kept))
    done = run(ground, project)
    assert done.ret == pytest.ExitCode.USAGE_ERROR
    assert "drill_token" in done.stderr.str()
    assert "Traceback" not in done.stderr.str()


def test_a_site_where_nothing_can_be_drilled_has_one_red_row(ground: Ground, project: pytest.Pytester) -> None:
    file = ground.reports.parents[1] / "lab.yaml"
    text = file.read_text()
    file.write_text(text[: text.index("  100:\n")] + "  230: {role: client-data, name: files}\n")
    done = run(ground, project, "-k", "RST or restores")
    assert "no guest of this site can be drilled" in done.stdout.str()
    assert done.ret != 0


def test_drills_are_replayed_from_their_records_without_the_site(ground: Ground, project: pytest.Pytester) -> None:
    upid = ground.lab.data("POST", "/nodes/pve1/qemu", "root", vmid=201, name="somebody-elses", memory=64, pool="drill")
    ground.lab.site.tasks.wait(upid)
    run(ground, project, "-k", "200 or 210")
    (drilled,) = runs(ground)
    requests = len(ground.lab.site.tasks.all())

    again = project.runpytest_inprocess(
        f"--replay={drilled}", f"--run-dir={ground.reports.parent}", "-p", "no:cacheprovider"
    )

    (replayed,) = (folder for folder in runs(ground) if folder != drilled)
    assert again.ret == 1

    def told(folder: Path) -> list[tuple[Any, ...]]:
        return [
            (row["item"], row["outcome"], row["message"], row["observed"], row["remedy"]) for row in verdicts(folder)
        ]

    assert {outcome for _, outcome, *_ in told(drilled)} == {"pass", "fail", "not run"}
    assert told(replayed) == told(drilled)
    assert not (replayed / "claims.jsonl").exists()
    assert (replayed / "artefacts" / "screen-210.png").exists()
    page = (replayed / "report.html").read_text()
    assert "Restore drill" in page
    assert "<b>REPLAY</b>" in page
    assert len(ground.lab.site.tasks.all()) == requests
