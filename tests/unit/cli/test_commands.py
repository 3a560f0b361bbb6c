"""The command line beside pytest: it teaches, and mistakes end in one message without a traceback."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from backup_standard import cli

INVENTORIES = Path(__file__).parents[3] / "inventories"


def test_check_says_that_an_inventory_is_sound_and_notes_secrets_that_are_not_here(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("ACME_AUDIT_TOKEN", raising=False)
    monkeypatch.setenv("ACME_DRILL_PASSWORD", "x")
    path = INVENTORIES / "example.yaml"

    assert cli.main(["inventory", "check", str(path)]) == 0

    said, noted = capsys.readouterr().out.split("\nnote: ")
    assert said == f"{path} is sound: client acme (real), 4 guests, 3 of them mandatory, drills for 100, 200, 210"
    assert noted.startswith(f"{path}:16: api.audit_token.secret: the environment variable ACME_AUDIT_TOKEN is not set")


def test_check_lists_what_is_wrong_on_stderr(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    path = tmp_path / "acme.yaml"
    path.write_text("client: acme\n")

    assert cli.main(["inventory", "check", str(path)]) == 1

    streams = capsys.readouterr()
    assert streams.out == ""
    assert streams.err.splitlines()[:4] == [
        f"{path}:1: site: this key is missing",
        f"{path}:1: api: this key is missing",
        f"{path}:1: policy: this key is missing",
        f"{path}:1: guests: this key is missing",
    ]
    assert "Traceback" not in streams.err


def test_schema_prints_the_schema(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["inventory", "schema"]) == 0
    assert json.loads(capsys.readouterr().out)["title"] == "Inventory of a client's site"


@pytest.mark.parametrize(
    ("argv", "taught"),
    [
        (["--help"], "pytest drills --inventory inventories/CLIENT.yaml"),
        (["inventory", "check", "--help"], "exit status: 0 the inventory is sound, 1 it is not"),
        (["inventory", "schema", "--help"], "backup-standard inventory schema > inventories/schema.json"),
    ],
)
def test_help_teaches(capsys: pytest.CaptureFixture[str], argv: Any, taught: Any) -> None:
    with pytest.raises(SystemExit) as ended:
        cli.main(argv)
    assert ended.value.code == 0
    assert taught in capsys.readouterr().out


def test_without_a_command_the_usage_is_shown(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        cli.main([])
    assert ended.value.code == 2
    assert "usage: backup-standard" in capsys.readouterr().err


def test_commands_that_give_secrets_are_not_run_by_a_check(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    mark = tmp_path / "ran"
    text = (INVENTORIES / "example.yaml").read_text().replace("cmd:pass show acme/drill-token", f"cmd:touch {mark}")
    path = tmp_path / "acme.yaml"
    path.write_text(text)

    assert cli.main(["inventory", "check", str(path)]) == 0
    assert not mark.exists()
    assert "drill_token" not in capsys.readouterr().out


def test_check_names_waivers_that_would_not_count(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    path = tmp_path / "acme.yaml"
    waiver = '{rule: VER-2, subject: "200", reason: r, approved_by: b, expires: 2020-01-01}'
    path.write_text((INVENTORIES / "example.yaml").read_text() + f"\nwaivers: [{waiver}]\n")

    assert cli.main(["inventory", "check", str(path)]) == 1

    said = capsys.readouterr().err
    assert "waivers[0].rule: there is no rule 'VER-2'; did you mean VER-02?" in said
    assert "waivers[0].expires: the waiver expired on 2020-01-01" in said


def test_the_command_runs_as_a_module() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "backup_standard.cli", "--help"], capture_output=True, text=True, check=True
    )
    assert "usage: backup-standard" in done.stdout
