"""Violations of guests, of the inventory's demands, and of the definition of the backup storage."""

from __future__ import annotations

from lab.pve.site import GuestRecord
from tests.labsite import LabSite
from tests.violations.case import Case, rules
from tests.violations.of_jobs import UNCOVERED, UNCOVERED_ADVISED
from tests.violations.seeding import Seed, config, several, storage


def new_guest(vmid: int, **lines: object) -> Seed:
    """A virtual machine that appeared on the site."""

    def seed(lab: LabSite) -> None:
        made = dict(lab.site.guests[210].config) | {"name": f"vm{vmid}", "virtio0": f"vmdata:vm-{vmid}-disk-0,size=1G"}
        lab.site.guests[vmid] = GuestRecord(vmid, "qemu", lab.site.node, made | lines)  # type: ignore[arg-type]

    return seed


def _destroyed(lab: LabSite) -> None:
    del lab.site.guests[220]


NOTHING_THERE, NOTHING_ADVISED = rules("VER-02 VER-03 CMP-02 RET-03"), rules("VER-06 WFL-02")
"""What a storage without archives departs from."""
UNREAD = rules("STO-02 STO-04 STO-08 RET-03 RET-04 RET-05 CMP-02 VER-02 VER-03 VER-04 VER-06 WFL-01 WFL-02")
"""What cannot be told while Proxmox shows nothing of the storage."""
OF_A_GUEST = rules(
    "TGT-04 STO-06 SCH-01 SCH-02 SCH-04 SCH-05 SCH-06 SCH-08 RET-01 RET-02 RET-03 RET-04 CMP-01 CMP-02"
    " VER-01 VER-02 VER-03 VER-04 VER-06 VER-07"
)
"""What cannot be told of a guest that is not there."""
CASES = (
    Case("disk with backup=0", config(virtio1="vmdata:vm-210-disk-7,backup=0,size=1G"), rules("TGT-04"),
         says="virtio1"),
    Case("mount point of a container", config(230, mp0="vmdata:vm-230-disk-1,mp=/srv,size=1G"), rules("TGT-04"),
         says="not in the backups of CT 230 (files): mp0"),
    Case("directory of the node in a container", config(230, mp0="/srv/data,mp=/srv"), rules("TGT-04"), says="mp0"),
    Case("new guest nobody thought of", new_guest(300), UNCOVERED | rules("TGT-03 VER-02 VER-03 CMP-02"),
         UNCOVERED_ADVISED | rules("VER-06"), "stands nowhere in the inventory"),
    Case("scratch guest without exemption", new_guest(300), rules("TGT-03"), says="the inventory does not exempt it",
         inventory=lambda text: text + "  300: {role: scratch}\n"),
    Case("exemption over", new_guest(300), rules("TGT-03"), says="its exemption ended on 2026-01-31",
         inventory=lambda text: text + "  300: {role: scratch, exempt: {reason: a trial, until: 2026-01-31}}\n"),
    Case("required guest is gone", _destroyed, rules("TGT-01 TGT-02 TGT-05"), rules("RET-05"),
         "declares guest 220 as monitoring", undecided=OF_A_GUEST),
    Case("role nobody declared", lambda _lab: None, rules("TGT-01"), says="declares no guest as monitoring",
         inventory=lambda text: text.replace("role: monitoring", "role: infrastructure")),
    Case("golden template is no template", config(100, template=None), rules("TGT-01"), says="it is no template"),
    Case("DNS server is a template", config(210, template=1), rules("TGT-01"), says="which never runs"),
    Case("no guard against a missing disk", storage(is_mountpoint=None), rules("STO-03"), says="is_mountpoint unset"),
    Case("storage disabled", storage(disable=1), rules("STO-01 STO-07"), says="is disabled", undecided=UNREAD),
    Case("storage restricted to another node", storage(nodes="pve2"), rules("STO-01") | NOTHING_THERE,
         NOTHING_ADVISED, "restricted to other nodes", undecided=rules("STO-02 STO-04 STO-08 RET-05")),
    Case("storage for guest disks too", storage(content="backup,images"), rules("STO-04"),
         says="is for backup, images"),
    Case("storage not for backups", storage(content="iso"), rules("STO-01 STO-04 STO-08") | NOTHING_THERE,
         NOTHING_ADVISED, "is not for backups", undecided=rules("RET-05")),
    Case("guest disk on the backup storage",
         several(storage("vms", type="dir", path="/mnt/backup", content="images"),
                 config(virtio1="vms:210/vm-210-disk-1.raw,size=1G")),
         rules("STO-04 STO-05"), says="VM 210 (dns) virtio1 on storage vms"),
    Case("storage gone", lambda lab: lab.site.storages.pop("backup-hdd"),
         rules("STO-01 STO-02 STO-03 STO-04 STO-05 STO-07") | NOTHING_THERE, NOTHING_ADVISED, "no storage backup-hdd",
         undecided=rules("STO-08 RET-05")),
)  # fmt: skip
