"""Storages over the API: lists, status, mounts that are missing, and the content that is hidden from some."""

import pytest

from tests.lab_unit.pve.backupsite import DUMP, BackupSite, make_site

NOT_MOUNTED = (
    "unable to activate storage 'backup-hdd' - directory is expected to be a mount point but is not mounted:"
    " '/mnt/backup'"
)
CONTENT = "/nodes/pve1/storage/backup-hdd/content"
PRUNE = "/nodes/pve1/storage/backup-hdd/prunebackups"


@pytest.fixture
def lab() -> BackupSite:
    return make_site(archives=True)


def newest(lab: BackupSite, vmid: int = 210) -> str:
    return max(one["volid"] for one in lab.content(vmid=vmid))


def test_the_list_leaves_out_what_the_caller_may_not_see(lab: BackupSite) -> None:
    assert {one["storage"] for one in lab.data("GET", "/storage", "audit")} == {"local", "vmdata", "backup-hdd"}
    assert {one["storage"] for one in lab.data("GET", "/storage", "drill")} == {"vmdata", "backup-hdd"}
    assert lab.data("GET", "/storage", "nobody") == []
    assert lab.data("GET", "/nodes/pve1/storage", "nobody") == []


def test_a_single_storage_needs_more_than_auditing(lab: BackupSite) -> None:
    refused = lab.ask("GET", "/storage/backup-hdd", "audit")
    assert refused.status == 403
    assert refused.reason == "Permission check failed (/storage/backup-hdd, Datastore.Allocate)"
    one = lab.data("GET", "/storage/backup-hdd")
    assert (one["is_mountpoint"], one["path"], one["type"]) == ("1", "/mnt/backup", "dir")
    assert len(one["digest"]) == 40


def test_unknown_storages_are_refused_in_three_ways(lab: BackupSite) -> None:
    assert lab.ask("GET", "/storage/nope").reason == "storage 'nope' does not exist"
    assert lab.ask("GET", "/nodes/pve1/storage/nope/content").status == 500
    status = lab.ask("GET", "/nodes/pve1/storage/nope/status")
    assert (status.status, status.body["errors"]) == (400, {"storage": "No such storage."})


def test_space_comes_from_the_filesystem_and_the_volume_group(lab: BackupSite) -> None:
    listed = {one["storage"]: one for one in lab.data("GET", "/nodes/pve1/storage", "audit")}
    usage = lab.hypervisor.node.usage("/mnt/backup")
    backup = listed["backup-hdd"]
    assert (backup["total"], backup["avail"], backup["active"]) == (usage.total, usage.avail, 1)
    assert backup["used_fraction"] == pytest.approx(usage.used / usage.total)
    assert listed["vmdata"]["total"] > 0
    assert "used_fraction" not in lab.data("GET", "/nodes/pve1/storage/backup-hdd/status", "audit")
    kinds = lab.data("GET", "/nodes/pve1/storage", content="backup")
    assert [one["storage"] for one in kinds] == ["backup-hdd"]


def test_an_unmounted_storage_is_inactive_and_its_content_an_error(lab: BackupSite) -> None:
    lab.hypervisor.node.unplug_backup()
    status = lab.data("GET", "/nodes/pve1/storage/backup-hdd/status", "audit")
    assert (status["active"], status["total"], status["avail"], status["enabled"]) == (0, 0, 0, 1)
    for path in (CONTENT, PRUNE):
        refused = lab.ask("GET", path, "audit", **({"prune-backups": "keep-all=1"} if path == PRUNE else {}))
        assert (refused.status, refused.reason) == (500, NOT_MOUNTED)
    assert lab.data("GET", "/nodes/pve1/vzdump/defaults", storage="backup-hdd")["dumpdir"] == DUMP


def test_without_is_mountpoint_the_root_disk_is_used_silently(lab: BackupSite) -> None:
    lab.hypervisor.node.unplug_backup()
    lab.data("PUT", "/storage/backup-hdd", delete="is_mountpoint")
    status = lab.data("GET", "/nodes/pve1/storage/backup-hdd/status", "audit")
    assert (status["active"], status["total"]) == (1, lab.hypervisor.node.usage("/").total)
    assert lab.content() == []
    assert lab.hypervisor.node.listdir(DUMP) == []


