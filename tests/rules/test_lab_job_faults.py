"""Faults of jobs, archives and runs in the lab's site in memory, from the API and the node to the rule that turns red.

Each fault turns exactly the rules red that are about it; what is only recommended shows as such.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any

import pytest

from backup_standard.audit.site import Site
from backup_standard.collect import collect
from backup_standard.errors import Unknown
from backup_standard.evidence.notes import Evidence
from backup_standard.inventory.loader import load
from lab.pve.tasks import closing_line
from tests import labinventory, labsite
from tests_infra import test_cmp_compression as cmp
from tests_infra import test_ret_retention as ret
from tests_infra import test_sch_schedule as sch
from tests_infra import test_tgt_targets as tgt
from tests_infra import test_ver_verification as ver
from tests_infra import test_wfl_workflow as wfl

DUMP = "/mnt/backup/dump"
OF_GUEST: dict[str, Callable[..., None]] = {
    "TGT-04": tgt.test_every_data_volume_is_in_the_backups,
    "SCH-02": sch.test_run_is_planned_for_the_hour_of_the_policy,
    "SCH-04": sch.test_runs_stay_within_the_hours_of_low_usage,
    "SCH-05": sch.test_job_is_named_after_its_guest,
    "SCH-06": sch.test_no_run_was_missed_unnoticed,
    "SCH-08": sch.test_job_uses_mode_snapshot,
    "RET-02": ret.test_retention_is_enforced_by_proxmox_itself,
    "RET-03": ret.test_archives_already_hold_the_nights,
    "RET-04": ret.test_retention_keeps_the_recommended_nights,
    "CMP-02": cmp.test_newest_archive_is_packed_with_zstd,
    "VER-03": ver.test_newest_archive_is_a_whole_file_on_the_backup_disk,
    "VER-04": ver.test_no_error_of_backups_is_left_unmended,
    "VER-06": ver.test_archive_sizes_are_plausible,
}
Fault = Callable[[labsite.LabSite], AbstractContextManager[None]]


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[labsite.LabSite]:
    with labsite.running(tmp_path_factory.mktemp("lab"), guests=False) as running:
        yield running


def red(lab: labsite.LabSite, vmid: int = 210) -> dict[str, str]:
    """The rules that do not pass, with their messages."""
    inventory = load(labinventory.write(lab, lab.folder / "lab.yaml")).inventory
    site = Site(inventory, collect(inventory))
    guest = next(one for one in site.guests if one.vmid == vmid)
    rows: list[tuple[str, Callable[..., None], Any]] = [(name, rule, guest) for name, rule in OF_GUEST.items()]
    rows += [("TGT-01", tgt.test_required_role_is_declared_and_exists, role) for role in site.required_roles]
    rows += [("TGT-03", tgt.test_every_guest_is_classified_and_backed_up_or_exempt, one) for one in site.everyone]
    rows += [("TGT-05", tgt.test_job_names_only_guests_that_exist, job) for job in site.jobs]
    rows += [("RET-05", ret.test_no_archive_escapes_retention_unnoticed, site.backup_storages[0])]
    rows += [("WFL-01", wfl.test_a_way_back_before_the_last_change_exists, site.golden_templates[0])]
    rows += [("WFL-02", wfl.test_a_backup_since_the_last_change_exists, one) for one in site.golden_templates]
    found = {}
    for name, rule, subject in rows:
        try:
            rule(subject, Evidence())
        except (AssertionError, Unknown) as finding:
            found[name] = str(finding).split("\n", maxsplit=1)[0]
    return found


def job(**changes: object) -> Fault:
    """A changed job of guest 210; None takes an option away."""

    @contextmanager
    def made(lab: labsite.LabSite) -> Iterator[None]:
        section = lab.site.jobs["nightly-vm210"]
        before = dict(section)
        section.update({key.replace("_", "-"): value for key, value in changes.items()})
        for key in [key for key, value in section.items() if value is None]:
            del section[key]
        yield
        section.clear()
        section.update(before)

    return made


def config(key: str, value: object) -> Fault:
    """A line more in the configuration of guest 210."""

    @contextmanager
    def made(lab: labsite.LabSite) -> Iterator[None]:
        kept = dict(lab.site.guests[210].config)
        lab.site.guests[210].config[key] = value  # type: ignore[assignment]
        yield
        lab.site.guests[210].config.clear()
        lab.site.guests[210].config.update(kept)

    return made


def newest(lab: labsite.LabSite) -> str:
    names = sorted(file.name for file in lab.hypervisor.node.listdir(DUMP) if file.name.endswith(".vma.zst"))
    return f"{DUMP}/{[name for name in names if '-210-' in name][-1]}"


def content(change: Callable[[bytes], bytes]) -> Fault:
    """Another content of the newest archive."""

    @contextmanager
    def made(lab: labsite.LabSite) -> Iterator[None]:
        node, path = lab.hypervisor.node, newest(lab)
        before = node.read(path)
        node.write(path, change(before))
        yield
        node.write(path, before)

    return made


def file(name: str, data: bytes = b"x" * 1000, age: int = 86400) -> Fault:
    """A file more in the dump folder."""

    @contextmanager
    def made(lab: labsite.LabSite) -> Iterator[None]:
        node = lab.hypervisor.node
        node.write(f"{DUMP}/{name}", data, node.now() - age)
        yield
        node.unlink(f"{DUMP}/{name}")

    return made


@contextmanager
def journal_error(lab: labsite.LabSite) -> Iterator[None]:
    entries = lab.hypervisor.node.log.entries
    before = list(entries)
    lab.hypervisor.node.journal("vzdump", "ERROR: Backup of VM 210 failed - VM is locked (backup)", 3)
    yield
    entries[:] = before


@contextmanager
def failed_task(lab: labsite.LabSite) -> Iterator[None]:
    """The newest run of guest 210 as one that failed, without its archive."""
    task = max((one for one in lab.site.tasks.all() if one.id == "210"), key=lambda one: one.starttime)
    node, path = lab.hypervisor.node, newest(lab)
    kept, status, log = node.read(path), task.status, list(task.log)
    task.status = "job errors"
    task.log[:] = [*log[:3], "ERROR: Backup of VM 210 failed - no space left on device", closing_line("job errors")]
    mtime = node.files.entry(path).mtime
    node.unlink(path)
    yield
    node.write(path, kept, mtime)
    task.status = status
    task.log[:] = log


SPARE = "vmdata:vm-210-disk-7,size=1G"


@pytest.mark.parametrize(
    ("fault", "expected"),
    [
        pytest.param(job(schedule="03:30"), {"SCH-02"}, id="another hour"),
        pytest.param(job(mode="stop"), {"SCH-08"}, id="mode stop"),
        pytest.param(job(vmid="210,999"), {"TGT-05"}, id="a ghost"),
        pytest.param(job(**{"prune-backups": "keep-all=1"}), {"RET-02"}, id="keep-all"),
        pytest.param(job(**{"prune-backups": None}), {"RET-02"}, id="no retention"),
        pytest.param(job(remove=0), {"RET-02"}, id="remove=0"),
        pytest.param(job(**{"prune-backups": "keep-last=7"}), {"RET-04"}, id="keep-last=7"),
        pytest.param(config("virtio1", f"{SPARE},backup=0"), {"TGT-04"}, id="disk left out"),
        pytest.param(config("template", 1), {"TGT-01"}, id="a template"),
        pytest.param(content(lambda data: data[: len(data) // 3]), {"VER-06"}, id="truncated"),
        pytest.param(content(lambda _data: b""), {"VER-03", "VER-06", "CMP-02"}, id="empty"),
        pytest.param(content(lambda data: b"\x1f\x8b" + data[2:]), {"CMP-02"}, id="gzip inside"),
        pytest.param(file("vzdump-qemu-210-2026_01_01-02_00_00.vma.dat"), {"VER-03"}, id="left behind"),
        pytest.param(file("vzdump-qemu-333-2026_01_01-02_00_00.vma.zst"), {"RET-05"}, id="deleted guest"),
        pytest.param(file("vzdump-qemu-210-before.vma.zst"), {"RET-05"}, id="renamed"),
        pytest.param(journal_error, {"VER-04"}, id="journal"),
        pytest.param(failed_task, {"VER-04"}, id="failed task"),
    ],
)
def test_a_fault_turns_the_rules_red_that_are_about_it(lab: labsite.LabSite, fault: Fault, expected: set[str]) -> None:
    with fault(lab):
        found = red(lab)
    assert set(found) == expected, found


def test_a_healthy_site_has_nothing_red(lab: labsite.LabSite) -> None:
    for vmid in (100, 200, 210, 220, 230):
        assert red(lab, vmid) == {}


@pytest.mark.parametrize(
    "fault",
    [
        pytest.param(job(mode=None), id="no mode"),
        pytest.param(job(**{"repeat-missed": 1}), id="repeat missed"),
        pytest.param(job(**{"prune-backups": "keep-daily=30"}), id="thirty days"),
        pytest.param(job(schedule="*-*-* 02:00:00"), id="long schedule"),
        pytest.param(config("virtio1", SPARE), id="a second disk"),
        pytest.param(file("vzdump-qemu-210-2026_01_01-02_00_00.vma.dat", age=5), id="being written"),
        pytest.param(file("notes.txt"), id="a foreign file"),
    ],
)
def test_a_healthy_variant_stays_green(lab: labsite.LabSite, fault: Fault) -> None:
    with fault(lab):
        assert red(lab) == {}
