"""A small site on the in-memory hypervisor: guests, one archive of each kind, and users with the drill's rights."""

from __future__ import annotations

import io
import json
import tarfile
from dataclasses import dataclass
from typing import Any

from lab.hypervisor import ArchiveDisk, ArchiveHeader
from lab.memory import MemoryHypervisor
from lab.pve.dispatch import Answer, Request, answer
from lab.pve.guestconfig import render
from lab.pve.releases import Version
from lab.pve.site import GuestRecord, Pool, Site
from lab.pve.tasks import Task
from lab.scripted.image import GuestImage

MIB = 1 << 20
ROOT, ROOT_TOKEN, DRILLER, NOBODY = "root@pam", "root@pam!suite", "driller@pve!suite", "nobody@pve!suite"
DUMP = "/mnt/backup/dump"
DB = "backup-hdd:backup/vzdump-qemu-200-2026_11_23-20_46_15.vma.zst"
TEMPLATE = "backup-hdd:backup/vzdump-qemu-100-2026_11_23-20_47_46.vma.zst"
CT = "backup-hdd:backup/vzdump-lxc-230-2026_11_23-20_40_00.tar.zst"
DISKLESS = "backup-hdd:backup/vzdump-qemu-240-2026_11_23-21_13_00.vma.zst"
PARTIAL = "backup-hdd:backup/vzdump-qemu-210-2026_11_23-20_50_00.vma"
NODE = "/nodes/pve1"
DASHED = {"destroy_unreferenced_disks": "destroy-unreferenced-disks", "input_data": "input-data"}

DRILL_ROLE = {
    "Datastore.AllocateSpace", "Datastore.Audit", "Pool.Audit", "SDN.Use", "Sys.Audit", "VM.Allocate", "VM.Audit",
    "VM.Backup", "VM.Clone", "VM.Config.Disk", "VM.Config.HWType", "VM.Config.Memory", "VM.Config.Network",
    "VM.Config.Options", "VM.Console", "VM.GuestAgent.Audit", "VM.GuestAgent.Unrestricted", "VM.Monitor",
    "VM.PowerMgmt", "VM.Snapshot",
}  # fmt: skip


def config(vmid: int, name: str, volid: str, **more: str | int) -> dict[str, str | int]:
    """A configuration like the lab's guests have, with a second address block for each VMID."""
    return dict(sorted({
        "agent": "1", "boot": "order=virtio0", "cores": 1, "memory": "256", "name": name,
        "net0": f"virtio=BC:24:11:00:{vmid // 100:02X}:{vmid % 100:02X},bridge=vmbr0", "onboot": 1, "ostype": "l26",
        "serial0": "socket", "smbios1": f"uuid=09c74029-a8cc-4bb5-859b-228e3ac4{vmid:04d}",
        "virtio0": f"{volid},size=4M", "vmgenid": f"dfc16b6f-3865-4d0a-8876-2029c4c1{vmid:04d}", **more,
    }.items()))  # fmt: skip


@dataclass
class Lab:
    """The site and a short way to ask it."""

    site: Site
    hypervisor: MemoryHypervisor

    def ask(self, method: str, path: str, who: str = ROOT_TOKEN, **params: Any) -> Answer:
        """One request; a leading ``~`` in the path stands for the node."""
        access, where = self.site.access, path.replace("~", NODE, 1)
        given = {DASHED.get(name, name): value for name, value in params.items()}
        request = Request(method, where, {key: _sent(value) for key, value in given.items()})
        if who == ROOT:
            request.ticket, request.csrf = access.ticket(ROOT), access.csrf(ROOT)
        else:
            request.authorization = f"PVEAPIToken={who}=secret"
        return answer(self.site, request)

    def data(self, method: str, path: str, who: str = ROOT_TOKEN, **params: Any) -> Any:
        """The data of a request that must succeed."""
        found = self.ask(method, path, who, **params)
        assert found.status == 200, (found.status, found.reason, found.body)
        assert found.body is not None
        return json.loads(json.dumps(found.body))["data"]

    def refused(self, method: str, path: str, who: str = ROOT_TOKEN, **params: Any) -> tuple[int, str]:
        """Status and reason of a request that must not succeed."""
        found = self.ask(method, path, who, **params)
        assert found.status != 200, found.body
        return found.status, found.reason

    def run(self, method: str, path: str, who: str = ROOT_TOKEN, **params: Any) -> Task:
        """The finished task of a request that starts one."""
        return self.site.tasks.wait(self.data(method, path, who, **params), 20)

    def config(self, vmid: int) -> dict[str, Any]:
        """The configuration of a virtual machine, without its digest."""
        found: dict[str, Any] = self.data("GET", f"~/qemu/{vmid}/config")
        found.pop("digest")
        return found

    def restore(self, vmid: int = 201, archive: str = DB, who: str = ROOT_TOKEN, **params: Any) -> Task:
        """Restore an archive and wait for the end."""
        return self.run("POST", "~/qemu", who, vmid=vmid, archive=archive, storage="vmdata", **params)


