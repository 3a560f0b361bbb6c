"""Answers as recorded from Proxmox VE become values of the model."""

from __future__ import annotations

from typing import Any

import pytest

from backup_standard.collect import shapes
from backup_standard.model import GuestKind, IncludedVolume


@pytest.mark.parametrize(
    ("raw", "maxfiles", "keeps"),
    [
        (None, None, None),
        ({"keep-last": "3", "keep-weekly": "2"}, None, {"keep-last": 3, "keep-weekly": 2}),
        ("keep-last=3,keep-weekly=2", None, {"keep-last": 3, "keep-weekly": 2}),
        ({"keep-all": 1}, None, {"keep-all": 1}),
        ("keep-daily=7", 3, {"keep-daily": 7}),
        (None, "7", {"keep-last": 7}),
        (None, 0, {"keep-all": 1}),
    ],
)
def test_retention_comes_as_object_string_or_maxfiles(raw: Any, maxfiles: Any, keeps: Any) -> None:
    assert shapes.keeps(raw, maxfiles) == keeps


@pytest.mark.parametrize(
    ("raw", "schedule"),
    [
        ({"schedule": "mon 03:00", "starttime": "02:00", "dow": "tue"}, "mon 03:00"),
        ({"starttime": "02:00"}, "02:00"),
        ({"starttime": "2:0", "dow": "mon,tue,wed,thu,fri,sat,sun"}, "2:0"),
        ({"starttime": "02:00", "dow": "mon,wed"}, "mon,wed 02:00"),
        ({"starttime": "01:15", "dow": "sat sun"}, "sat,sun 01:15"),
        ({"dow": "mon"}, ""),
        ({}, ""),
    ],
)
def test_before_7_1_a_job_has_a_start_time_and_days(raw: dict[str, str], schedule: str) -> None:
    assert shapes.job({"id": "a" * 40 + ":1", **raw}, {}).schedule == schedule


def test_what_maxfiles_of_a_job_means_depends_on_the_release_and_is_left_to_the_rules() -> None:
    job = shapes.job({"id": "j", "maxfiles": "7"}, {})
    assert (job.prune, job.raw["maxfiles"]) == (None, "7")


def test_a_job_of_a_list_of_guests() -> None:
    raw = {
        "next-run": 1795485600, "enabled": 1, "compress": "zstd", "storage": "backup-hdd", "vmid": "100,210",
        "prune-backups": {"keep-last": "3"}, "id": "nightly", "schedule": "02:00", "type": "vzdump", "mode": "snapshot",
        "performance": {"max-workers": "2"},
    }  # fmt: skip
    included = {
        "children": [
            {
                "id": 210, "type": "qemu", "leaf": 0, "name": "app",
                "children": [
                    {"id": "210:scsi0", "name": "local:210/a.qcow2", "leaf": 1, "reason": "backup=yes", "included": 1},
                    {"id": "210:scsi1", "name": "local:210/b.raw", "leaf": 1, "reason": "backup=no", "included": 0},
                ],
            },
            {"id": 999, "type": "unknown", "leaf": 1},
        ]
    }  # fmt: skip

    job = shapes.job(raw, included)

    assert (job.id, job.enabled, job.schedule, job.storage, job.mode) == (
        "nightly", True, "02:00", "backup-hdd", "snapshot",
    )  # fmt: skip
    assert (job.compress, job.prune, job.remove, job.node) == ("zstd", {"keep-last": 3}, None, None)
    assert (job.selection, job.vmids, job.ghosts) == ("list", (100, 210), (999,))
    assert job.includes == {
        210: (
            IncludedVolume(210, "scsi0", "local:210/a.qcow2", included=True),
            IncludedVolume(210, "scsi1", "local:210/b.raw", included=False),
        )
    }
    assert job.raw["performance"] == '{"max-workers": "2"}'


@pytest.mark.parametrize(
    ("raw", "selection"),
    [
        ({"all": 1}, "all"),
        ({"all": 1, "exclude": "210, 220"}, "all but 210, 220"),
        ({"pool": "prod"}, "pool prod"),
        ({"vmid": "100"}, "list"),
    ],
)
def test_what_a_job_selects(raw: Any, selection: Any) -> None:
    job = shapes.job({"id": "x", "enabled": "0", "remove": 0, **raw}, {"children": []})

    assert job.selection == selection
    assert (job.enabled, job.remove, job.schedule, job.compress, job.prune) == (False, False, "", None, None)


def test_a_job_without_the_key_is_enabled() -> None:
    assert shapes.job({"id": "x"}, {}).enabled


@pytest.mark.parametrize(
    ("raw", "mountpoint"), [(None, ""), ("0", ""), ("no", ""), ("1", "yes"), ("yes", "yes"), ("/mnt", "/mnt")]
)
def test_a_storage(raw: Any, mountpoint: Any) -> None:
    given = {"content": "backup,iso", "type": "dir", "storage": "b", "prune-backups": "keep-last=3", "path": "/mnt/b"}
    storage = shapes.storage(given | ({} if raw is None else {"is_mountpoint": raw}))

    assert storage.is_mountpoint == mountpoint
    assert (storage.content, storage.prune, storage.nodes) == ({"backup", "iso"}, {"keep-last": 3}, None)
    assert (storage.disabled, storage.shared, storage.on("pve1")) == (False, False, True)


