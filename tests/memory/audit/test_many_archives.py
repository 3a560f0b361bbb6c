"""A backup storage that has grown over the years: ten thousand archives of one guest are read and judged like few."""

from __future__ import annotations

import datetime as dt

from backup_standard.audit.site import Site
from backup_standard.collect import collect
from backup_standard.inventory.schema import Inventory
from backup_standard.model import Gap
from lab.scripted.files import Entry
from tests import judging, labsite

MANY = 10_000


def test_ten_thousand_archives_are_read_and_judged(
    lab: labsite.LabSite, inventory: Inventory, before: judging.Rows
) -> None:
    files = lab.hypervisor.node.backup_disk.entries
    first = dt.datetime(2015, 1, 1, 2, tzinfo=dt.UTC)
    names = [
        f"/dump/vzdump-qemu-210-{first + dt.timedelta(hours=8 * n):%Y_%m_%d-%H_%M_%S}.vma.zst" for n in range(MANY)
    ]
    data = bytes.fromhex("28b52ffd").ljust(4096, b"\0")
    for number, name in enumerate(names):
        moment = int(first.timestamp()) + number * 8 * 3600
        files[name] = Entry(data, mtime=moment, ctime=moment)
    try:
        facts = collect(inventory)
    finally:
        for name in names:
            del files[name]
    (archives,) = facts.archives.values()
    assert not isinstance(archives, Gap), archives
    assert len(archives) > MANY
    rows = judging.judge(Site(inventory, facts))
    assert not judging.defects(rows)
    assert not {key for key, row in rows.items() if row.outcome == "error"}
    assert {row.outcome for row in judging.changed(before, rows).values()} <= {"fail", "advisory"}
