"""Violations that only archives, task logs and journal show."""

from __future__ import annotations

from tests.labsite import LabSite
from tests.violations.case import Case, rules
from tests.violations.seeding import (
    NIGHT,
    Seed,
    archives,
    content,
    ended,
    file,
    gone,
    latest,
    logged,
    new_job,
    no_job,
    node,
    several,
)

STATE = "/var/lib/pve-manager/jobs/vzdump-nightly-vm210.json"
NO_SPACE = "ERROR: Backup of VM 210 failed - no space left on device"


def _no_run(nights: int, vmid: int = 210) -> Seed:
    """No run took place in the last nights."""

    def seed(lab: LabSite) -> None:
        for _ in range(nights):
            del lab.site.tasks._tasks[latest(lab, vmid).upid]

    return seed


def _flipped(data: bytes) -> bytes:
    """One bit in the middle is another."""
    middle = len(data) // 2
    return data[:middle] + bytes([data[middle] ^ 1]) + data[middle + 1 :]


def _until_noon(lab: LabSite) -> None:
    task = latest(lab)
    task.endtime = task.starttime + 7 * 3600


def _one_task_for_two(lab: LabSite) -> None:
    """The newest runs of guests 210 and 220 as one task, in which 220 failed."""
    first, second = latest(lab, 210), latest(lab, 220)
    both = [line.replace("vzdump 210 ", "vzdump 210 220 ") for line in first.log[:-2]]
    began = [line for line in second.log if "Starting Backup" in line]
    failed = "ERROR: Backup of VM 220 failed - job failed with err -5 - Input/output error"
    del lab.site.tasks._tasks[first.upid], lab.site.tasks._tasks[second.upid]
    lab.site.tasks.add_history(
        "root@pam", "vzdump", "", span=(first.starttime, first.starttime + 60), status="job errors",
        log=[*both, *began, failed, "INFO: Backup job finished with errors"],
    )  # fmt: skip


def _renamed(lab: LabSite) -> None:
    path = archives(lab, 210)[0]
    lab.hypervisor.node.rename(path, path.replace(".vma.zst", "-keep.vma.zst"))


CASES = (
    Case("newest archive deleted", gone(newest=1), rules("VER-02"), says="the RPO allows 1 d 2 h"),
    Case("stale archive", several(_no_run(3), gone(newest=3)), rules("VER-01 VER-02"), rules("SCH-06"),
         "no such run took place"),
    Case("every archive deleted", gone(), rules("VER-02 VER-03 CMP-02 RET-03"), rules("VER-06"), "has no archive"),
    Case("only four nights left", gone(oldest=10), rules("RET-03"), says="hold 4 distinct nights of 7"),
    Case("truncated archive", content(lambda data: data[: len(data) // 3]), advised=rules("VER-06"), says="has"),
    Case("corrupt archive", content(_flipped), rules("VER-05"), says="is damaged", deep=True),
    Case("empty archive", content(lambda _data: b""), rules("VER-03"), rules("VER-06"), "0 bytes",
         undecided=rules("CMP-02")),
    Case("gzip under a name of zstd", content(lambda data: b"\x1f\x8b" + data[2:]), rules("CMP-02"), says="gzip"),
    Case("left by a broken backup", file("vzdump-qemu-210-2026_01_01-02_00_00.vma.dat"), rules("VER-03"),
         says="left behind: vzdump-qemu-210-2026_01_01-02_00_00.vma.dat"),
    Case("archive renamed", _renamed, advised=rules("RET-05"), says="nothing ever removes"),
    Case("last run failed", several(ended("job errors", NO_SPACE, keep=3), gone(newest=1)),
         rules("VER-01 VER-02 VER-04"), says="no space left on device"),
    Case("last run interrupted", several(ended("unexpected status", keep=4), gone(newest=1)),
         rules("VER-01 VER-02 VER-04"), says="unexpected status"),
    Case("error hidden in a good run", logged("INFO: backup mode", "ERROR: can't freeze filesystems: timeout"),
         rules("VER-01 VER-04"), says="its log holds errors"),
    Case("one guest of a job failed",
         several(_one_task_for_two, gone(220, newest=1), no_job(210, 220), new_job("nightly-both", vmid="210,220")),
         rules("VER-01 VER-02 VER-04"), rules("SCH-05"), "job failed with err -5 - Input/output error"),
    Case("a night without a run", several(_no_run(1), gone(newest=1)), rules("VER-01 VER-02"), rules("SCH-06"),
         "no such run took place"),
    Case("run until the morning", _until_noon, advised=rules("SCH-04"), says="left the hours of low usage"),
    Case("error in the journal alone",
         node(lambda one: one.journal("vzdump", "ERROR: Backup of VM 210 failed - VM is locked (backup)", 3)),
         rules("VER-04"), says="VM is locked (backup)"),
    Case("job stuck as started",
         file(STATE, b'{"state": "started", "upid": "UPID:pve1:0:0:60000000:vzdump:210:root@pam:"}', NIGHT),
         rules("SCH-03"), says="job nightly-vm210 is marked as started"),
)  # fmt: skip
