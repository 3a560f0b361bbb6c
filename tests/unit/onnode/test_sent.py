"""The reader as a node gets it: one text, for the Python of old nodes, without rights."""

from __future__ import annotations

import ast
import contextlib
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from backup_standard.collect import reading
from backup_standard.waiting import until
from tests import archivemaking as make

FOLDER = Path(__file__).parents[3] / "backup_standard" / "onnode"
ARGUMENTS = ("vma", "zstd", "1e9", "60", "/nowhere", "40", "60")
ONE_ARGUMENT = 128 << 10
"""Bytes that Linux takes in one argument (MAX_ARG_STRLEN)."""


def imported(tree: ast.AST) -> set[str]:
    names = {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
    return names | {str(node.module) for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}


@pytest.mark.parametrize("path", sorted(FOLDER.glob("*.py")), ids=lambda path: path.stem)
def test_python_of_old_nodes_understands_it(path: Path) -> None:
    tree = ast.parse(path.read_text(encoding="utf-8"), feature_version=(3, 9))
    others = {name for name in imported(tree) if not name.startswith(reading.READER)}
    assert {name.split(".")[0] for name in others} <= sys.stdlib_module_names


def test_all_of_it_is_sent_and_fits_into_an_argument() -> None:
    assert {path.stem for path in FOLDER.glob("*.py")} == {module[1:] or "__init__" for module in reading._MODULES}
    assert len(reading.reader().encode()) < ONE_ARGUMENT // 2


def limits(pid: int) -> dict[str, str]:
    """What the kernel says of a process: user, and the largest file it may write."""
    status = Path(f"/proc/{pid}/status").read_text(encoding="utf-8").splitlines()
    lines = Path(f"/proc/{pid}/limits").read_text(encoding="utf-8").splitlines()
    user = next(line.split()[1] for line in status if line.startswith("Uid:"))
    return {"user": user, "file": next(line.split()[3] for line in lines if line.startswith("Max file size"))}


def test_it_gives_up_its_rights_before_it_reads() -> None:
    started = subprocess.Popen(
        [sys.executable, "-I", "-c", reading.reader(), *ARGUMENTS], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    user = "65534" if os.geteuid() == 0 else str(os.geteuid())
    try:
        until(lambda: limits(started.pid) == {"user": user, "file": "0"}, timeout=60, what="the reader without rights")
        out, _ = started.communicate(make.packed(make.vma()), timeout=60)
    finally:
        started.kill()
        started.wait()
    last = json.loads(out.splitlines()[-1])["result"]
    assert last["intact"]
    assert last["pressure_watched"] is False


def test_a_far_end_that_is_gone_ends_it() -> None:
    started = subprocess.Popen(
        [sys.executable, "-I", "-c", reading.reader(), *ARGUMENTS], bufsize=0,
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    assert started.stdin
    assert started.stdout
    started.stdout.close()
    try:
        with contextlib.suppress(BrokenPipeError):  # it may have ended before all was taken
            started.stdin.write(make.packed(make.vma()))
        assert started.wait(60) != 0
    finally:
        started.kill()
        started.stdin.close()
