"""What a drill proves of an archive: in the run itself, in later audits, and when the run is judged again."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from backup_standard.evidence.folder import RunFolder
from tests.drillground import Ground

pytest_plugins = ["pytester"]

PROJECT = Path(__file__).parents[3]
NO_CACHE = ("-p", "no:cacheprovider")


@pytest.fixture
def project(pytester: pytest.Pytester) -> pytest.Pytester:
    """A folder with the drills, the rules of verification, and the plugin."""
    shutil.copytree(PROJECT / "drills", pytester.path / "drills", ignore=shutil.ignore_patterns("__pycache__"))
    (pytester.path / "tests_infra").mkdir()
    shutil.copy(PROJECT / "tests_infra" / "test_ver_verification.py", pytester.path / "tests_infra")
    pytester.makeconftest('pytest_plugins = ["backup_standard.plugin"]')
    pytester.makepyprojecttoml("[tool.pytest]\nstrict_markers = true\naddopts = ['--import-mode=importlib']\n")
    return pytester


def run(ground: Ground, project: pytest.Pytester, *arguments: str) -> pytest.RunResult:
    file, reports = ground.reports.parents[1] / "lab.yaml", ground.reports.parent
    return project.runpytest_inprocess(f"--inventory={file}", f"--run-dir={reports}", *NO_CACHE, *arguments)


def proofs(folder: Path) -> dict[str, tuple[str, Any]]:
    """VER-05 of each guest in a run: outcome, and what showed it."""
    lines = [json.loads(line) for line in (folder / "verdicts.jsonl").read_text().splitlines()]
    return {
        row["subject"].split()[1]: (row["outcome"], row["observed"].get("shown_by"))
        for row in lines
        if row["rule"] == "VER-05"
    }


def last(ground: Ground) -> Path:
    return max(ground.reports.iterdir(), key=lambda path: path.stat().st_mtime_ns)


def test_a_drill_proves_its_archive_now_later_and_again(ground: Ground, project: pytest.Pytester) -> None:
    assert run(ground, project).ret == 12
    unproven = proofs(last(ground))
    assert set(unproven.values()) == {("unknown", None)}

    done = run(ground, project, "tests_infra", "drills", "--deep")
    drilled = last(ground)
    assert done.ret == 0, done.outlines
    assert proofs(drilled) == dict.fromkeys(unproven, ("pass", "drill in this run"))
    assert "READER" not in (drilled / "commands.jsonl").read_text(), "what is drilled need not be read as well"

    again = run(ground, project)
    assert again.ret == 0, again.outlines
    assert proofs(last(ground)) == dict.fromkeys(unproven, ("pass", f"drill {drilled.name}"))

    replayed = project.runpytest_inprocess(
        "tests_infra", "drills", f"--replay={drilled}", f"--run-dir={ground.reports.parent}", *NO_CACHE
    )
    assert replayed.ret == 0, replayed.outlines
    assert proofs(last(ground)) == proofs(drilled)

    unnamed = project.runpytest_inprocess(f"--replay={drilled}", f"--run-dir={ground.reports.parent}", *NO_CACHE)
    assert unnamed.ret == 0, unnamed.outlines
    assert proofs(last(ground)) == proofs(drilled), "what was judged is judged again, whether or not it is named"
    assert len(RunFolder(last(ground)).verdicts()) == len(RunFolder(drilled).verdicts())


def test_a_part_of_the_drills_proves_its_archive_in_that_run_alone(ground: Ground, project: pytest.Pytester) -> None:
    run(ground, project, "tests_infra", "drills", "-k", "210")
    assert proofs(last(ground)) == {"210": ("pass", "drill in this run")}
    run(ground, project, "-k", "210")
    assert proofs(last(ground)) == {"210": ("unknown", None)}


def test_a_failed_drill_proves_nothing(ground: Ground, project: pytest.Pytester) -> None:
    upid = ground.lab.data("POST", "/nodes/pve1/qemu", "root", vmid=211, name="somebody-elses", memory=64)
    ground.lab.site.tasks.wait(upid)
    run(ground, project, "tests_infra", "drills", "-k", "210")
    assert proofs(last(ground)) == {"210": ("unknown", None)}


def test_one_guest_may_be_read_alone_and_judged_again_without_a_site(ground: Ground, project: pytest.Pytester) -> None:
    done = run(ground, project, "--deep-guest=210", "--deep-bandwidth=5")
    assert done.ret == 12
    read = last(ground)
    found = proofs(read)
    assert found["210"][0] == "pass"
    assert "read on node pve1" in found["210"][1]
    assert {outcome for guest, (outcome, _) in found.items() if guest != "210"} == {"unknown"}
    done.stdout.fnmatch_lines(["reading vzdump-qemu-210-*: 0 B of * (0 %)", "vzdump-qemu-210-*: intact; * read in *"])
    assert (read / "commands.jsonl").read_text().count("READER vma zstd 5242880 ") == 1

    project.runpytest_inprocess(f"--replay={read}", f"--run-dir={ground.reports.parent}", *NO_CACHE)
    assert proofs(last(ground)) == found


@pytest.mark.parametrize(
    ("option", "message"),
    [
        ("--deep-guest=999", "--deep-guest: 999: no mandatory guest"),
        ("--deep-guest=x", "--deep-guest"),
        ("--deep-bandwidth=0", "--deep-bandwidth"),
        ("--deep-bandwidth=nan", "--deep-bandwidth"),
    ],
)
def test_options_that_mean_nothing_are_refused(
    ground: Ground, project: pytest.Pytester, option: str, message: str
) -> None:
    done = run(ground, project, option)
    assert done.ret == pytest.ExitCode.USAGE_ERROR
    assert message in done.stderr.str()
    assert not ground.reports.exists() or not list(ground.reports.iterdir())


def test_drills_alone_read_nothing_from_end_to_end(ground: Ground, project: pytest.Pytester) -> None:
    done = run(ground, project, "drills", "--deep", "-k", "nothing_of_this_name")
    assert "reading vzdump" not in done.stdout.str()


def test_a_drill_of_another_archive_leaves_the_newest_to_be_read(ground: Ground, project: pytest.Pytester) -> None:
    run(ground, project, "tests_infra", "drills", "--deep-guest=210", "--restore-point=oldest", "-k", "210")
    found = proofs(last(ground))["210"]
    assert found[0] == "pass"
    assert "read on node pve1" in found[1]


def test_a_plan_reads_nothing_from_end_to_end(ground: Ground, project: pytest.Pytester) -> None:
    done = run(ground, project, "tests_infra", "drills", "--deep", "--plan", "-k", "210")
    assert "reading vzdump" not in done.stdout.str()
