"""The dump folder as a node's file system shows it."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from backup_standard.collect.dumps import read_dump
from backup_standard.hosts.backend import RunningBackend, host_on
from backup_standard.hosts.ssh import Output
from backup_standard.model import Gap
from backup_standard.model.dumps import log_name, newest_of_each

OLD, NEW = "vzdump-qemu-210-2026_11_23-02_00_01.vma.zst", "vzdump-qemu-210-2026_11_24-02_00_01.vma.zst"


class Shell(RunningBackend):
    """This machine's own shell, and the lines it ran."""

    NAME = "shell"

    def __init__(self) -> None:
        super().__init__("here", None)
        self.lines: list[str] = []

    def execute(self, line: Any) -> Output:
        self.lines.append(line)
        done = subprocess.run(
            ["sh", "-c", line], capture_output=True, check=False, env={"LC_ALL": "C", "PATH": "/usr/bin:/bin"}
        )
        return Output(done.returncode, done.stdout, done.stderr)


class Canned(RunningBackend):
    """A host whose every command ends alike."""

    NAME = "canned"

    def __init__(self, output: Output) -> None:
        super().__init__("canned", None)
        self.output = output

    def execute(self, line: Any) -> Output:
        assert line.startswith("find ")
        return self.output


@pytest.fixture
def dump(tmp_path: Path) -> Path:
    if not shutil.which("find"):
        pytest.fail("GNU find is needed")
    made = tmp_path / "with blank" / "dump"
    made.mkdir(parents=True)
    for name in (OLD, NEW):
        (made / name).write_bytes(b"\x28\xb5\x2f\xfd" + b"==> x <==\n" * 10)
    (made / log_name(NEW)).write_text(
        "2026 INFO: a\n2026 INFO: b\n2026 INFO: c\n2026 INFO: Finished Backup of VM 210 (00:00:04)\n"
    )
    (made / "vzdump-lxc-230-2026_11_24-02_00_01.tmp").mkdir()
    (made / "odd\tname\nhere").write_text("")
    return made


def test_files_sizes_times_first_bytes_and_log_ends(dump: Path) -> None:
    shell = Shell()
    seen: Any = read_dump(host_on(shell), str(dump.parent), str(dump))
    assert (seen.path, seen.device) == (str(dump), dump.stat().st_dev)
    files = seen.by_name
    assert files[NEW].size == 104
    assert files[NEW].mtime == int((dump / NEW).stat().st_mtime)
    assert files[NEW].device == seen.device
    assert files[NEW].head == "28b52ffd"
    assert files[OLD].head == ""
    assert files[log_name(NEW)].tail[-1].endswith("INFO: Finished Backup of VM 210 (00:00:04)")
    assert len(files[log_name(NEW)].tail) == 3
    assert files["vzdump-lxc-230-2026_11_24-02_00_01.tmp"].folder
    assert files["vzdump-lxc-230-2026_11_24-02_00_01.tmp"].is_unfinished
    assert len(shell.lines) == 3


def test_a_folder_that_is_not_there(tmp_path: Path) -> None:
    assert read_dump(host_on(Shell()), str(tmp_path), f"{tmp_path}/dump") is None


def test_an_empty_folder_asks_for_no_contents(dump: Path) -> None:
    for entry in dump.iterdir():
        entry.rmdir() if entry.is_dir() else entry.unlink()
    shell = Shell()
    seen: Any = read_dump(host_on(shell), str(dump.parent), str(dump))
    assert seen.files == ()
    assert len(shell.lines) == 1


def test_a_disk_that_gives_errors_is_a_gap() -> None:
    broken = Canned(Output(1, b"", b"find: '/mnt/backup/dump/': Input/output error\n"))
    gap = read_dump(host_on(broken), "/mnt/backup", "/mnt/backup/dump")
    assert isinstance(gap, Gap)
    assert gap.reason == "find ended with 1: find: '/mnt/backup/dump/': Input/output error"


@pytest.mark.parametrize(
    ("archive", "log"),
    [
        (NEW, "vzdump-qemu-210-2026_11_24-02_00_01.log"),
        ("vzdump-lxc-230-2026_11_24-02_00_01.tar.zst", "vzdump-lxc-230-2026_11_24-02_00_01.log"),
        ("vzdump-lxc-230-2026_11_24-02_00_01.tgz", "vzdump-lxc-230-2026_11_24-02_00_01.log"),
        ("odd", "odd.log"),
    ],
)
def test_the_log_beside_an_archive(archive: str, log: str) -> None:
    assert log_name(archive) == log


def test_the_newest_of_each_guest_and_kind() -> None:
    container = "vzdump-lxc-210-2026_11_01-02_00_01.tar.zst"
    assert newest_of_each([NEW, OLD, container]) == [container, NEW]
