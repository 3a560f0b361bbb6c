"""A node's system: what its tools say, what they say when they cannot, and what is asked at all."""

from __future__ import annotations

import json
from typing import Any

import pytest

from backup_standard.collect import node_commands as commands
from backup_standard.collect.machine import read_system
from backup_standard.collect.mounts import read_images
from backup_standard.hosts.backend import RunningBackend, host_on
from backup_standard.hosts.ssh import Output
from backup_standard.model import Gap, Mount, Storage
from backup_standard.model.systems import KernelLine, System

DISK = {"name": "/dev/sda", "kname": "/dev/sda", "type": "disk", "size": 500107862016, "serial": "S1"}
HEALTH = commands.HEALTH % "/dev/sda"
SOUND = {
    commands.BLOCKS: (0, json.dumps({"blockdevices": [DISK]}), ""),
    HEALTH: (0, '{"smart_status": {"passed": true}}', ""),
    commands.KERNEL: (0, "", ""),
    commands.SCHEDULER: (0, "LoadState=loaded\nActiveState=active\nUnitFileState=enabled\n", ""),
    commands.CLOCK: (0, "Timezone=Europe/Berlin\nNTPSynchronized=yes\n", ""),
    commands.CRON: (1, "", "cat: /etc/pve/vzdump.cron: No such file or directory\n"),
}


class Node(RunningBackend):
    """A node that knows these commands; any other fails the test."""

    NAME = "table"

    def __init__(self, table: dict[str, tuple[int, str, str]]) -> None:
        super().__init__("pve1", None)
        self.table = table

    def execute(self, line: str) -> Output:
        rc, out, err = self.table[line]
        return Output(rc, out.encode(), err.encode())


def read(*storages: Storage, **changes: Any) -> System:
    mounts = changes.pop("mounts", [Mount("/mnt/backup", "/dev/sda", "ext4", "rw")])
    return read_system(host_on(Node({**SOUND, **changes.pop("more", {})})), storages, mounts)


def health(rc: int, out: str, err: str = "") -> Any:
    return read(more={HEALTH: (rc, out, err)}).smart["/dev/sda"]


def test_a_node_in_order() -> None:
    system = read()
    assert system.smart == {"/dev/sda": True}
    assert system.clock == {"Timezone": "Europe/Berlin", "NTPSynchronized": "yes"}
    assert (system.kernel, system.cron, system.gaps()) == ((), (), [])


def test_a_failing_disk_says_so_with_an_exit_status_of_its_own() -> None:
    assert health(8, '{"smart_status": {"passed": false}, "smartctl": {"exit_status": 8}}') is False
    assert health(64, '{"smart_status": {"passed": true}, "smartctl": {"exit_status": 64}}') is True


@pytest.mark.parametrize(
    ("rc", "out", "err", "reason"),
    [
        (4, '{"smartctl": {"exit_status": 4}}', "", "the disk does not tell it"),
        (1, '{"smartctl": {"messages": [{"string": "/dev/sda: Unknown USB bridge [0x152d:0x0578 (0x508)]"}]}}', "",
         "/dev/sda: Unknown USB bridge [0x152d:0x0578 (0x508)]"),
        (2, '{"smartctl": {"messages": [{"string": "DELL or MegaRaid controller, please try \'-d megaraid,N\'"}]}}',
         "", "DELL or MegaRaid controller, please try '-d megaraid,N'"),
        (127, "", "bash: line 1: smartctl: command not found", "smartctl is not installed"),
        (1, "", "sudo: a password is required", "smartctl ended with 1: sudo: a password is required"),
        (0, "[]", "", "smartctl ended with 0: no reason given"),
    ],
)  # fmt: skip
def test_health_that_does_not_show_is_a_gap_and_never_a_pass(rc: int, out: str, err: str, reason: str) -> None:
    gap = health(rc, out, err)
    assert isinstance(gap, Gap)
    assert gap.reason == reason


def test_only_drives_are_asked_for_their_health() -> None:
    kinds = [("zd0", "disk"), ("nbd0", "disk"), ("zram0", "disk"), ("sr0", "rom"), ("dm-0", "lvm")]
    others = [{"name": f"/dev/{name}", "kname": f"/dev/{name}", "type": kind} for name, kind in kinds]
    listed = json.dumps({"blockdevices": [DISK, *others]})
    lvm = {commands.PVS: (0, '{"report": [{"pv": []}]}', ""), commands.LVS: (0, '{"report": [{"lv": []}]}', "")}
    everything = [Mount("/mnt/backup", "tank/backup", "zfs", "rw")]
    assert set(read(mounts=everything, more={commands.BLOCKS: (0, listed, ""), **lvm}).smart) == {"/dev/sda"}


