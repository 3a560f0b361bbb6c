"""Secrets by reference: read where they are, never shown."""

from __future__ import annotations

import copy
import pickle
import subprocess
from pathlib import Path
from typing import Any, Never

import pytest

from backup_standard.errors import SecretError
from backup_standard.inventory.secrets import Secret, expand, resolve

WHERE = "acme.yaml:5: api.audit_token.secret"


def failure(reference: Any) -> Any:
    with pytest.raises(SecretError) as caught:
        resolve(reference, where=WHERE)
    text = str(caught.value)
    assert text.startswith(f"{WHERE}: ")
    return text.removeprefix(f"{WHERE}: ")


def test_a_secret_comes_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ACME", "s3cret")
    assert resolve("env:ACME", where=WHERE).reveal() == "s3cret"


def test_a_secret_comes_from_a_file_without_its_line_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PLACE", str(tmp_path))
    (tmp_path / "token").write_text("s3cret\n")
    assert resolve("file:$PLACE/token", where=WHERE).reveal() == "s3cret"


def test_a_secret_comes_from_a_command_without_a_shell(tmp_path: Path) -> None:
    assert resolve("cmd:printf '%s' 's3cret; echo x'", where=WHERE).reveal() == "s3cret; echo x"


def test_a_secret_never_shows_itself() -> None:
    secret = Secret("s3cret")

    assert "s3cret" not in f"{secret} {secret!r} {[secret]}"
    with pytest.raises(TypeError, match="not stored"):
        pickle.dumps(secret)
    with pytest.raises(TypeError, match="not stored"):
        copy.copy(secret)


def test_an_unset_variable_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("ACME", raising=False)
    assert failure("env:ACME") == ("the environment variable ACME is not set\n  Next: export ACME=… in this shell")


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    assert failure(f"file:{tmp_path}/none") == (
        f"there is no file {tmp_path}/none\n  Next: create it with the secret alone in it, mode 0600"
    )


def test_a_missing_file_of_the_lab_says_to_bring_it_up(tmp_path: Path) -> None:
    assert failure(f"file:{tmp_path}/backup-standard-lab/audit-token").endswith(
        "Next: bring the lab up: python -m lab up"
    )


def test_what_is_no_text_or_no_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "binary").write_bytes(b"\xff\xfe")
    assert failure(f"file:{tmp_path}/binary") == f"the file {tmp_path}/binary is not text"
    assert failure(f"file:{tmp_path}") == f"the file {tmp_path} cannot be read: Is a directory"


def test_an_empty_secret_is_no_secret(tmp_path: Path) -> None:
    (tmp_path / "empty").write_text("\n")
    assert failure(f"file:{tmp_path}/empty").startswith(f"the secret of file:{tmp_path}/empty is empty")


@pytest.mark.parametrize("reference", ["hunter2", "env:", "vault:x"])
def test_what_is_no_reference_is_refused_without_repeating_it(reference: Any) -> None:
    text = failure(reference)
    assert text == "this is not a reference to a secret\n  Next: write env:NAME, file:PATH or cmd:COMMAND"


def test_failing_commands_are_named_by_their_program_only(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert failure("cmd:false --token x").startswith("false ended with status 1")
    assert failure("cmd:no-such-program-here") == "there is no program no-such-program-here"
    assert failure("cmd:'open").startswith("the command cannot be split into words")
    assert failure(f"cmd:{tmp_path}").startswith(f"{tmp_path} cannot be run")

    def slow(*_args: Any, **_kwargs: Any) -> Never:
        raise subprocess.TimeoutExpired("pass", 60)

    monkeypatch.setattr(subprocess, "run", slow)
    assert failure("cmd:pass show x") == "pass gave no answer within 60 s"


def test_paths_expand_home_variables_and_xdg_folders_with_their_standard_values(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("HOME", "/home/op")
    monkeypatch.delenv("XDG_STATE_HOME", raising=False)
    assert expand("$XDG_STATE_HOME/lab/x") == Path("/home/op/.local/state/lab/x")
    monkeypatch.setenv("XDG_STATE_HOME", "/state")
    assert expand("${XDG_STATE_HOME}/lab/x") == Path("/state/lab/x")
    assert expand("~/x") == Path("/home/op/x")
