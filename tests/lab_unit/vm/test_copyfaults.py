"""Faults that await a drill's copy: what they do to a disk that is off, and which guests they are for."""

from __future__ import annotations

import subprocess
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from lab.archive import RawDisk
from lab.hypervisor import CommandResult, HypervisorError
from lab.settings import MIB
from lab.vm import copyfaults
from lab.vm.copyfaults import CopyFaults, edit
from lab.vm.errors import LabError
from lab.vm.hostpackages import program
from lab.vm.recipes import LEAD

DISK = "vmdata:vm-{}-disk-0"


class Bench:
    """The machinery as far as faults use it: one disk, and a node that remembers what it was told."""

    def __init__(self, file: Path) -> None:
        self.told: list[str] = []
        self.there: set[str] = set()
        size = file.stat().st_size - LEAD
        disks = SimpleNamespace(
            file=lambda _volid: file,
            disk=lambda _volid, *, writable: RawDisk(file, size, offset=LEAD, writable=writable),
            device=lambda volid: f"/dev/{volid.replace(':', '/')}",
        )
        self.hypervisor = SimpleNamespace(disks=disks, before_agent=None)
        self.courier = self

    def run(self, argv: list[str]) -> CommandResult:
        """What ``ip link show`` finds is what was added; all else succeeds."""
        self.told.append(" ".join(argv))
        if argv[:3] == ["ip", "link", "show"]:
            return CommandResult(0 if argv[3] in self.there else 1, "", "")
        if argv[0] == "sh":
            self.there.add(argv[5])
        if argv[:3] == ["ip", "link", "delete"]:
            self.there.discard(argv[3])
        return CommandResult(0, "", "")


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """A guest's disk behind its header: a boot sector, and a partition with the files that faults touch."""
    path, tree = tmp_path / "disk", tmp_path / "tree"
    for name in (*copyfaults.ANY_PASSWORD, *copyfaults.CANARIES.values()):
        target = tree / name.lstrip("/")
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text("as it was\n")
    path.touch()
    line = [program("mke2fs"), "-q", "-t", "ext4", "-F", "-E", f"offset={copyfaults.PARTITION}", "-d", str(tree)]
    subprocess.run([*line, str(path), "8M"], check=True, capture_output=True)
    with path.open("r+b") as out:
        out.truncate(copyfaults.PARTITION + 8 * MIB)
        out.seek(LEAD)
        out.write(b"\xeb" * 510 + b"\x55\xaa")
    return path


def content(file: Path, path: str) -> str:
    """A file of the disk, as debugfs prints it; what it complains of when there is none."""
    line = [program("debugfs"), "-R", f"cat {path}", f"{file}?offset={copyfaults.PARTITION}"]
    done = subprocess.run(line, check=True, capture_output=True, text=True)
    return done.stdout or done.stderr


def faults(bench: Bench) -> CopyFaults:
    """The faults of a bench."""
    machinery: Any = bench
    return CopyFaults(machinery)


def test_any_password_and_a_missing_canary_are_in_the_files_of_the_copy(file: Path) -> None:
    made = faults(Bench(file))
    made.expect("any-password", 200)
    made.expect("canary-missing", 100)

    made.before_start(101, {"virtio0": DISK.format(101)})
    made.before_start(201, {"virtio0": DISK.format(201)})

    assert "File not found" in content(file, "/etc/hostname")
    assert "auth required pam_permit.so" in content(file, "/etc/pam.d/sshd")
    assert "UsePAM yes" in content(file, "/etc/ssh/sshd_config.d/lab.conf")


def test_a_broken_bootloader_leaves_the_partition_table(file: Path) -> None:
    made = faults(Bench(file))
    made.expect("bootloader-broken", 220)

    made.before_start(221, {"virtio0": DISK.format(221)})

    sector = file.read_bytes()[LEAD : LEAD + 512]
    assert sector == bytes(440) + b"\xeb" * 70 + bytes(2)


def test_production_and_other_copies_are_left_alone(file: Path) -> None:
    bench = Bench(file)
    made, before = faults(bench), file.read_bytes()
    made.expect("bootloader-broken", 220)

    for vmid in (220, 211):
        made.before_start(vmid, {"virtio0": DISK.format(vmid)})

    assert file.read_bytes() == before
    assert bench.told == []


def test_a_change_that_fails_is_said(file: Path) -> None:
    with pytest.raises(HypervisorError, match="rm: File not found"):
        edit(file, ["rm /nothing"])


@pytest.mark.parametrize(("name", "device"), [("stolen-address", "stolen211"), ("production-reachable", "leak211")])
def test_the_network_is_joined_once_when_it_is_looked_at_and_clear_undoes_it(
    file: Path, name: str, device: str
) -> None:
    bench = Bench(file)
    made = faults(bench)
    made.expect(name, 210)
    made.before_start(211, {})
    ask: Any = bench.hypervisor.before_agent
    ask(211, "guest-ping")
    ask(210, copyfaults.LOOKED_AT)
    assert not bench.there

    ask(211, copyfaults.LOOKED_AT)
    ask(211, copyfaults.LOOKED_AT)

    assert bench.there == {device}
    assert sum(one.startswith("sh -ec") for one in bench.told) == 1
    made.clear()
    assert not bench.there
    ask(211, copyfaults.LOOKED_AT)
    assert not bench.there


def test_a_disk_is_held_open_by_a_unit_that_clear_stops(file: Path) -> None:
    bench = Bench(file)
    made = faults(bench)
    made.expect("disk-busy", 100)

    made.before_start(101, {"virtio0": DISK.format(101)})

    held = "--property=StandardInput=file:/dev/vmdata/vm-101-disk-0"
    assert f"systemd-run --unit=lab-busy-101 {held} sleep infinity" in bench.told
    bench.told.clear()
    made.clear()
    assert "systemctl stop lab-busy-101" in bench.told


def test_a_fault_names_the_guests_it_is_for(file: Path) -> None:
    made = faults(Bench(file))
    with pytest.raises(LabError, match="for the virtual machines: 100, 200, 210, 220"):
        made.expect("any-password", 230)
    with pytest.raises(LabError, match="choose 100"):
        made.expect("canary-missing", 210)
