"""Folders of a restored guest that must hold data: in the words of each system, and in drills of whole guests."""

from __future__ import annotations

import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from backup_standard.drill import data
from backup_standard.drill.dialect import Unreadable
from backup_standard.drill.ports import Ran
from backup_standard.drill.posix import POSIX
from backup_standard.drill.steps import data as step
from backup_standard.drill.windows import WINDOWS
from backup_standard.inventory.checks import DataCheck
from tests.drillground import Ground
from tests.rules.test_services_client_data import rules
from tests.unit.drill.test_data import TIMES


def here(argv: Sequence[str]) -> Ran:
    """Run a command on this machine: its find, dd and stat are as real as a guest's."""
    done = subprocess.run(argv, check=False, capture_output=True, text=True, timeout=60)
    return Ran(done.returncode, done.stdout, done.stderr)


def busybox(argv: Sequence[str]) -> Ran:
    """The same by busybox, of which many a container is made."""
    return here(["busybox", *argv])


@pytest.fixture(params=[here, busybox], ids=["coreutils", "busybox"])
def run(request: pytest.FixtureRequest) -> Any:
    if request.param is busybox and not Path("/bin/busybox").exists():
        pytest.skip("no busybox on this machine")
    return request.param


def test_a_folder_holds_data_where_a_file_at_any_depth_can_be_read(run: Any, tmp_path: Path) -> None:
    folder = tmp_path / "it's data; rm -rf"
    (folder / "lost+found").mkdir(parents=True)
    (folder / "deep" / "er").mkdir(parents=True)
    assert not POSIX.holds_data(run, str(folder)), "a fresh file system"
    (folder / "deep" / "empty").touch()
    assert not POSIX.holds_data(run, str(folder))
    (folder / "deep" / "er" / "-delete").write_text("x")
    assert POSIX.holds_data(run, str(folder))
    assert POSIX.holds_data(run, f"{folder}/")
    assert (folder / "deep" / "er" / "-delete").exists()


def test_what_is_no_folder_cannot_be_read(run: Any, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    for name in ("file", "gone"):
        with pytest.raises(Unreadable, match=f"{name} cannot be read: .*(Not a directory|No such file)"):
            POSIX.holds_data(run, str(tmp_path / name))
    with pytest.raises(Unreadable, match="gone cannot be read"):
        POSIX.is_mount(run, str(tmp_path / "gone"))


def test_a_file_system_of_its_own_is_known_by_its_device(run: Any, tmp_path: Path) -> None:
    assert POSIX.is_mount(run, "/proc")
    assert POSIX.is_mount(run, "/")
    assert not POSIX.is_mount(run, str(tmp_path))
    (tmp_path / "link").symlink_to("/proc")
    assert POSIX.is_mount(run, str(tmp_path / "link"))


def test_a_file_that_cannot_be_read_is_no_data() -> None:
    said = "dd: error reading '/srv/data/a': Input/output error\n0+0 records in\n"
    with pytest.raises(Unreadable, match=r"/srv/data cannot be read: dd: error reading .* Input/output error"):
        POSIX.holds_data(lambda _argv: Ran(0, "", said), "/srv/data")
    assert POSIX.holds_data(lambda _argv: Ran(1, "found\n", said), "/srv/data"), "another one could"


def test_folders_on_windows() -> None:
    assert WINDOWS.holds_data(lambda _argv: Ran(0, "True\r\n"), "D:\\Data")
    assert not WINDOWS.is_mount(lambda _argv: Ran(0, "False\r\n"), "D:\\Data")
    with pytest.raises(Unreadable, match="cannot be read: Cannot find path"):
        WINDOWS.holds_data(lambda _argv: Ran(1, "", "Cannot find path\r\n"), "D:\\Data")


def test_a_missing_mount_is_told_before_the_empty_folder_under_it() -> None:
    check = DataCheck.model_validate({"folder": "/srv/data", "mounted": True})

    def bare(argv: Sequence[str]) -> Ran:
        return Ran(0, "64768\n64768\n" if argv[0] == "stat" else "")

    assert data.look(check, bare, POSIX, TIMES).wrong == "no file system of its own is mounted on /srv/data"


@pytest.mark.parametrize(
    ("check", "saying"),
    [
        ({"folder": "srv/data"}, "no absolute path of a folder"),
        ({"folder": "/srv", "contains": "x"}, "stands beside file"),
        ({"folder": "/srv", "rpo": "1h"}, "a folder has none"),
        ({"folder": "/srv", "modified": "/srv/x"}, "exactly one of file, folder"),
        ({"file": "/srv/x", "contains": "x", "mounted": True}, "stands beside folder"),
        ({"modified": "/srv/x", "read_only": True}, "about a file or a folder"),
    ],
)
def test_half_a_check_is_refused(check: dict[str, Any], saying: str) -> None:
    with pytest.raises(ValueError, match=saying):
        DataCheck.model_validate(check)


def drilled(ground: Ground, *checks: dict[str, Any]) -> Any:
    ground.inventory = ground.changed(vmid=230, data=checks)
    drill = ground.drill(230)
    drill.step("services")
    return drill


def test_the_clients_folder_came_back_and_is_writable(ground: Ground, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(step, "DATA_TIMEOUT", 0.2)
    with drilled(ground, {"folder": "/srv/data"}, {"folder": "/srv", "mounted": True}) as drill:
        seen: dict[str, Any] = {}
        rules.test_client_data_can_be_written_where_it_lies(drill, drill.host(), lambda **what: seen.update(what))  # type: ignore[arg-type]
        assert seen["client_data"]["/srv/data"] == "on the file system at /, which is writable"
        found = drill.step("data")
    assert found.observed["data"] == {
        "folder /srv/data": "holds data that can be read",
        "folder /srv": "no file system of its own is mounted on /srv",
    }
    assert ground.nothing_left, ground.left_behind


def test_an_emptied_folder_and_a_read_only_disk_are_found(ground: Ground, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(step, "DATA_TIMEOUT", 0.2)
    with drilled(ground, {"folder": "/srv/data"}) as drill:
        files = ground.lab.hypervisor.guest(231).host.files
        for name, _entry in list(files.children("/srv/data")):
            files.unlink(f"/srv/data/{name}")
        files.mounts["/"].readonly = True
        with pytest.raises(AssertionError, match="read-only in the restored copy: /srv/data"):
            rules.test_client_data_can_be_written_where_it_lies(drill, drill.host(), lambda **_what: None)  # type: ignore[arg-type]
        found = drill.step("data")
    assert (found.ok, found.message) == (False, "no file in /srv/data holds anything")
