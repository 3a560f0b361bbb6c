"""facts.json: what is written is read back the same."""

from __future__ import annotations

import datetime as dt
import json
from typing import Any

import pytest

from backup_standard.model import (
    Archive,
    BackupJob,
    DumpFile,
    DumpFolder,
    Facts,
    Gap,
    Guest,
    GuestKind,
    IncludedVolume,
    JournalLine,
    Mount,
    Node,
    NotificationMatcher,
    Notifications,
    NotificationTarget,
    Storage,
    StorageStatus,
    Task,
)  # fmt: skip
from backup_standard.model.codec import facts_from_json, facts_to_json
from backup_standard.model.devices import Block, Devices, LogicalVolume, ZfsPool
from backup_standard.model.systems import KernelLine, System

GAP = Gap("a fact", "a reason", "a need")
FULL = Facts(
    taken_at=dt.datetime(2026, 11, 24, 3, 15, tzinfo=dt.UTC),
    release="9.2",
    nodes={"pve1": Node("pve1", online=True, now=5, skew=0.5), "pve2": GAP},
    guests={100: Guest(100, GuestKind.LXC, "é", "pve1", "running", tags=("a", "b"), config={"net0": "x"}), 200: GAP},
    jobs={
        "gap": BackupJob(
            "gap", enabled=True, schedule="02:00", storage=None, mode="snapshot", compress=None, prune={"keep-last": 3},
            vmids=(100,), includes={100: (IncludedVolume(100, "scsi0", "a:b", included=True),)}, runs=(1, 2),
        )
    },
    storages={"s": Storage("s", "dir", frozenset({"iso", "backup"}), nodes=frozenset({"pve1"}))},
    statuses={"pve1/s": StorageStatus("s", "pve1", active=True, enabled=True, total=1, used=0, avail=1)},
    archives={"pve1/s": (Archive("s:backup/x", "s", "pve1", 100, "qemu", 5),), "pve2/s": GAP},
    tasks={"pve1": (Task("UPID:x", "pve1", "vzdump", "", "root@pam", 5, log=("a",)), Task("U", "n", "t", "", "u", 1))},
    defaults={"pve1": {"gap": "x"}, "pve2": GAP},
    mounts={"pve1/s": Mount("/", "/dev/sda1", "ext4", "rw"), "pve1/t": None, "pve2/s": GAP},
    job_states={"pve1/gap": {"state": "stopped"}, "pve1/x": None},
    systems={
        "pve1": System(
            Devices(
                (Block("/dev/sda", "sda", "disk", 5, serial="S"), Block("/dev/sda1", "sda1", "part", 4, ("/dev/sda",))),
                groups={"/dev/sda1": "vg"}, volumes=(LogicalVolume("vg", "lv", devices=("/dev/sda1",)),),
                pools=(ZfsPool("tank", "ONLINE", ("/dev/sdb",)),), btrfs=(("/dev/sdc", "/dev/sdd"),),
                loops={"/dev/loop0": Mount("/", "/dev/sda1", "ext4", "rw"), "/dev/loop1": GAP, "/dev/loop2": None},
            ),
            smart={"/dev/sda": True, "/dev/sdb": False, "/dev/sdc": GAP}, kernel=(KernelLine(5, "I/O error"),),
            scheduler={"ActiveState": "active"}, clock=GAP, cron=("0 2 * * * root vzdump",),
        ),
        "pve2": GAP,
        "pve3": System(GAP, kernel=GAP, scheduler=GAP),
        "pve4": System(Devices((), groups=GAP, volumes=GAP, pools=GAP, btrfs=GAP, loops=GAP)),
    },
    images={"pve1/s": ("/s/images/1/x.raw",), "pve2/s": GAP},
    dumps={"pve1/s": DumpFolder("/s/dump", 5, (DumpFile("x", 1, 2, 5, head="28b52ffd", tail=("a",)),)), "pve2/s": None},
    journals={"pve1": (JournalLine(5, "vzdump", "ERROR: é"),), "pve2": GAP},
    changes={100: (Task("U", "n", "qmtemplate", "100", "u", 1),), 200: GAP},
    notifications=Notifications((NotificationTarget("t"),), (NotificationMatcher("m", ("t",), ("error",)),)),
    looked_at=(dt.datetime(2026, 11, 23, 3, 15, tzinfo=dt.UTC),),
    gaps=(GAP,),
)  # fmt: skip


def test_facts_survive_the_round_trip() -> None:
    text = facts_to_json(FULL)
    assert facts_from_json(text) == FULL
    assert facts_to_json(facts_from_json(text)) == text


def test_gaps_in_place_of_a_whole_part_survive_too() -> None:
    bare = Facts(FULL.taken_at, "8.4", {}, {}, GAP, GAP, {}, {}, {}, {})
    assert facts_from_json(facts_to_json(bare)) == bare


def test_times_are_written_in_utc() -> None:
    local = dt.datetime(2026, 11, 24, 4, 15, tzinfo=dt.timezone(dt.timedelta(hours=1)))
    bare = Facts(local, "9.2", {}, {}, {}, {}, {}, {}, {}, {})
    assert json.loads(facts_to_json(bare))["facts"]["taken_at"] == "2026-11-24T03:15:00+00:00"


@pytest.mark.parametrize("text", ["[]", "{}", '{"format": 2, "facts": {}}'])
def test_something_else_is_refused(text: Any) -> None:
    with pytest.raises(ValueError, match="these are not facts in format 1"):
        facts_from_json(text)