def _sent(value: Any) -> Any:
    return [str(part) for part in value] if isinstance(value, list) else str(value)


def drill_role(site: Site, without: str = "") -> None:
    """Give the driller everything but one privilege."""
    site.access.add_role("Drill", (DRILL_ROLE & site.access.privileges) - {without})


def make_lab(version: Version = "9.2") -> Lab:
    """Build it."""
    hypervisor = MemoryHypervisor()
    site = Site(hypervisor, version)
    site.patience.lock, site.patience.header, site.patience.agent = 0.05, 0.0, 0.05
    site.auth_delay = 0
    site.storages = {
        "local": {"type": "dir", "path": "/var/lib/vz", "content": "images,iso"},
        "vmdata": {"type": "lvm", "vgname": "vmdata", "content": "images,rootdir"},
        "backup-hdd": {"type": "dir", "path": "/mnt/backup", "content": "backup", "is_mountpoint": "1"},
    }
    site.pools["drill"] = Pool()
    _users(site)
    _guests(site, hypervisor)
    _archives(hypervisor, site)
    return Lab(site, hypervisor)


def _users(site: Site) -> None:
    access = site.access
    access.add_user(ROOT, "root-password")
    access.add_token(ROOT, "suite", "secret", privsep=0)
    drill_role(site)
    for name in ("driller", "nobody"):
        access.add_user(f"{name}@pve")
        access.add_token(f"{name}@pve", "suite", "secret")
    for who in ("driller@pve", DRILLER):
        access.grant("/", who, "Drill")


def _guests(site: Site, hypervisor: MemoryHypervisor) -> None:
    for vmid, name, volid, more in (
        (100, "web-template", "vmdata:base-100-disk-0", {"template": 1, "onboot": 0, "tags": "prod"}),
        (200, "db-prod", "vmdata:vm-200-disk-0", {"description": "database server"}),
        (220, "files-prod", "local:220/vm-220-disk-0.qcow2", {}),
    ):
        hypervisor.allocate(volid, 4 * MIB)
        GuestImage(name, addresses=[[f"10.0.0.{vmid}/24"]]).write(hypervisor.disks[volid])
        site.guests[vmid] = GuestRecord(vmid, "qemu", "pve1", config(vmid, name, volid, **more))


def _archives(hypervisor: MemoryHypervisor, site: Site) -> None:
    hypervisor.node.makedirs(DUMP)
    for volid, vmid, more in (
        (DB, 200, {}),
        (TEMPLATE, 100, {}),
        (PARTIAL, 200, {"virtio1": "vmdata:vm-200-disk-1,backup=0,size=1M"}),
    ):
        guest = site.guests[vmid].config
        text = render({**guest, **more}) + "#qmdump#map:virtio0:drive-virtio0:vmdata:raw:\n"
        _archive(hypervisor, volid, text, {"drive-virtio0": str(guest["virtio0"]).split(",", 1)[0]})
    _container(hypervisor, site)
    _archive(hypervisor, DISKLESS, render({"boot": " ", "memory": "128", "name": "diskless"}), {})


def _archive(hypervisor: MemoryHypervisor, volid: str, text: str, disks: dict[str, str]) -> None:
    path = f"{DUMP}/{volid.rpartition('/')[2]}"
    listed = [ArchiveDisk(device, 4 * MIB) for device in disks]
    header = ArchiveHeader("1e190683-e795-4870-a676-f7b3a6801c99", 1795463175, text, None, listed)
    hypervisor.write_archive(path, header, disks, "zstd" if path.endswith(".zst") else "0", lambda _done, _all: None)


def _container(hypervisor: MemoryHypervisor, site: Site) -> None:
    volid, found = "vmdata:vm-230-disk-0", io.BytesIO()
    with tarfile.open(fileobj=found, mode="w") as tar:
        for name, text in (("etc/hostname", b"files\n"), ("srv/data/client.txt", b"data of a client\n")):
            member = tarfile.TarInfo(name)
            member.size = len(text)
            tar.addfile(member, io.BytesIO(text))
    hypervisor.allocate(volid, 4 * MIB)
    hypervisor.disks[volid].write_at(0, found.getvalue())
    site.guests[230] = GuestRecord(230, "lxc", "pve1", {
        "arch": "amd64", "cores": 1, "hostname": "files", "memory": 64,
        "net0": "name=eth0,bridge=vmbr0,hwaddr=BC:24:11:00:02:30,ip=10.0.0.230/24,type=veth", "onboot": 1,
        "ostype": "debian", "rootfs": f"{volid},size=4M", "swap": 0, "unprivileged": 1,
    })  # fmt: skip
    path = f"{DUMP}/{CT.rpartition('/')[2]}"
    hypervisor.write_container_archive(path, volid, render(site.guests[230].config), "zstd", lambda _done, _all: None)
