"""Processes are ended only when they are the ones that were recorded."""

import json
import os
import signal
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from lab.vm.errors import LabError
from lab.vm.processes import MARK, Spawner, end, family, identity, read_record, reap, write_record
from lab.waiting import until


@pytest.fixture
def sleeper() -> Iterator[subprocess.Popen[bytes]]:
    process = subprocess.Popen(["sleep", "60"])
    until(lambda: identity(process.pid) and identity(process.pid).command[0] == "sleep", what="the sleeper")
    yield process
    process.kill()
    process.wait()


def test_identity_names_start_and_command(sleeper: subprocess.Popen[bytes]) -> None:
    who = identity(sleeper.pid)
    assert who.command == ["sleep", "60"]
    assert who.started > 0
    assert who.is_alive()


def test_another_process_of_the_same_number_is_not_the_one_meant(sleeper: subprocess.Popen[bytes]) -> None:
    who = identity(sleeper.pid)
    assert not replace(who, started=who.started - 1).is_alive()
    assert not replace(who, command=["qemu-system-x86_64"]).is_alive()


def test_a_zombie_is_not_alive(sleeper: subprocess.Popen[bytes]) -> None:
    sleeper.send_signal(signal.SIGKILL)
    until(lambda: identity(sleeper.pid) is None, what="the end of the sleeper")


def test_reap_ends_the_recorded_process(tmp_path: Path, sleeper: subprocess.Popen[bytes]) -> None:
    write_record(tmp_path, "guest-210", identity(sleeper.pid))
    assert reap(tmp_path) == ["guest-210"]
    assert sleeper.wait(5) == -signal.SIGTERM
    assert not list(tmp_path.iterdir())


def test_reap_leaves_a_process_that_merely_has_the_number(tmp_path: Path, sleeper: subprocess.Popen[bytes]) -> None:
    who = identity(sleeper.pid)
    write_record(tmp_path, "guest-210", replace(who, started=who.started + 7))
    assert reap(tmp_path) == []
    assert sleeper.poll() is None


def test_reap_survives_a_record_cut_short(tmp_path: Path) -> None:
    (tmp_path / "node.json").write_text('{"pid": 1')
    assert reap(tmp_path) == []
    assert not (tmp_path / "node.json").exists()


def test_reap_ends_children_whose_parent_is_gone(tmp_path: Path) -> None:
    code = textwrap.dedent("""
        import subprocess, sys
        child = subprocess.Popen(["sleep", "61"])
        print(child.pid, flush=True)
    """)
    with subprocess.Popen(
        [sys.executable, "-c", code],
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
        env={**os.environ, MARK: str(tmp_path)},
    ) as parent:
        who = identity(parent.pid)
        child = int(parent.stdout.readline())
    assert identity(child) is not None
    write_record(tmp_path, "build-node", who)
    assert [process.pid for process in family(who.pid, tmp_path)] == [child]
    assert reap(tmp_path) == ["build-node"]
    assert identity(child) is None


def test_a_session_without_the_mark_is_no_family(tmp_path: Path) -> None:
    with subprocess.Popen(["sleep", "60"], start_new_session=True) as process:
        assert family(process.pid, tmp_path) == []
        process.kill()


def test_end_kills_what_does_not_listen(tmp_path: Path) -> None:
    code = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('on', flush=True); signal.pause()"
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE) as process:
        process.stdout.readline()
        end(identity(process.pid), patience=0.2)
        assert process.wait(5) == -signal.SIGKILL


def test_spawner_records_and_stops(tmp_path: Path) -> None:
    spawner = Spawner(tmp_path)
    process = spawner.start("node", ["sleep", "60"], tmp_path / "log")
    assert read_record(tmp_path / "node.json").pid == process.pid
    spawner.stop("node")
    assert process.returncode == -signal.SIGTERM
    assert not (tmp_path / "node.json").exists()


def test_a_spawned_process_dies_with_its_parent(tmp_path: Path) -> None:
    code = textwrap.dedent(f"""
        from pathlib import Path
        from lab.vm.processes import Spawner
        folder = Path({str(tmp_path)!r})
        print(Spawner(folder).start("node", ["sleep", "62"], folder / "log").pid, flush=True)
        __import__("os").kill(__import__("os").getpid(), 9)
    """)
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, cwd=Path.cwd())
    child = int(told.stdout)
    until(lambda: identity(child) is None, what="the end of the spawned process")


def test_an_abandoned_spawner_starts_nothing(tmp_path: Path) -> None:
    spawner = Spawner(tmp_path)
    running = spawner.start("node", ["sleep", "60"], tmp_path / "log")
    spawner.abandon()
    assert running.wait(5) == -signal.SIGTERM
    with pytest.raises(LabError, match="is being stopped"):
        spawner.start("guest", ["sleep", "60"], tmp_path / "log")


def test_run_gives_the_exit_status_and_keeps_the_output(tmp_path: Path) -> None:
    spawner = Spawner(tmp_path)
    status = spawner.run(
        "build", ["sh", "-c", "echo $WORD; exit 3"], tmp_path / "log", timeout=10, environment={"WORD": "hi"}
    )
    assert status == 3
    assert (tmp_path / "log").read_text() == "hi\n"


def test_run_stops_what_takes_too_long(tmp_path: Path) -> None:
    spawner = Spawner(tmp_path)
    with pytest.raises(LabError, match=r"did not end within 0 s; what it said is in .*log"):
        spawner.run("build", ["sleep", "60"], tmp_path / "log", timeout=0.2)
    assert not list(tmp_path.glob("*.json"))


def test_a_record_is_whole_json(tmp_path: Path, sleeper: subprocess.Popen[bytes]) -> None:
    path = write_record(tmp_path, "node", identity(sleeper.pid))
    assert set(json.loads(path.read_text())) == {"pid", "started", "command"}
