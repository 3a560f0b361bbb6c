"""Restores over the API against what Proxmox VE was seen to do."""

from __future__ import annotations

from lab.pve.guestconfig import Nic
from tests.lab_unit.pve.guestlab import DB, DISKLESS, PARTIAL, ROOT_TOKEN, TEMPLATE, Lab


def test_a_restore_tells_its_steps_in_the_recorded_words(lab: Lab) -> None:
    task = lab.restore(unique=1)
    log = task.log

    assert task.status == "OK"
    path = "/mnt/backup/dump/vzdump-qemu-200-2026_11_23-20_46_15.vma.zst"
    place = f"/var/tmp/vzdumptmp{task.pid}"
    assert log[0] == f"restore vma archive: zstd -q -d -c {path} | vma extract -v -r {place}.fifo - {place}"
    assert log[1].startswith("CFG: size: ")
    assert log[2] == f"DEV: dev_id=1 size: {4 << 20} devname: drive-virtio0"
    assert log[3].startswith("CTIME: Mon Nov 23 ")
    assert '  Logical volume "vm-201-disk-0" created.' in log
    assert "new volume ID is 'vmdata:vm-201-disk-0'" in log
    assert any(line.startswith("map 'drive-virtio0' to '") and line.endswith("(write zeros = 1)") for line in log)
    assert [line.split("%")[0] for line in log if line.startswith("progress")] == [
        f"progress {n}" for n in range(1, 101)
    ]
    assert any(line.startswith(f"total bytes read {4 << 20}, sparse bytes ") for line in log)
    assert any(line.startswith("space reduction due to 4K zero blocks ") for line in log)
    assert log[-2:] == ["rescan volumes...", "TASK OK"]
    assert (task.type, task.id) == ("qmrestore", "201")


def test_restored_to_files_the_volume_is_formatted_under_the_guests_folder(lab: Lab) -> None:
    task = lab.run("POST", "~/qemu", vmid=201, archive=DB, storage="local")

    assert "new volume ID is 'local:201/vm-201-disk-0.raw'" in task.log
    assert any(
        line.startswith("Formatting '") and "fmt=raw size=4194304 preallocation=off" in line for line in task.log
    )
    assert lab.config(201)["virtio0"] == "local:201/vm-201-disk-0.raw,size=4M"


def test_without_unique_addresses_and_uuid_are_duplicates(lab: Lab) -> None:
    lab.restore()
    old, new = lab.config(200), lab.config(201)

    assert new.pop("virtio0") == "vmdata:vm-201-disk-0,size=4M"
    assert new.pop("vmgenid") != old.pop("vmgenid")
    old.pop("virtio0")
    assert new == old


def test_unique_gives_new_addresses_and_uuid(lab: Lab) -> None:
    lab.restore(unique=1)
    old, new = lab.config(200), lab.config(201)

    assert Nic.parse(new["net0"]).mac != Nic.parse(old["net0"]).mac
    assert Nic.parse(new["net0"]).bridge == "vmbr0"
    assert new["smbios1"] != old["smbios1"]


def test_keys_in_the_call_win_over_the_archive(lab: Lab) -> None:
    task = lab.restore(
        unique=1, name="drill-200", onboot=0, tags="drill", description="run 7", net0="virtio,bridge=vmbr9,link_down=1"
    )
    config = lab.config(201)

    assert task.status == "OK"
    assert (config["name"], config["onboot"], config["tags"], config["description"]) == (
        "drill-200",
        0,
        "drill",
        "run 7",
    )
    assert config["net0"].startswith("virtio=BC:24:11:")
    assert config["net0"].endswith(",bridge=vmbr9,link_down=1")


def test_a_disk_that_was_not_backed_up_turns_up_in_the_description(lab: Lab) -> None:
    lab.restore(archive=PARTIAL)

    assert "virtio1: vmdata:vm-200-disk-1,backup=0,size=1M" in lab.config(201)["description"]
    assert "virtio1" not in lab.config(201)


def test_an_uncompressed_archive_needs_no_decompressor(lab: Lab) -> None:
    task = lab.restore(archive=PARTIAL)

    assert task.log[0].startswith("restore vma archive: vma extract -v -r ")
    assert " /mnt/backup/dump/vzdump-qemu-210-2026_11_23-20_50_00.vma " in task.log[0]


