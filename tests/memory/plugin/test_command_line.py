"""Which tests a command line means, and what it says when it cannot mean any."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.memory.plugin.conftest import LEAN, ROOT, Project

pytest_plugins = ["pytester"]


@pytest.mark.parametrize(
    ("folder", "command"), [("tests_infra", "pytest --inventory"), ("drills", "pytest drills --inventory")]
)
def test_rules_without_a_site_say_how_to_get_one(project: Project, folder: str, command: str) -> None:
    project.with_rules("@rule()\ndef test_x(guest):\n    '''T.'''\n", folder)
    result = project.pytester.runpytest(*LEAN, folder)
    assert result.ret == 4
    result.stderr.fnmatch_lines([f"ERROR: {folder} needs a site to look at: {command} inventories/NAME.yaml (copy *"])
    result.stderr.no_fnmatch_line("*Traceback*")


def test_rules_among_other_tests_need_a_site_too(project: Project) -> None:
    project.with_rules("@rule()\ndef test_x(guest):\n    '''T.'''\n", "elsewhere")
    result = project.pytester.runpytest(*LEAN)
    assert result.ret == 4
    result.stderr.fnmatch_lines(["ERROR: tests_infra needs a site to look at*"])


def test_ordinary_tests_need_no_site_and_leave_no_trace(project: Project) -> None:
    project.pytester.makepyfile(
        "import pytest\n@pytest.fixture\ndef guest():\n    return 1\ndef test_x(guest):\n    assert guest\n"
    )
    result = project.pytester.runpytest(*LEAN, "--html=own.html", "--self-contained-html")
    assert result.ret == 0
    result.stdout.no_fnmatch_line("*backup standard*")
    assert "test_x" in (project.path / "own.html").read_text()
    assert project.folders == []


def test_the_fixture_site_needs_an_inventory(project: Project) -> None:
    project.pytester.makepyfile("def test_x(site):\n    pass\n")
    result = project.pytester.runpytest(*LEAN)
    assert result.ret == 1
    result.stdout.fnmatch_lines(["*the fixture site needs --inventory FILE*"])


def test_a_faulty_inventory_ends_in_its_own_message(project: Project) -> None:
    (project.path / "inventories" / "acme.yaml").write_text("client: acme\nguests: {200: {rol: dns}}\n")
    result = project.with_our_rules().run()
    assert result.ret == 4
    result.stderr.fnmatch_lines(
        [
            "ERROR: inventories/acme.yaml:1: *",
            "inventories/acme.yaml:2: guests.200.rol: unknown key; did you mean role?",
        ]
    )
    assert project.folders == []


def test_our_options_stand_in_one_group(project: Project) -> None:
    result = project.pytester.runpytest(*LEAN, "--help")
    result.stdout.fnmatch_lines(["audit a Proxmox VE site's backups*", "*--inventory=FILE*", "*--run-dir=DIR*"])


def test_our_marker_is_known(project: Project) -> None:
    project.pytester.runpytest(*LEAN, "--markers").stdout.fnmatch_lines(["@pytest.mark.rule(id, level, tag): *"])


def test_inventory_elsewhere_with_a_space_says_how_to_write_it(tmp_path: Path) -> None:
    inventory = tmp_path / "acme.yaml"
    inventory.touch()
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "--inventory", str(inventory)],
        cwd=ROOT,
        check=False,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 4
    assert f"write --inventory={inventory} (with an equals sign)" in done.stderr