def test_a_disk_that_gives_errors_is_an_inactive_storage(lab: BackupSite, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(path: str) -> None:
        raise OSError(5, "Input/output error", path)

    monkeypatch.setattr(lab.hypervisor.node, "usage", broken)
    status = lab.data("GET", "/nodes/pve1/storage/backup-hdd/status", "audit")
    assert (status["active"], status["total"]) == (0, 0)


def test_a_disabled_storage(lab: BackupSite) -> None:
    lab.data("PUT", "/storage/backup-hdd", disable=1)
    refused = lab.ask("GET", CONTENT)
    assert (refused.status, refused.reason) == (500, "storage 'backup-hdd' is disabled")
    listed = {one["storage"]: one for one in lab.data("GET", "/nodes/pve1/storage")}
    assert (listed["backup-hdd"]["enabled"], listed["backup-hdd"]["active"]) == (0, 0)
    enabled = lab.data("GET", "/nodes/pve1/storage", enabled=1)
    assert "backup-hdd" not in {one["storage"] for one in enabled}


def test_archives_are_hidden_without_a_word(lab: BackupSite) -> None:
    assert lab.content("audit") == []
    assert len(lab.content()) == 14 * 5
    assert len(lab.content("drill")) == 14 * 5
    lab.site.access.revoke("/vms/210", "drill@pve!suite", "RestoreSource")
    lab.site.access.grant("/vms/210", "drill@pve!suite", "PVEAuditor")
    assert {one["vmid"] for one in lab.content("drill")} == {100, 200, 220, 230}
    refused = lab.ask("GET", CONTENT, "nobody")
    assert refused.reason == ("Permission check failed (/storage/backup-hdd, Datastore.Audit|Datastore.AllocateSpace)")


def test_the_dry_run_hides_nothing(lab: BackupSite) -> None:
    marked = lab.data("GET", PRUNE, "audit", **{"prune-backups": "keep-all=1"})
    assert len(marked) == 14 * 5
    assert {one["mark"] for one in marked} == {"keep"}


def test_a_listed_archive(lab: BackupSite) -> None:
    one = next(one for one in lab.content(vmid=210) if one["volid"] == newest(lab))
    assert (one["vmid"], one["subtype"], one["format"], one["content"]) == (210, "qemu", "vma.zst", "backup")
    assert one["notes"] == "dns"
    assert "protected" not in one
    assert one["ctime"] < lab.site.now()
    assert one["size"] == len(lab.hypervisor.node.read(DUMP + "/" + one["volid"].rpartition("/")[2]))


def test_notes_and_protection(lab: BackupSite) -> None:
    volid = newest(lab)
    lab.data("PUT", f"{CONTENT}/{volid}", notes="line1\nline2 äö", protected=1)
    shown = lab.data("GET", f"{CONTENT}/{volid}")
    assert (shown["notes"], shown["protected"], shown["format"]) == ("line1\nline2 äö", 1, "raw")
    assert shown["size"] % 512 == 0
    listed = next(one for one in lab.content(vmid=210) if one["volid"] == volid)
    assert (listed["notes"], listed["protected"]) == ("line1", 1)
    assert listed["size"] != shown["size"]
    lab.data("PUT", f"{CONTENT}/{volid}", protected=0)
    assert "protected" not in next(one for one in lab.content(vmid=210) if one["volid"] == volid)


def test_protected_archives_are_limited_for_those_who_do_not_own_the_storage(lab: BackupSite) -> None:
    volids = [one["volid"] for one in lab.content(vmid=210)]
    for volid in volids[:5]:
        lab.data("PUT", f"{CONTENT}/{volid}", "drill", protected=1)
    refused = lab.ask("PUT", f"{CONTENT}/{volids[5]}", "drill", protected=1)
    assert refused.reason == "The number of protected backups per guest is limited to 5 on storage 'backup-hdd'"
    lab.data("PUT", f"{CONTENT}/{volids[0]}", "drill", protected=1)
    lab.data("PUT", f"{CONTENT}/{volids[5]}", protected=1)
    assert lab.backup(210, "drill", protected=1)[0] == "job errors"


def test_a_protected_archive_is_refused_by_the_task_alone(lab: BackupSite) -> None:
    volid = newest(lab)
    lab.data("PUT", f"{CONTENT}/{volid}", protected=1)
    status, _ = lab.task("DELETE", f"{CONTENT}/{volid}")
    assert "cannot remove protected archive" in status
    assert newest(lab) == volid


def test_removing_an_archive_takes_its_log_and_notes(lab: BackupSite) -> None:
    volid = newest(lab)
    upid = lab.data("DELETE", f"{CONTENT}/{volid}")
    assert ":imgdel:210@backup-hdd:" in upid
    assert lab.site.tasks.wait(upid).log[-2:] == [f"Removed volume '{volid}'", "TASK OK"]
    base = volid.rpartition("/")[2].removesuffix(".vma.zst")
    assert not [name for name in lab.dump() if name.startswith(base)]


def test_nobody_removes_archives_with_auditing_alone(lab: BackupSite) -> None:
    volid = newest(lab)
    for method in ("GET", "PUT", "DELETE"):
        assert lab.ask(method, f"{CONTENT}/{volid}", "audit").status == 403


def test_disks_are_listed_to_those_who_may_change_them(lab: BackupSite) -> None:
    disks = lab.data("GET", "/nodes/pve1/storage/vmdata/content")
    assert {(one["volid"], one["content"]) for one in disks} >= {
        ("vmdata:base-100-disk-0", "images"),
        ("vmdata:vm-230-disk-0", "rootdir"),
    }
    assert lab.data("GET", "/nodes/pve1/storage/vmdata/content", "audit") == []
    refused = lab.ask("GET", CONTENT, content="foo")
    assert refused.body["errors"] == {"content": "invalid format - invalid content type 'foo'\n"}
    assert lab.data("GET", CONTENT, content="iso") == []


def test_files_of_odd_names_are_listed_and_never_pruned(lab: BackupSite) -> None:
    node = lab.hypervisor.node
    broken = "vzdump-qemu-302-2026_13_45-99_00_00.vma.zst"
    for name in ("notabackup.vma.zst", "vzdump-qemu-210-renamed.vma.zst", broken):
        node.write(f"{DUMP}/{name}", b"x")
    listed = {one["volid"].rpartition("/")[2]: one for one in lab.content()}
    assert listed["notabackup.vma.zst"]["subtype"] == "unknown"
    assert "vmid" not in listed["notabackup.vma.zst"]
    assert listed[broken]["subtype"] == "unknown"
    marked = {
        one["volid"].rpartition("/")[2]: one for one in lab.data("GET", PRUNE, **{"prune-backups": "keep-last=1"})
    }
    assert marked["vzdump-qemu-210-renamed.vma.zst"]["mark"] == "renamed"
    assert marked["vzdump-qemu-210-renamed.vma.zst"]["vmid"] == "210"
    assert marked["notabackup.vma.zst"]["mark"] == "renamed"
    assert sum(one["mark"] == "keep" for one in marked.values()) == 5


def test_pruning_for_real(lab: BackupSite) -> None:
    refused = lab.ask("GET", PRUNE, "audit")
    assert refused.reason == "no prune-backups options configured for storage 'backup-hdd'"
    assert lab.ask("GET", "/nodes/pve1/storage/local/prunebackups", **{"prune-backups": "keep-last=1"}).reason == (
        "storage 'local' does not support backups"
    )
    assert lab.ask("DELETE", PRUNE, "drill", **{"prune-backups": "keep-last=2"}).status == 403
    upid = lab.data("DELETE", PRUNE, "drill", **{"prune-backups": "keep-last=2", "vmid": 210})
    assert ":prunebackups:210@backup-hdd:" in upid
    assert lab.site.tasks.wait(upid).status == "OK"
    assert len(lab.content(vmid=210)) == 2
    assert len(lab.content(vmid=220)) == 14


def test_a_storage_that_is_not_mounted_cannot_be_added(lab: BackupSite) -> None:
    refused = lab.ask(
        "POST", "/storage", storage="second", type="dir", path="/mnt/second", content="backup", is_mountpoint="1"
    )
    assert refused.status == 500
    assert "is not mounted: '/mnt/second'" in refused.reason
    made = lab.data("POST", "/storage", storage="second", type="dir", path="/srv/second", content="backup")
    assert made == {"storage": "second", "type": "dir"}
    assert lab.hypervisor.node.listdir("/srv/second/dump") == []
    assert "dir: second\n" in lab.hypervisor.node.read("/etc/pve/storage.cfg").decode()
    lab.data("DELETE", "/storage/second")
    assert lab.ask("GET", "/storage/second").status == 500