def test_a_templates_archive_restores_as_a_template_that_cannot_start(lab: Lab) -> None:
    task = lab.restore(101, TEMPLATE, unique=1)

    assert "Convert to template." in task.log
    assert lab.config(101)["template"] == 1
    assert lab.config(101)["virtio0"] == "vmdata:base-101-disk-0,size=4M"
    assert lab.run("POST", "~/qemu/101/status/start").status == "you can't start a vm if it's a template"


def test_clearing_the_template_flag_afterwards_does_not_help(lab: Lab) -> None:
    lab.restore(101, TEMPLATE)
    lab.data("PUT", "~/qemu/101/config", template=0)

    assert lab.config(101)["template"] == 0
    assert lab.run("POST", "~/qemu/101/status/start").status == "start failed: QEMU exited with code 1"
    lab.data("PUT", "~/qemu/101/config", delete="template")
    task = lab.run("POST", "~/qemu/101/status/start")
    assert task.status == "start failed: QEMU exited with code 1"
    assert "Operation not permitted" in task.log[0]


def test_template_0_in_the_call_restores_a_guest_that_starts(lab: Lab) -> None:
    task = lab.restore(101, TEMPLATE, template=0, net0="virtio,bridge=vmbr9,link_down=1")

    assert "Convert to template." not in task.log
    assert lab.config(101)["virtio0"] == "vmdata:vm-101-disk-0,size=4M"
    assert lab.run("POST", "~/qemu/101/status/start").status == "OK"


def test_a_diskless_archive_restores(lab: Lab) -> None:
    task = lab.restore(241, DISKLESS)

    assert task.status == "OK"
    assert task.log[1:] == [
        task.log[1],
        task.log[2],
        "vma archive contains no image data",
        "rescan volumes...",
        "TASK OK",
    ]
    assert lab.config(241) == {"boot": " ", "memory": "128", "name": "diskless"}


def test_a_volume_left_over_from_earlier_becomes_unused(lab: Lab) -> None:
    lab.hypervisor.allocate("vmdata:vm-201-disk-0", 1 << 20)
    lab.restore()

    assert lab.config(201)["virtio0"] == "vmdata:vm-201-disk-1,size=4M"
    assert lab.config(201)["unused0"] == "vmdata:vm-201-disk-0"


def test_start_in_the_call_starts_it(lab: Lab) -> None:
    task = lab.restore(start=1, net0="virtio,bridge=vmbr9")

    assert task.log[-2:] == ["Execute autostart", "TASK OK"]
    assert lab.data("GET", "~/qemu/201/status/current")["status"] == "running"


def test_a_start_that_fails_leaves_the_restore_ok(lab: Lab) -> None:
    task = lab.restore(start=1, net0="virtio,bridge=vmbr77")

    assert task.status == "OK"
    assert "bridge 'vmbr77' does not exist" in task.log


def test_root_may_restore_from_a_path(lab: Lab) -> None:
    path = "/mnt/backup/dump/vzdump-qemu-200-2026_11_23-20_46_15.vma.zst"

    assert lab.restore(archive=path, who="root@pam").status == "OK"
    assert lab.refused("POST", "~/qemu", ROOT_TOKEN, vmid=202, archive=path)[0] == 500


def test_a_new_guest_without_an_archive(lab: Lab) -> None:
    task = lab.run("POST", "~/qemu", vmid=240, name="fresh", memory=128, virtio0="vmdata:1", net0="virtio,bridge=vmbr0")
    config = lab.config(240)

    assert (task.type, task.status) == ("qmcreate", "OK")
    assert config["virtio0"] == "vmdata:vm-240-disk-0,size=1G"
    assert config["boot"] == "order=virtio0;net0"
    assert {"smbios1", "vmgenid", "meta"} <= config.keys()
    assert lab.refused("POST", "~/qemu", vmid=240) == (
        500,
        "unable to create VM 240 - VM 240 already exists on node 'pve1'",
    )


def test_a_creation_that_fails_leaves_nothing(lab: Lab) -> None:
    task = lab.run("POST", "~/qemu", vmid=240, virtio0="backup-hdd:1")

    assert task.status == "unable to create VM 240 - Content type 'images' is not available on storage 'backup-hdd'"
    assert 240 not in lab.site.guests
