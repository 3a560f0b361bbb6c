"""The child process of a drill that is to be killed. It imports nothing of ours before pytest does."""

from __future__ import annotations

import os

import pytest


def run(folder: str, state: str, output: str, arguments: list[str]) -> None:
    """Run pytest in a folder, with its output in a file; ends the process with its exit status."""
    os.environ["XDG_STATE_HOME"] = state
    os.chdir(folder)
    file = os.open(output, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    for stream in (1, 2):
        os.dup2(file, stream)
    raise SystemExit(int(pytest.main(arguments)))
