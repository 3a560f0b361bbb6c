"""What the recorded site was made of: storages, jobs and guests, as its files told."""

from __future__ import annotations

import re
from typing import Any

GIB = 1 << 30
DUMP = "/mnt/backup/dump"
NODES = {"9.2": "pve1", "8.4": "pve8"}
SECRETS = {
    "root-token": "root@pam!suite",
    "auditor-full": "auditor@pve!full",
    "auditor-privsep": "auditor@pve!suite",
    "driller-privsep": "driller@pve!suite",
    "nobody": "nobody@pve!suite",
}
"""Kind of proof in the recordings → the token it was; here the secret of each is its own name."""
INTERFACES = """auto vmbr0
iface vmbr0 inet static
\taddress 10.9.0.1/24
\tbridge-ports none
\tbridge-stp off
\tbridge-fd 0

auto vmbr9
iface vmbr9 inet manual
\tbridge-ports none
\tbridge-stp off
\tbridge-fd 0
#isolated restore-drill bridge
"""
STORAGES: dict[str, dict[str, Any]] = {
    "local": {"type": "dir", "path": "/var/lib/vz", "content": "iso,rootdir,vztmpl,snippets,images,import"},
    "backup-hdd": {"type": "dir", "path": "/mnt/backup", "content": "backup", "is_mountpoint": "1",
                   "prune-backups": "keep-last=3,keep-weekly=2"},
}  # fmt: skip
PRUNELAB = {"type": "dir", "path": "/srv/prunelab", "content": "backup"}
JOBS: dict[str, dict[str, Any]] = {
    "nightly-vm100": {"comment": "template", "schedule": "02:00", "mailnotification": "failure",
                      "mailto": "ops@example.org", "prune-backups": "keep-last=3,keep-weekly=2", "vmid": "100"},
    "nightly-vm200": {"schedule": "02:30", "notes-template": "{{guestname}}", "repeat-missed": 1,
                      "prune-backups": "keep-daily=7,keep-weekly=4", "vmid": "200"},
    "nightly-vm210": {"schedule": "*-*-* 03:00", "bwlimit": 50000, "fleecing": "1,storage=local", "protected": 0,
                      "notification-mode": "notification-system", "performance": "max-workers=2",
                      "prune-backups": "keep-all=1", "vmid": "210"},
    "nightly-vm220": {"schedule": "03:30", "prune-backups": "keep-last=3,keep-weekly=2", "vmid": "220"},
}  # fmt: skip
"""What jobs.cfg held in the end; each job also has type, storage, compress, mode and enabled."""
COMMON: dict[str, str | int] = {
    "agent": "1", "boot": "order=scsi0", "cores": 1, "cpu": "qemu64", "kvm": 0, "memory": "512", "ostype": "l26",
    "scsihw": "virtio-scsi-pci", "serial0": "socket",
}  # fmt: skip
OWN: dict[int, dict[str, str | int]] = {
    100: {"name": "web-template", "scsi0": "local:100/vm-100-disk-0.qcow2,size=2G"},
    200: {"name": "db-prod", "onboot": 1, "scsi0": "local:200/vm-200-disk-0.raw,size=2G"},
    210: {"name": "app-prod", "scsi0": "local:210/vm-210-disk-0.qcow2,size=2G",
          "scsi1": "local:210/vm-210-disk-1.raw,backup=0,size=1G"},
    220: {"name": "files-prod", "scsi0": "local:220/vm-220-disk-0.qcow2,size=2G",
          "scsi1": "local:220/vm-220-disk-1.qcow2,size=1G"},
}  # fmt: skip
NINE: dict[int, dict[str, str | int]] = {
    100: {"tags": "prod", "net0": "BC:24:11:95:F8:1F", "meta": "1795466297",
          "smbios1": "719fbc90-b809-4e4b-a372-7d2fe8c79ce5", "vmgenid": "5338d9b5-e5ba-4c38-bdf6-ebd9c085b0cf"},
    200: {"description": "database server", "net0": "BC:24:11:8B:C0:D6", "meta": "1795466299",
          "smbios1": "09c74029-a8cc-4bb5-859b-228e3ac438a2", "vmgenid": "dfc16b6f-3865-4d0a-8876-2029c4c1fdef"},
    210: {"net0": "BC:24:11:42:EF:F3", "meta": "1795466301", "smbios1": "260609a7-cd5d-4039-9139-be4bc18864a5",
          "vmgenid": "e4cf8076-2c0e-45ca-a088-0d1c7e829da4"},
    220: {"net0": "BC:24:11:08:29:79", "meta": "1795466303", "smbios1": "e166b111-9642-4dc2-98b6-43a84f418141",
          "vmgenid": "ddfe3d4a-afb5-4fc7-8079-ce2483234fb2"},
}  # fmt: skip
SCRIPTS = [
    ("cat /etc/marker; echo err >&2; exit 3", 3, "guest marker v1\n", "err\n"),
    ("kill -9 $$", -9, "", ""),
    ('head -c 20000000 /dev/zero | tr "\\0" x', 0, "x", ""),
    ("sleep 1; systemctl stop qemu-guest-agent", 0, "", ""),
]
"""What was run in guests by their agent: script, exit status, both outputs."""
UNSEPARATED = {"root@pam!suite", "auditor@pve!full", "nobody@pve!suite"}
AUDIT = {"Datastore.Audit", "Pool.Audit", "Sys.Audit", "VM.Audit"}


def config(release: str, vmid: int, *, template: bool = True) -> dict[str, str | int]:
    """A guest's configuration in the order of its file."""
    own = {**COMMON, **OWN[vmid]}
    if release == "9.2":
        more = dict(NINE[vmid])
        own |= more | {
            "net0": f"virtio={more['net0']},bridge=vmbr0",
            "meta": f"creation-qemu=10.2.2,ctime={more['meta']}",
            "smbios1": f"uuid={more['smbios1']}",
        }
    else:
        own["net0"] = f"virtio=BC:24:11:00:08:{vmid // 10},bridge=vmbr0"
    if vmid == 100 and template:
        own |= {"template": 1, "scsi0": str(own["scsi0"]).replace("vm-100", "base-100")}
    ordered = dict(sorted(own.items()))
    return {"description": ordered.pop("description"), **ordered} if "description" in ordered else ordered


def volumes(settings: dict[str, str | int]) -> dict[str, tuple[str, int]]:
    """Drive → (volume, bytes)."""
    found = {}
    for key in ("scsi0", "scsi1"):
        if key in settings:
            volid, _comma, options = str(settings[key]).partition(",")
            size = re.search(r"size=(\d+)G", options)
            found[key] = volid, int(size[1]) * GIB if size else GIB
    return found
