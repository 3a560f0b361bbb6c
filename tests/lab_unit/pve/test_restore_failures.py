"""Restores that are refused, fail or are cut short: what they say and what they leave behind."""

from __future__ import annotations

import threading

import pytest

from lab.archive import ArchiveDamaged
from lab.hypervisor import HypervisorError
from lab.pve.restore_task import ProgressLog
from lab.waiting import until
from tests.lab_unit.pve.guestlab import DB, DRILLER, NOBODY, Lab, drill_role

STUB = (
    "error before or during data restore, some or all disks were not completely restored."
    " VM 201 state is NOT cleaned up."
)
ARBITRARY = "Only root can pass arbitrary filesystem paths. at /usr/share/perl5/PVE/Storage.pm line 651."


@pytest.mark.parametrize(
    ("params", "status", "reason"),
    [
        ({"vmid": 200}, 500, "unable to restore VM 200 - VM 200 already exists on node 'pve1'"),
        ({"archive": "backup-hdd:backup/vzdump-qemu-200-2020_01_01-00_00_00.vma.zst"}, 500,
         "volume 'backup-hdd:backup/vzdump-qemu-200-2020_01_01-00_00_00.vma.zst' does not exist"),
        ({"archive": "/mnt/backup/dump/vzdump-qemu-200-2026_11_23-20_46_15.vma.zst"}, 500,
         ARBITRARY),
        ({"archive": "bogus"}, 500, ARBITRARY),
        ({"uniq": 1}, 400, "Parameter verification failed."),
        ({"vmid": 99}, 400, "Parameter verification failed."),
        ({"virtio0": "vmdata:4"}, 400, "Parameter verification failed."),
        ({"lock": "backup"}, 500, "only root can set 'lock' config"),
        ({"args": "-foo"}, 500, "only root can set 'args' config"),
    ],
)  # fmt: skip
def test_refusals_that_come_at_once(lab: Lab, params: dict[str, object], status: int, reason: str) -> None:
    given = {"vmid": 201, "archive": DB, "storage": "vmdata", **params}

    assert lab.refused("POST", "~/qemu", **given) == (status, reason)
    assert 201 not in lab.site.guests


def test_an_unmounted_backup_disk_refuses_at_once(lab: Lab) -> None:
    lab.site.storages["backup-hdd"]["is_mountpoint"] = "/mnt/elsewhere"

    assert lab.refused("POST", "~/qemu", vmid=201, archive=DB, storage="vmdata") == (
        500,
        (
            "unable to activate storage 'backup-hdd' - directory is expected to be a mount point but is not mounted:"
            " '/mnt/elsewhere'"
        ),
    )


def test_an_unknown_target_storage_fails_in_the_task_and_leaves_an_empty_stub(lab: Lab) -> None:
    task = lab.run("POST", "~/qemu", vmid=201, archive=DB, storage="nope")

    assert task.status.startswith("command 'set -o pipefail && zstd -q -d -c ")
    assert task.status.endswith("failed: storage 'nope' does not exist")
    assert task.log[-2] == STUB
    assert lab.data("GET", "~/qemu/201/config") == {"digest": "da39a3ee5e6b4b0d3255bfef95601890afd80709"}
    assert lab.data("GET", "~/qemu/201/status/current")["name"] == "VM 201"
    assert lab.refused("POST", "~/qemu", vmid=201, archive=DB)[1].endswith("VM 201 already exists on node 'pve1'")


