"""Violations in the backup jobs."""

from __future__ import annotations

import datetime as dt
from zoneinfo import ZoneInfo

from tests.labsite import LabSite
from tests.violations.case import Case, rules
from tests.violations.seeding import job, new_job, no_job, node, several, storage

UNCOVERED = rules("TGT-02 TGT-04 STO-06 SCH-01 SCH-02 RET-01 RET-02 RET-03 CMP-01 VER-01")
UNCOVERED_ADVISED = rules("SCH-04 SCH-05 SCH-06 SCH-08 RET-04 VER-07")
"""What a guest without a job departs from: each of these rules is about the job it should have."""
NOBODY = "no enabled job backs VM 210 (dns) up to storage backup-hdd"


def _without(name: str, *seeds: object, says: str = NOBODY) -> Case:
    return Case(name, several(*seeds), UNCOVERED, UNCOVERED_ADVISED, says)  # type: ignore[arg-type]


def _in_new_york(lab: LabSite) -> None:
    lab.site.timezone = "America/New_York"
    lab.hypervisor.node.write("/etc/timezone", b"America/New_York\n")


def _weekly(lab: LabSite) -> None:
    """On the weekday of the last night, so that the last run that was due took place."""
    today = dt.datetime.fromtimestamp(lab.site.now(), tz=ZoneInfo(lab.site.timezone))
    job(schedule=f"{today:%a} 02:00".lower())(lab)


CASES = (
    _without("job disabled", job(enabled=0)),
    _without("job pinned to another node", job(node="pve2")),
    _without("guest without a job", no_job(210)),
    _without(
        "guest excluded from the job for all",
        no_job(100, 200, 210, 220, 230),
        new_job("nightly-all", all=1, exclude="210"),
    ),
    Case("stale VMID in a job", job(vmid="210,999"), rules("TGT-05"), says="names 999, and the site has no such guest"),
    Case("keep-last=3", job(prune_backups="keep-last=3"), rules("RET-01"), rules("RET-04"), "3 nights of VM 210"),
    Case("keep-all", job(prune_backups="keep-all=1"), rules("RET-02"), says="keeps every archive"),
    Case("no retention anywhere", job(prune_backups=None), rules("RET-02"), says="keeps every archive"),
    Case("remove=0", job(remove=0), rules("RET-01 RET-02"), says="has remove=0"),
    Case(
        "two jobs that prune each other's archives",
        new_job("midday-vm210", vmid="210", schedule="12:00", prune_backups="keep-last=7"),
        rules("RET-01 RET-02"),
        rules("RET-04"),
        says="remove each other's archives by different counts",
    ),
    Case("wrong hour", job(schedule="03:30"), rules("SCH-02 VER-01"), says="no run at 02:00, but at 03:30"),
    Case("weekly", _weekly, rules("SCH-01"), says="of the next 400 nights have no run of VM 210"),
    Case("weekdays only", job(schedule="mon..fri 02:00"), rules("SCH-01"), says="nights have no run of VM 210"),
    Case("gzip", job(compress="gzip"), rules("CMP-01"), says="job nightly-vm210 uses gzip"),
    Case("not compressed", job(compress="0"), rules("CMP-01"), says="job nightly-vm210 uses none"),
    Case("mode stop", job(mode="stop"), advised=rules("SCH-08"), says="job nightly-vm210 uses stop"),
    Case(
        "job writes to another storage",
        several(storage("local", content="iso,vztmpl,snippets,backup"), job(storage="local")),
        UNCOVERED,
        UNCOVERED_ADVISED,
        "job nightly-vm210 writes to storage local",
    ),
    Case(
        "job named otherwise",
        several(no_job(210), new_job("dns-backup", vmid="210")),
        advised=rules("SCH-05"),
        says="is backed up by dns-backup",
    ),
    Case("nobody is told", job(notification_mode="legacy-sendmail"), advised=rules("VER-07"), says="no address is set"),
    Case("node in a wrong time zone", _in_new_york, rules("SCH-02 VER-01"), says="have no run at 02:00"),
    Case(
        "leftover vzdump.cron",
        node(lambda one: one.write("/etc/pve/vzdump.cron", b"0 2 * * * root #vzdump 210\n")),
        advised=rules("SCH-03"),
        says="vzdump.cron still holds",
    ),
)
