"""Faults of the lab's node in memory, from the node's own state over SSH to the rule that turns red."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from backup_standard.audit.site import Site
from backup_standard.collect import collect
from backup_standard.errors import Unknown
from backup_standard.evidence.notes import Evidence
from backup_standard.inventory.loader import load
from lab.memory_node import MemoryNode
from lab.scripted.units import Unit
from tests import labinventory, labsite
from tests_infra import test_sch_nodes as sch
from tests_infra import test_sto_storage as sto

STATE = "/var/lib/pve-manager/jobs/vzdump-nightly-vm210.json"
IMAGE = "/mnt/backup/images/999/vm-999-disk-0.raw"
CRON = "/etc/pve/vzdump.cron"


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[labsite.LabSite]:
    with labsite.running(tmp_path_factory.mktemp("lab"), guests=False) as running:
        yield running


def read(lab: labsite.LabSite) -> Site:
    inventory = load(labinventory.write(lab, lab.folder / "lab.yaml")).inventory
    return Site(inventory, collect(inventory))


def red(site: Site) -> dict[str, str]:
    """The rules on storage and node that do not pass, with their messages."""
    rules: list[tuple[str, Callable[..., None], Any]] = [
        ("STO-01", sto.test_backup_storage_can_take_backups, site.backup_storages[0]),
        ("STO-04", sto.test_backup_storage_holds_backups_only, site.backup_storages[0]),
        ("STO-05", sto.test_backups_lie_on_disks_of_their_own, site.backup_storages[0]),
        ("STO-07", sto.test_backup_storage_is_healthy, site.backup_storages[0]),
        ("STO-08", sto.test_backup_storage_has_room, site.backup_storages[0]),
        ("SCH-03", sch.test_the_scheduler_is_alive, site.nodes[0]),
        ("SCH-07", sch.test_the_clock_is_synchronised, site.nodes[0]),
    ]
    found = {}
    for name, rule, subject in rules:
        try:
            rule(subject, Evidence())
        except AssertionError as finding:
            found[name] = str(finding).split("\n")[0]
        except Unknown as unknown:
            found[name] = f"unknown: {unknown.reason}"
    return found


ATTESTED = {"STO-05", "STO-07"}
"""What virtual disks cannot show; the lab's inventory attests it."""


@contextmanager
def stopped(node: MemoryNode, unit: str, **changes: str) -> Iterator[None]:
    before = node.host.services[unit]
    node.host.services[unit] = Unit(**{"active": "inactive", **changes})
    try:
        yield
    finally:
        node.host.services[unit] = before


@contextmanager
def file(node: MemoryNode, path: str, text: str) -> Iterator[None]:
    before = node.read(path) if node.files.exists(path) else None
    node.makedirs(path.rsplit("/", 1)[0])
    node.write(path, text.encode())
    try:
        yield
    finally:
        if before is None:
            node.unlink(path)
        else:
            node.write(path, before)


@contextmanager
def flag(node: MemoryNode, name: str) -> Iterator[None]:
    setattr(node.backup_disk, name, True)
    try:
        yield
    finally:
        setattr(node.backup_disk, name, False)


@contextmanager
def skewed(node: MemoryNode, seconds: float) -> Iterator[None]:
    node.skew += seconds
    try:
        yield
    finally:
        node.skew -= seconds


def test_the_healthy_lab_leaves_open_only_what_it_attests(lab: labsite.LabSite) -> None:
    found = red(read(lab))
    assert set(found) == ATTESTED
    assert all(message.startswith("unknown: ") for message in found.values())


@pytest.mark.parametrize(
    ("fault", "rule", "message"),
    [
        (lambda node: flag(node, "readonly"), "STO-07", "the file system at /mnt/backup is read-only"),
        (lambda node: flag(node, "full"), "STO-08", "lack on storage backup-hdd"),
        (lambda node: stopped(node, "pvescheduler.service"), "SCH-03", "does not run (inactive, enabled)"),
        (lambda node: stopped(node, "pvescheduler.service", active="active", enabled="disabled"), "SCH-03", "reboot"),
        (lambda node: stopped(node, "chrony.service"), "SCH-07", "no time service steers the clock of node pve1"),
        (lambda node: skewed(node, 95), "SCH-07", "ahead of the clock of this machine"),
        (lambda node: file(node, STATE, '{"state": "started", "upid": "UPID:pve1:0:0:60000000:vzdump:210:root@pam:"}'),
         "SCH-03", "job nightly-vm210 is marked as started"),
        (lambda node: file(node, IMAGE, "x"), "STO-04", IMAGE),
    ],
)  # fmt: skip
def test_a_fault_turns_its_rule_red_and_no_other(
    lab: labsite.LabSite, fault: Callable[[MemoryNode], Any], rule: str, message: str
) -> None:
    with fault(lab.hypervisor.node):
        found = red(read(lab))
    assert message in found[rule]
    assert set(found) == ATTESTED | {rule}


def test_an_old_cron_file_is_advised_against(lab: labsite.LabSite) -> None:
    with file(lab.hypervisor.node, CRON, "0 2 * * * root vzdump 210\n"):
        node = read(lab).nodes[0]
    assert "vzdump.cron still holds a backup job" in node.cron_advice


def test_a_guest_disk_beside_the_backups_turns_dedication_and_separation_red(lab: labsite.LabSite) -> None:
    site = lab.site
    site.storages["vms"] = {"type": "dir", "path": "/mnt/backup", "content": "images"}
    site.guests[210].config["scsi1"] = "vms:210/vm-210-disk-1.raw,size=1G"
    try:
        found = red(read(lab))
    finally:
        del site.storages["vms"]
        del site.guests[210].config["scsi1"]
    assert "VM 210 (dns) scsi1 on storage vms" in found["STO-04"]
    assert found["STO-05"].startswith("the backups lie on /dev/vdc")
    assert set(found) == ATTESTED | {"STO-04"}


def test_errors_in_the_kernels_journal_count_until_the_next_good_backup(lab: labsite.LabSite) -> None:
    node = lab.hypervisor.node
    node.journal("kernel", "I/O error, dev vdc, sector 2048 op 0x1:(WRITE)", 3)
    assert "the kernel reports errors of the disk: I/O error, dev vdc" in red(read(lab))["STO-07"]
