"""Archives of the lab in memory read from end to end over SSH: the reader that is sent along really runs."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from backup_standard.collect import deep, reading
from backup_standard.hosts import Recorder
from backup_standard.model import Archive, Gap, Node
from backup_standard.model.dumps import DumpFolder
from backup_standard.model.readings import ArchiveReading
from tests import archivemaking as make
from tests.unit.collect.deepground import NOON, Ground

BUSY = "some avg10=93.00 avg60=80.00 avg300=70.00 total=1\nfull avg10=0.00 avg60=0.00 avg300=0.00 total=1\n"


def test_every_newest_archive_of_the_lab_is_intact(ground: Ground, tmp_path: Path) -> None:
    found = ground.read(*ground.newest, recorder=Recorder(tmp_path / "commands.jsonl"))
    assert set(found) == {100, 200, 210, 220, 230}
    for vmid, one in found.items():
        data = ground.lab.hypervisor.node.read(ground.path(vmid))
        assert isinstance(one, ArchiveReading), one
        assert (one.problem, one.checksummed, one.read) == ("", True, len(data))
        assert one.sha256 == hashlib.sha256(data).hexdigest()
    assert found[210].disks == {"drive-virtio0": 1 << 30}
    assert found[230].members > 1
    assert f"reading {ground.newest[210].filename}: 0 B of {_size(ground, 210)} (0 %)" in ground.said
    assert any(line.startswith(f"{ground.newest[210].filename}: intact; ") for line in ground.said)
    noted = (tmp_path / "commands.jsonl").read_text()
    assert noted.count(" | nice -n 19 ionice -c 3 python3 -I -c READER vma zstd 62914560 ") == 4
    assert "import" not in noted


def _size(ground: Ground, vmid: int) -> str:
    return f"{len(ground.lab.hypervisor.node.read(ground.path(vmid))) / 1024:.1f} KiB"


def spoil(ground: Ground, vmid: int, change: Callable[[bytes], bytes]) -> ArchiveReading | Gap:
    """What came of reading an archive that was changed, facts read anew."""
    node = ground.lab.hypervisor.node
    node.write(ground.path(vmid), change(node.read(ground.path(vmid))))
    dump = ground.facts.dumps["pve1/backup-hdd"]
    assert isinstance(dump, DumpFolder)
    size = len(node.read(ground.path(vmid)))
    name = ground.newest[vmid].filename
    files = tuple(replace(one, size=size) if one.name == name else one for one in dump.files)
    ground.facts = replace(ground.facts, dumps={"pve1/backup-hdd": replace(dump, files=files)})
    found: ArchiveReading | Gap = ground.read(vmid)[vmid]
    return found


@pytest.mark.parametrize(
    ("vmid", "change", "message"),
    [
        (210, lambda data: make.flipped(data, len(data) // 2), "byte "),
        (210, lambda data: data[: len(data) // 2], "zstd fails at or before byte"),
        (210, lambda data: data + b"garbage", "zstd fails at or before byte"),
        (210, lambda _data: b"", "the file is empty"),
        (210, lambda _data: make.packed(make.vma(text=make.config("virtio0"))), "does not name: drive-scsi1"),
        (230, lambda data: make.flipped(data, len(data) // 2), "byte "),
        (230, lambda _data: make.packed(make.container()[:1024]), "byte 1024 of the unpacked archive without the zero"),
    ],
    ids=("flipped", "cut", "garbage", "empty", "disks", "container-flipped", "container-cut"),
)
def test_damage_is_found_on_the_node(ground: Ground, vmid: int, change: Callable[[bytes], bytes], message: str) -> None:
    found = spoil(ground, vmid, change)
    assert isinstance(found, ArchiveReading), found
    assert message in found.problem
    assert found.sha256 == ""
    assert ground.said[-1].startswith(f"{ground.newest[vmid].filename}: {found.problem}")


def test_a_file_that_changes_while_it_is_read_is_not_whole(ground: Ground) -> None:
    node = ground.lab.hypervisor.node
    node.write(ground.path(210), make.packed(make.vma()))
    found = ground.read(210)[210]
    assert "bytes were read, and the file had" in found.problem


def test_a_file_that_is_gone_or_may_not_be_read_is_no_finding(ground: Ground) -> None:
    node = ground.lab.hypervisor.node
    data = node.read(ground.path(210))
    node.unlink(ground.path(210))
    found = ground.read(210)[210]
    node.write(ground.path(210), data)
    assert isinstance(found, Gap)
    assert found.reason.endswith("No such file or directory")
    assert found.need.startswith("leave to read it: cat -- /mnt/backup/dump/vzdump-qemu-210-")


def test_a_disk_that_cannot_read_it_is_a_finding(ground: Ground) -> None:
    ground.lab.hypervisor.node.backup_disk.broken = True
    try:
        found = ground.read(210)[210]
    finally:
        ground.lab.hypervisor.node.backup_disk.broken = False
    assert found.problem.startswith("the disk cannot read it, at or behind byte 0 of the file: cat: ")


def test_pressure_of_others_aborts_and_is_no_verdict(ground: Ground) -> None:
    ground.lab.hypervisor.node.pressure = BUSY
    found = ground.read(210, pressure=-1.0, patience=0.0)[
        210
    ]  # a file's copy stands still: only less than 0 is too much
    assert isinstance(found, Gap)
    assert found.broken
    assert found.reason == "aborted: I/O pressure on the node: 0 % of the time somebody waits for a disk (limit -1 %)"
    assert ground.said[-1].endswith(found.reason)


def test_near_a_planned_run_nothing_is_read(ground: Ground) -> None:
    assert not isinstance(ground.facts.jobs, Gap)
    job = next(iter(ground.facts.jobs.values()))
    for minutes, message in ((20, "runs at "), (-2, "runs at ")):
        near = replace(job, runs=(NOON + 60 * minutes,))
        ground.facts = replace(ground.facts, jobs={job.id: near})
        found = ground.read(210)[210]
        assert isinstance(found, Gap)
        assert not found.broken
        assert found.reason.startswith("not begun: ")
        assert message in found.reason


def test_what_cannot_end_before_the_next_run_is_not_begun(ground: Ground) -> None:
    found = ground.read(210, bandwidth=0.1)[210]
    assert "KiB a second" in found.reason or "B a second, and the next backup is nearer than that" in found.reason


def test_while_a_backup_runs_nothing_is_read(ground: Ground, monkeypatch: pytest.MonkeyPatch) -> None:
    running = [{"upid": "UPID:pve1:0001:vzdump", "starttime": 1}]
    monkeypatch.setattr(deep.Reader, "rows", lambda *_args, **_params: running)
    found = ground.read(210)[210]
    assert found.reason == "not begun: a backup is running on pve1 (UPID:pve1:0001:vzdump)"


def test_a_backup_that_begins_meanwhile_ends_the_reading(ground: Ground, monkeypatch: pytest.MonkeyPatch) -> None:
    answers = iter([[], [{"upid": "UPID:x"}]])
    monkeypatch.setattr(deep, "WATCH_EVERY", 0.0)
    monkeypatch.setattr(deep.Reader, "rows", lambda *_args, **_params: next(answers))
    found = ground.read(210)[210]
    assert isinstance(found, Gap)
    assert (found.reason, found.broken) == ("aborted: a backup is running on pve1 (UPID:x)", True)


def test_an_interrupted_run_ends_what_is_being_read(ground: Ground, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[Any] = []

    def interrupted(place: Any, archives: Any) -> None:
        place.over.set()
        seen.append(place._read(next(iter(archives))))
        seen.append(type(place).again(place, archives))
        raise KeyboardInterrupt

    monkeypatch.setattr(deep._Place, "again", deep._Place.read_all, raising=False)
    monkeypatch.setattr(deep._Place, "read_all", interrupted)
    with pytest.raises(KeyboardInterrupt):
        ground.read(210)
    assert seen[0].reason == "aborted: the run was interrupted"
    assert seen[1] == {}


def test_on_a_shared_storage_a_backup_of_any_node_counts(ground: Ground, monkeypatch: pytest.MonkeyPatch) -> None:
    assert not isinstance(ground.facts.storages, Gap)
    storages = dict(ground.facts.storages)
    storages["backup-hdd"] = replace(storages["backup-hdd"], shared=True)
    nodes = {**ground.facts.nodes, "pve2": Node("pve2", online=True), "pve3": Node("pve3", online=False)}
    ground.facts = replace(ground.facts, storages=storages, nodes=nodes)
    asked: list[str] = []

    def rows(_reader: Any, path: str, **_params: Any) -> list[dict[str, str]]:
        asked.append(path)
        return [{"upid": "UPID:y"}] if "pve2" in path else []

    monkeypatch.setattr(deep.Reader, "rows", rows)
    assert ground.read(210)[210].reason == "not begun: a backup is running on pve2 (UPID:y)"
    assert asked == ["/nodes/pve1/tasks", "/nodes/pve2/tasks"]


def test_an_answer_about_running_backups_that_is_none_is_an_error(
    ground: Ground, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(deep.Reader, "get", lambda *_args, **_params: {"html": 1})
    found = ground.read(210)[210]
    assert found.broken
    assert found.reason.startswith("whether a backup runs: the answer is not understood")


def test_such_an_answer_while_an_archive_is_read_is_not_the_readers(
    ground: Ground, monkeypatch: pytest.MonkeyPatch
) -> None:
    answers = iter([[], {"html": 1}])
    monkeypatch.setattr(deep, "WATCH_EVERY", 0.0)
    monkeypatch.setattr(deep.Reader, "get", lambda *_args, **_params: next(answers))
    found = ground.read(210)[210]
    assert found.broken
    assert found.reason.startswith("aborted: whether a backup runs: the answer is not understood")


def test_a_node_without_python_or_zstd_proves_nothing(ground: Ground, monkeypatch: pytest.MonkeyPatch) -> None:
    host = ground.lab.hypervisor.node.host
    monkeypatch.setattr(host, "absent", host.absent | {"python3"})
    found = ground.read(210)[210]
    assert found.reason == "the reader on the node ended with 127: bash: line 1: python3: command not found"
    monkeypatch.undo()
    monkeypatch.setenv("PATH", os.path.dirname(os.devnull))  # noqa: PTH120 - where no zstd is
    found = ground.read(210)[210]
    assert (found.reason, found.broken) == ("zstd is not installed on the node (apt install zstd)", False)


@pytest.mark.parametrize("answer", ["", "<html>", '{"result": 7}\n', '{"done": "x"}\n', "[1]\n"])
def test_an_answer_that_is_not_the_readers_proves_nothing(
    ground: Ground, monkeypatch: pytest.MonkeyPatch, answer: str
) -> None:
    programs = ground.lab.hypervisor.node.host.programs
    monkeypatch.setitem(programs, "python3", lambda _context, _words: labsite_result(answer))
    found = ground.read(210)[210]
    assert isinstance(found, Gap)
    assert found.broken


def labsite_result(text: str) -> Any:
    from lab.hypervisor import CommandResult  # noqa: PLC0415

    return CommandResult(0, text, "")


def test_a_connection_that_is_lost_is_an_error(ground: Ground, monkeypatch: pytest.MonkeyPatch) -> None:
    ssh = ground.lab.ssh

    def cut(_context: Any, _words: list[str]) -> Any:
        for transport in list(ssh._transports):
            transport.close()
        return labsite_result("")

    monkeypatch.setitem(ground.lab.hypervisor.node.host.programs, "python3", cut)
    found = ground.read(210)[210]
    assert isinstance(found, Gap)
    assert found.broken
    assert "ssh root@[127.0.0.1]" in found.reason


def test_without_ssh_it_is_unknown_what_an_archive_holds(ground: Ground) -> None:
    ground.facts = replace(ground.facts, dumps={"pve1/backup-hdd": Gap("files", "the inventory has no SSH", "SSH")})
    assert ground.read(210)[210] == Gap(f"whether {ground.newest[210]} is intact", "the inventory has no SSH", "SSH")
    ground.facts = replace(ground.facts, dumps={})
    assert "has no folder of archives" in ground.read(210)[210].reason


@pytest.mark.parametrize(
    ("folder", "name"),
    [
        ("/mnt/backup/dump", "vzdump-qemu-210-2026_11_24-02_00_29.vma.zst; id"),
        ("/mnt/backup/dump", "vzdump-qemu-210-2026_11_24-02_00_29.vma.zst\n"),
        ("/mnt/backup/dump", "..%2Fshadow"),
        ("/mnt/../etc", "vzdump-qemu-210-2026_11_24-02_00_29.vma.zst"),
        ("/mnt//dump", "vzdump-qemu-210-2026_11_24-02_00_29.vma.zst"),
        ("mnt/dump", "vzdump-qemu-210-2026_11_24-02_00_29.vma.zst"),
        ("/mnt/\x1b/dump", "vzdump-qemu-210-2026_11_24-02_00_29.vma.zst"),
    ],
)
def test_only_plain_archives_in_plain_folders_are_read(folder: str, name: str) -> None:
    archive = Archive(f"backup-hdd:backup/{name}", "backup-hdd", "pve1", 210, "qemu", 1)
    with pytest.raises(ValueError, match="that is no archive of a guest"):
        reading.path_of(folder, archive)


def test_hostile_folders_are_quoted() -> None:
    archive = Archive("s:backup/vzdump-qemu-210-2026_11_24-02_00_29.vma.zst", "s", "pve1", 210, "qemu", 1)
    path = reading.path_of("/mnt/a b;$(id)'", archive)
    task = reading.Task(archive, path, 1, reading.Limits(), 60, lambda _done: None, lambda: None)
    assert reading.command(task).startswith(
        """nice -n 19 ionice -c 3 env LC_ALL=C.UTF-8 cat -- '/mnt/a b;$(id)'"'"'/vzdump-qemu-210"""
    )
    assert "| nice -n 19 ionice -c 3 python3 -I -c " in reading.command(task)