def test_damaged_data_leaves_a_stub_with_128_mib_and_no_volume(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    def damaged(*_: object) -> None:
        raise ArchiveDamaged(
            "short vma extent (468480 < 3785216)", decoder="x.zst : Decoding error (36) : Data corruption detected "
        )

    monkeypatch.setattr(lab.hypervisor, "extract_archive", damaged)
    task = lab.restore()

    assert task.status.endswith("failed: exit code 133")
    log = task.log
    assert "vma: restore failed - short vma extent (468480 < 3785216)" in log
    assert log[-4:-1] == [
        "temporary volume 'vmdata:vm-201-disk-0' successfully removed",
        "no lock found trying to remove 'create'  lock",
        STUB,
    ]
    assert lab.data("GET", "~/qemu/201/config") == {
        "memory": "128",
        "digest": "d80cf9efe61493ebd6c6b36f2fea2f9b0a552524",
    }
    assert "vmdata:vm-201-disk-0" not in lab.hypervisor.volumes()
    assert lab.run("POST", "~/qemu/201/status/start").status == "start failed: QEMU exited with code 1"
    assert lab.run("POST", "~/qemu/201/status/stop").status == "OK"
    assert lab.run("DELETE", "~/qemu/201", purge=1).status == "OK"


def test_a_damaged_file_fails_as_the_real_one(lab: Lab) -> None:
    path = "/mnt/backup/dump/vzdump-qemu-200-2026_11_23-20_46_15.vma.zst"
    data = lab.hypervisor.node.read(path)
    lab.hypervisor.node.write(path, data[: len(data) * 3 // 4])

    task = lab.restore()

    assert task.status.startswith("command 'set -o pipefail && ")
    assert task.log[-2] == STUB


def test_an_unreadable_header_skips_the_early_checks_and_times_out(lab: Lab) -> None:
    lab.hypervisor.node.write("/mnt/backup/dump/vzdump-qemu-200-2026_11_23-20_46_15.vma.zst", b"")
    task = lab.restore()

    assert task.log[0].startswith("Could not extract backed up config: Failed to extract config from VMA archive: ")
    assert task.log[3] == "Skipping early checks!"
    assert task.status.endswith("failed: got timeout reading VMA header - corrupted?")
    assert lab.config(201) == {}


def test_a_full_target_is_told_and_cleaned_up(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise HypervisorError("blk_pwrite to  failed (-28)")

    monkeypatch.setattr(lab.hypervisor, "extract_archive", full)
    task = lab.restore()

    assert "vma: restore failed - blk_pwrite to  failed (-28)" in task.log
    assert any("Broken pipe" in line for line in task.log)
    assert task.status.endswith("failed: exit code 133")


def test_force_replaces_a_stopped_guest_and_frees_its_old_disk(lab: Lab) -> None:
    lab.restore()
    task = lab.restore(force=1, name="again")

    assert task.status == "OK"
    assert lab.config(201)["name"] == "again"
    assert lab.config(201)["virtio0"] == "vmdata:vm-201-disk-0,size=4M"


def test_force_on_a_running_or_protected_guest_fails_in_the_task(lab: Lab) -> None:
    lab.restore(start=1, net0="virtio,bridge=vmbr9")
    running = lab.restore(force=1)
    lab.run("POST", "~/qemu/201/status/stop")
    lab.data("PUT", "~/qemu/201/config", protection=1)
    protected = lab.restore(force=1)

    assert running.log == [STUB, "TASK ERROR: unable to restore VM 201 - vm is running"]
    assert protected.status == "unable to restore VM 201 - - protection mode enabled"
    assert "lock" not in lab.config(201)


def test_force_on_a_locked_guest_is_refused_at_once(lab: Lab) -> None:
    lab.restore()
    lab.site.guests[201].config["lock"] = "backup"

    assert lab.refused("POST", "~/qemu", vmid=201, archive=DB, force=1) == (
        500,
        "unable to restore VM 201 - VM is locked (backup)",
    )


def test_the_firewall_file_comes_back_with_the_guest(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    header = lab.hypervisor.read_archive_header("/mnt/backup/dump/vzdump-qemu-200-2026_11_23-20_46_15.vma.zst")
    changed = type(header)(header.uuid, header.ctime, header.config, "[OPTIONS]\n\nenable: 1\n", header.disks)
    monkeypatch.setattr(lab.hypervisor, "read_archive_header", lambda _path: changed)
    lab.restore()

    assert lab.data("GET", "~/qemu/201/firewall/options")["enable"] == 1


def test_the_pool_is_joined_after_the_restore(lab: Lab) -> None:
    lab.restore(pool="drill")

    assert lab.site.guests[201].pool == "drill"


@pytest.mark.parametrize(
    ("missing", "reason"),
    [
        ("VM.Allocate", "Permission check failed"),
        ("Datastore.AllocateSpace", "Permission check failed (/storage/vmdata, Datastore.AllocateSpace)"),
        ("VM.Backup", "Permission check failed (/vms/200, VM.Backup)"),
    ],
)
def test_missing_privileges_that_refuse_at_once(lab: Lab, missing: str, reason: str) -> None:
    drill_role(lab.site, without=missing)

    assert lab.refused("POST", "~/qemu", DRILLER, vmid=201, archive=DB, storage="vmdata", unique=1) == (403, reason)


def test_without_sdn_use_on_the_archived_bridge_the_task_fails_and_leaves_a_stub(lab: Lab) -> None:
    drill_role(lab.site, without="SDN.Use")
    task = lab.restore(who=DRILLER, unique=1)

    assert task.status == "403 Permission check failed (/sdn/zones/localnetwork/vmbr0, SDN.Use)"
    assert lab.config(201) == {}


def test_a_network_override_moves_the_check_to_the_new_bridge(lab: Lab) -> None:
    drill_role(lab.site, without="SDN.Use")
    lab.site.access.add_role("Bridge", {"SDN.Use"})
    for who in ("driller@pve", DRILLER):
        lab.site.access.grant("/sdn/zones/localnetwork/vmbr9", who, "Bridge")
        lab.site.access.grant("/sdn/zones/localnetwork/vmbr9", who, "Drill")

    assert lab.restore(who=DRILLER, net0="virtio,bridge=vmbr9").status == "OK"


def test_each_overridden_key_asks_for_its_privilege(lab: Lab) -> None:
    drill_role(lab.site, without="VM.Config.Options")

    assert lab.refused("POST", "~/qemu", DRILLER, vmid=201, archive=DB, storage="vmdata", onboot=0) == (
        403, "Permission check failed (/vms/201, VM.Config.Options)",
    )  # fmt: skip
    assert lab.restore(who=DRILLER).status == "OK"


def test_passthrough_of_a_real_device_is_refused_to_all_but_root(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    header = lab.hypervisor.read_archive_header("/mnt/backup/dump/vzdump-qemu-200-2026_11_23-20_46_15.vma.zst")
    changed = type(header)(header.uuid, header.ctime, "hostpci0: host=01:00.0\n" + header.config, None, header.disks)
    monkeypatch.setattr(lab.hypervisor, "read_archive_header", lambda _path: changed)

    assert lab.restore(who=DRILLER).status == "only root can set 'hostpci0' config for real devices/non-mapped devices"


def test_nobody_learns_nothing(lab: Lab) -> None:
    assert lab.refused("POST", "~/qemu", NOBODY, vmid=201, archive=DB) == (403, "Permission check failed")


def test_while_it_runs_the_vmid_is_taken_and_the_guest_locked(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    holding, go = threading.Event(), threading.Event()
    extract = lab.hypervisor.extract_archive

    def slow(*args: object) -> object:
        holding.set()
        go.wait(10)
        return extract(*args)  # type: ignore[arg-type]

    monkeypatch.setattr(lab.hypervisor, "extract_archive", slow)
    upid = lab.data("POST", "~/qemu", vmid=201, archive=DB, storage="vmdata")
    assert holding.wait(10)
    lock = "can't lock file '/var/lock/qemu-server/lock-201.conf' - got timeout"
    try:
        assert lab.config(201) == {"memory": "128"}
        assert lab.refused("GET", "/cluster/nextid", vmid=201)[0] == 400
        assert lab.refused("POST", "~/qemu", vmid=201, archive=DB) == (500, f"unable to restore VM 201 - {lock}")
        assert lab.refused("PUT", "~/qemu/201/config", onboot=0) == (500, lock)
        started = lab.run("POST", "~/qemu/201/status/start")
        assert started.log == ["trying to acquire lock...", f"TASK ERROR: {lock}"]
    finally:
        go.set()
    assert lab.site.tasks.wait(upid).status == "OK"


def test_a_cancelled_restore_is_interrupted_and_removes_its_volume(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    holding = threading.Event()

    def endless(_path: str, _volids: object, progress: ProgressLog) -> None:
        holding.set()
        until(lambda: progress(1, 1000), timeout=10)

    monkeypatch.setattr(lab.hypervisor, "extract_archive", endless)
    upid = lab.data("POST", "~/qemu", vmid=201, archive=DB, storage="vmdata")
    assert holding.wait(10)
    lab.data("DELETE", f"~/tasks/{upid}")
    task = lab.site.tasks.wait(upid)

    assert task.status == "interrupted by signal"
    assert "vmdata:vm-201-disk-0" not in lab.hypervisor.volumes()
    assert lab.config(201) == {"memory": "128"}
