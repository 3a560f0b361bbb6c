"""Plans of drills: which archive goes into which VMID, and what is left out and why."""

from __future__ import annotations

import datetime as dt
from dataclasses import replace
from typing import Any

from backup_standard.drill.names import Reserved
from backup_standard.drill.plan import Plan, plan_drills
from backup_standard.inventory.schema import Inventory
from backup_standard.model import Archive, Facts, Gap, Guest, GuestKind
from backup_standard.model.dumps import DumpFile, DumpFolder


def facts(*guests: Guest | Gap, archives: tuple[Archive, ...] = ()) -> Facts:
    by_vmid: dict[int, Guest | Gap] = {
        (guest.vmid if isinstance(guest, Guest) else 240): guest for guest in guests
    }  # fmt: skip
    return Facts(dt.datetime.now(dt.UTC), "9.2", {}, by_vmid, {}, {}, {}, {"pve1/backup-hdd": archives}, {}, {})


def inventory(guests: dict[int, Any], **changes: Any) -> Inventory:
    return Inventory.model_validate({
        "client": "acme", "site": {"name": "x", "timezone": "Europe/Berlin"},
        "api": {"url": "https://pve1:8006", "audit_token": {"id": "a@pve!b", "secret": "env:X"}},
        "policy": {"storage": "backup-hdd"}, "guests": guests,
        "drill": {"bridge": "vmbr9", "storage": "vmdata", "vmids": "9000-9001"},
    } | changes)  # fmt: skip


def vm(vmid: int, **changes: Any) -> Guest:
    return Guest(
        **({"vmid": vmid, "kind": GuestKind.QEMU, "name": f"g{vmid}", "node": "pve1", "status": "running"} | changes)
    )  # type: ignore[arg-type]


def archive(vmid: int, ctime: int) -> Archive:
    name = f"vzdump-qemu-{vmid}-2026_11_0{ctime}-02_00_01.vma.zst"
    return Archive(f"backup-hdd:backup/{name}", "backup-hdd", "pve1", vmid, "qemu", ctime)


def made() -> Plan:
    drilled = {"role": "dns", "drill": {"services": "none", "services_reason": "x"}}
    guests = {
        100: {"role": "golden-template", "drill": {"vmid": 101}}, 200: {"role": "dns"}, 210: drilled, 211: drilled,
        220: {"role": "infrastructure"}, 230: {"role": "client-data"}, 240: {"role": "dns"},
        250: {"role": "dns"}, 300: {"role": "scratch"},
    }  # fmt: skip
    seen = facts(
        vm(100, template=True, config={"scsi0": "a:b,size=2G"}), vm(200), vm(210), vm(211), vm(220), vm(300),
        vm(230, kind=GuestKind.LXC), Gap("guest 240", reason="hidden"), vm(9000),
        archives=(archive(100, 1), archive(100, 5), archive(100, 3), archive(210, 1)),
    )  # fmt: skip
    return plan_drills(inventory(guests), seen)


def test_the_newest_archive_goes_into_the_declared_vmid_and_a_template_reserves_one_for_a_clone() -> None:
    template = made().of(100)
    assert (template.temporary_vmid, template.archive.ctime if template.archive else 0) == (101, 5)
    assert (template.clone_vmid, template.template, template.disk_bytes) == (9001, True, 2 << 30)
    assert template.estimate > dt.timedelta(minutes=15)


def test_archives_of_another_kind_of_guest_and_renamed_ones_are_not_restored() -> None:
    former = Archive("b:backup/vzdump-lxc-210-2026_11_09-02_00_01.tar.zst", "backup-hdd", "pve1", 210, "lxc", 9)
    renamed = Archive("b:backup/vzdump-qemu-210-before-upgrade.vma.zst", "backup-hdd", "pve1", 210, "qemu", 8)
    seen = facts(vm(210), archives=(archive(210, 1), former, renamed))
    plan = plan_drills(inventory({210: {"role": "dns", "drill": {"services": "none", "services_reason": "x"}}}), seen)
    assert plan.of(210).archive == archive(210, 1)


def test_a_snapshot_of_a_backup_server_is_an_archive_like_any_other() -> None:
    seen = facts(vm(210), archives=(
        Archive("pbs:backup/vm/210/2026-11-22T01:00:03Z", "backup-hdd", "pve1", 210, "qemu", 5),
        Archive("pbs:backup/vm/210/2026-11-23T01:00:02Z", "backup-hdd", "pve1", 210, "qemu", 9),
        Archive("pbs:backup/vm/210/by-hand", "backup-hdd", "pve1", 210, "qemu", 11),
    ))  # fmt: skip
    plan = plan_drills(inventory({210: {"role": "dns", "drill": {"services": "none", "services_reason": "x"}}}), seen)
    assert plan.of(210).volid == "pbs:backup/vm/210/2026-11-23T01:00:02Z"


def test_an_archive_whose_size_the_api_hides_has_the_size_of_its_file() -> None:
    newest = archive(100, 5)
    folder = DumpFolder("/mnt/backup/dump", 1, (DumpFile(newest.filename, 4096, 5, 1),))
    seen = replace(facts(vm(100), archives=(newest,)), dumps={"pve1/backup-hdd": folder})
    drilled = plan_drills(inventory({100: {"role": "golden-template", "drill": {"vmid": 101}}}), seen).of(100)
    assert drilled.archive == replace(newest, size=4096)


def test_a_guest_without_a_free_vmid_or_archive_is_planned_with_its_refusal() -> None:
    plan = made()
    assert plan.of(210).refusal == "no VMID of the range 9000-9001 is free"
    assert plan.of(211).refusal.startswith("there is no archive of VM 211 (g211) on backup-hdd")
    assert any("size of its disks unknown" in line and "no archive" in line for line in plan.lines())


def test_every_mandatory_guest_left_out_is_listed_with_the_reason() -> None:
    reasons = {guest.vmid: guest.reason for guest in made().not_covered}
    assert set(reasons) == {200, 220, 230, 240, 250}
    assert "guests.200.drill" in reasons[200]
    assert "guests.220.drill" in reasons[220]
    assert "guests.230.drill" in reasons[230]
    assert "hidden" in reasons[240]
    assert "does not exist" in reasons[250]
    assert any(line.startswith("not yet covered  guest 230 (g230)") for line in made().lines())


def test_without_a_drill_section_no_guest_is_planned() -> None:
    bare = inventory({210: {"role": "dns", "drill": {}}}, drill=None)
    plan = plan_drills(bare, facts(vm(210)))
    assert plan.drills == ()
    assert "no drill section" in plan.not_covered[0].reason


def test_reserved_vmids_never_include_production() -> None:
    reserved = Reserved({200: 201}, 9000, 9002, frozenset({200, 9001}))
    assert [vmid for vmid in (200, 201, 9000, 9001, 9002, 9003, "201") if vmid in reserved] == [201, 9000, 9002]
    assert list(reserved.from_range()) == [9000, 9002]
    assert str(reserved) == "200→201; 9000-9002"