def test_only_disks_under_archives_are_asked_where_lsblk_leads_to_them() -> None:
    tree = [
        {**DISK, "children": [{"name": "/dev/sda1", "kname": "/dev/sda1", "type": "part"}]},
        {"name": "/dev/sdb", "kname": "/dev/sdb", "type": "disk"},
        {"name": "/dev/loop0", "kname": "/dev/loop0", "type": "loop"},
    ]
    answers = {
        commands.BLOCKS: (0, json.dumps({"blockdevices": tree}), ""),
        commands.HEALTH % "/dev/sdb": (0, '{"smart_status": {"passed": true}}', ""),
        commands.LOOPS: (0, "", ""), commands.BTRFS: (0, "", ""),
    }  # fmt: skip

    def asked(source: str, fstype: str = "ext4") -> set[str]:
        return set(read(mounts=[Mount("/mnt/backup", source, fstype, "rw")], more=answers).smart)

    assert asked("/dev/sda1") == {"/dev/sda"}
    assert asked("/dev/loop0") == asked("/dev/sda1", "btrfs") == asked("nas:/x", "nfs4") == {"/dev/sda", "/dev/sdb"}


def test_storages_make_their_tools_be_asked() -> None:
    zfs = Storage("local-zfs", "zfspool", frozenset())
    devices = read(zfs, more={commands.POOLS: (1, "", "internal error: cannot open /dev/zfs\n")}).devices
    assert not isinstance(devices, Gap)
    assert devices.pools == Gap(
        "the ZFS pools", "zpool ended with 1: internal error: cannot open /dev/zfs", "zpool on the node"
    )


def test_the_kernels_complaints() -> None:
    lines = [
        {"__REALTIME_TIMESTAMP": "1795504906863886", "MESSAGE": "I/O error, dev sdb, sector 8"},
        {"__REALTIME_TIMESTAMP": "1795504907863886", "MESSAGE": list(b"odd \xff bytes")},
        {"__REALTIME_TIMESTAMP": "1795504908863886", "MESSAGE": None},
    ]
    out = "".join(f"{json.dumps(line)}\n" for line in lines)
    assert read(more={commands.KERNEL: (0, out, "")}).kernel == (
        KernelLine(1795504906, "I/O error, dev sdb, sector 8"),
        KernelLine(1795504907, "odd \ufffd bytes"),
        KernelLine(1795504908, ""),
    )
    assert read(more={commands.KERNEL: (0, "-- No entries --\n", "")}).kernel == ()


@pytest.mark.parametrize(
    ("rc", "err"),
    [
        (0, "Hint: You are currently not seeing messages from other users and the system.\n"),
        (1, "No journal files were opened due to insufficient permissions.\n"),
        (127, "bash: line 1: journalctl: command not found\n"),
    ],
)
def test_an_account_that_may_not_read_the_journal_is_a_gap_though_it_sees_nothing_wrong(rc: int, err: str) -> None:
    gap = read(more={commands.KERNEL: (rc, "", err)}).kernel
    assert isinstance(gap, Gap)
    assert "systemd-journal" in gap.need


def test_answers_in_another_form_are_gaps() -> None:
    system = read(more={commands.BLOCKS: (0, "NAME MAJ:MIN\nsda 8:0", "")})
    assert isinstance(system.devices, Gap)
    assert "not understood" in system.devices.reason
    assert system.gaps() == [system.devices]
    assert isinstance(read(more={commands.BLOCKS: (0, "{}", "")}).devices, Gap)


def test_jobs_in_the_old_cron_file() -> None:
    text = (
        "# cluster wide vzdump cron schedule\n# Automatically generated file - do not edit\n\n"
        'PATH="/usr/sbin:/usr/bin:/sbin:/bin"\n\n0 2 * * *           root vzdump 210 --quiet 1 --storage backup-hdd\n'
    )
    assert read(more={commands.CRON: (0, text, "")}).cron == (
        "0 2 * * *           root vzdump 210 --quiet 1 --storage backup-hdd",
    )


def test_guest_disks_as_files() -> None:
    storage = Storage("backup-hdd", "dir", frozenset({"backup"}), "/mnt/backup/")

    def images(rc: int, out: str, err: str = "") -> Any:
        line = "find /mnt/backup/images -mindepth 2 -maxdepth 2 -printf '%p\\n'"
        return read_images(host_on(Node({line: (rc, out, err)})), storage)

    assert images(0, "/mnt/backup/images/9/b.raw\n/mnt/backup/images/9/a.raw\n") == (
        "/mnt/backup/images/9/a.raw", "/mnt/backup/images/9/b.raw",
    )  # fmt: skip
    assert images(1, "", "find: \u2018/mnt/backup/images\u2019: No such file or directory\n") == ()
    assert isinstance(images(1, "", "find: \u2018/mnt/backup/images\u2019: Permission denied\n"), Gap)