def test_a_storage_of_some_nodes_and_a_disabled_one() -> None:
    some = shapes.storage({"type": "dir", "storage": "b", "nodes": "pve1,pve2", "shared": 1, "maxfiles": 2})
    assert (some.nodes, some.shared, some.prune, some.on("pve3")) == ({"pve1", "pve2"}, True, {"keep-last": 2}, False)
    assert not shapes.storage({"type": "dir", "storage": "b", "disable": 1}).on("pve1")


def test_guests_of_both_kinds() -> None:
    raw = {
        "type": "qemu",
        "vmid": 100,
        "node": "pve1",
        "template": 1,
        "tags": "prod;web",
        "status": "stopped",
        "name": "t",
    }
    template = shapes.guest(raw, {"memory": 512, "net0": "virtio=x,bridge=vmbr0"})
    container = shapes.guest({"type": "lxc", "vmid": "230", "node": "pve1", "lock": "backup", "pool": "prod"}, {})
    locked = shapes.guest(raw, {"lock": "create"})

    assert (template.kind, template.template, template.tags) == (GuestKind.QEMU, True, ("prod", "web"))
    assert template.config == {"memory": "512", "net0": "virtio=x,bridge=vmbr0"}
    assert (container.vmid, container.kind, container.lock, container.pool) == (230, GuestKind.LXC, "backup", "prod")
    assert locked.lock == "create"


def test_a_node_of_each_release() -> None:
    new = shapes.node(
        "pve1",
        {"pveversion": "pve-manager/9.2.11/f69", "current-kernel": {"release": "6.18.44-pve"}},
        {"timezone": "Etc/UTC", "time": 5},
        0.5,
    )
    old = shapes.node("pve1", {"kversion": "Linux 5.15"}, {"time": "5"}, 0)
    assert (new.version, new.kernel, new.timezone, new.now, new.skew) == ("9.2.11", "6.18.44-pve", "Etc/UTC", 5, 0.5)
    assert (old.version, old.kernel, old.timezone) == ("", "Linux 5.15", "")


def test_archives_with_and_without_what_only_the_content_listing_knows() -> None:
    line = {
        "ctime": 1795466775, "mark": "keep", "type": "qemu", "vmid": 200,
        "volid": "b:backup/vzdump-qemu-200-2026_11_23-20_46_15.vma.zst",
    }  # fmt: skip
    bare = shapes.archive("pve1", "b", line, {})
    full = shapes.archive("pve1", "b", line, {"size": 98447360, "notes": "db", "protected": 1})
    renamed = shapes.archive(
        "pve1", "b", {"ctime": 1, "mark": "renamed", "type": "unknown", "volid": "b:backup/x.vma"}, {}
    )

    assert (bare.size, bare.notes, bare.protected, bare.compression, bare.renamed) == (None, "", False, "zstd", False)
    assert (full.size, full.notes, full.protected) == (98447360, "db", True)
    assert shapes.archive("pve1", "b", line | {"mark": "protected"}, {}).protected
    assert (renamed.vmid, renamed.kind, renamed.renamed) == (0, "unknown", True)


@pytest.mark.parametrize(
    ("name", "renamed"),
    [
        ("vzdump-qemu-200-2026_11_23-20_46_15.vma.zst", False),
        ("vzdump-qemu-200-2026_11_23-20_46_15.vma", False),
        ("vzdump-lxc-230-2026_11_23-20_46_15.tar.zst", False),
        ("vzdump-lxc-230-2026_11_23-20_46_15.tgz", False),
        ("vzdump-qemu-300-renamed.vma.zst", True),
        ("vzdump-qemu-20-2026_11_23-20_46_15.vma.zst", True),
    ],
)
def test_archives_that_vzdump_did_not_name(name: Any, renamed: Any) -> None:
    line = {"ctime": 1, "volid": f"b:backup/{name}"}
    assert shapes.archive("pve1", "b", line, {}).renamed is renamed


def test_tasks_that_ended_and_that_run() -> None:
    upid = "UPID:pve1:0000159A:00084879:6B04A99C:vzdump::root@pam!suite:"
    ended = shapes.task(
        {"upid": upid, "node": "pve1", "type": "vzdump", "id": "", "user": "root@pam", "tokenid": "suite",
         "starttime": 5, "endtime": 9, "status": "OK"}, ("TASK OK",),
    )  # fmt: skip
    running = shapes.task(
        {"upid": upid, "node": "pve1", "type": "vzdump", "user": "root@pam!suite", "starttime": 5, "status": "RUNNING"},
        None,
    )
    assert (ended.user, ended.tokenid, ended.endtime, ended.log) == ("root@pam", "suite", 9, ("TASK OK",))
    assert (running.user, running.tokenid, running.endtime, running.id) == ("root@pam", "suite", None, "")


def test_a_storages_status_of_a_disk_that_is_away() -> None:
    status = shapes.storage_status("pve1", {"storage": "b", "active": 0, "enabled": 1, "total": 0})
    assert (status.active, status.enabled, status.total, status.avail) == (False, True, 0, 0)
