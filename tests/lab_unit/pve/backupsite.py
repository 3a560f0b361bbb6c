"""A seeded site in memory and a way to ask it, for the tests of backups and storages."""

from dataclasses import dataclass
from typing import Any

from lab.memory import MemoryHypervisor
from lab.pve import seed
from lab.pve.dispatch import Answer, Request, answer
from lab.pve.seed_access import Secrets
from lab.pve.site import GuestRecord, Site
from lab.settings import CONTAINER, GUESTS

SECRETS = Secrets("audit-secret", "drill-secret", "root-secret")
TOKENS = {
    "audit": "audit@pve!suite=audit-secret",
    "drill": "drill@pve!suite=drill-secret",
    "admin": "root@pam!suite=admin-secret",
    "nobody": "nobody@pve!suite=nobody-secret",
}
DUMP = "/mnt/backup/dump"
DISK = 1 << 20


@dataclass
class BackupSite:
    """A site, its machinery, and requests to it."""

    site: Site
    hypervisor: MemoryHypervisor

    def ask(self, method: str, path: str, who: str = "admin", /, **params: Any) -> Answer:
        """Make one request; names with a double underscore stand for those with a dash."""
        named = {name.replace("__", "-"): value for name, value in params.items()}
        return answer(self.site, Request(method, path, named, authorization=f"PVEAPIToken={TOKENS[who]}"))

    def data(self, method: str, path: str, who: str = "admin", /, **params: Any) -> Any:
        """Make a request that must succeed and give its data."""
        given = self.ask(method, path, who, **params)
        assert given.status == 200, given
        return given.body["data"]

    def task(self, method: str, path: str, who: str = "admin", /, **params: Any) -> tuple[str, list[str]]:
        """Make a request that starts a task: its exit status and its log."""
        done = self.site.tasks.wait(self.data(method, path, who, **params), 20)
        return done.status, done.log

    def backup(self, vmid: object, who: str = "admin", **params: Any) -> tuple[str, list[str]]:
        """Back guests up to the lab's backup storage."""
        return self.task(
            "POST", "/nodes/pve1/vzdump", who, **{"vmid": vmid, "storage": "backup-hdd", "compress": "zstd", **params}
        )

    def content(self, who: str = "admin", **params: Any) -> list[dict[str, Any]]:
        """List the archives of the backup storage."""
        return self.data("GET", "/nodes/pve1/storage/backup-hdd/content", who, content="backup", **params)

    def dump(self) -> set[str]:
        """Name the files in the dump folder."""
        return {stat.name for stat in self.hypervisor.node.listdir(DUMP)}

    def add_guest(self, vmid: int, *, size: int = DISK, **config: Any) -> GuestRecord:
        """Make a stopped virtual machine; each of its drives gets a volume."""
        for value in config.values():
            volid = str(value).split(",", 1)[0]
            if volid.startswith("vmdata:"):
                self.hypervisor.allocate(volid, size)
        record = GuestRecord(vmid, "qemu", "pve1", {"memory": "128", "name": f"vm{vmid}", **config})
        self.site.guests[vmid] = record
        return record


def make_site(version: str = "9.2", *, archives: bool = False) -> BackupSite:
    """Make the lab's site in memory with its guests' disks; with ``archives`` its past lies on the backup disk."""
    hypervisor = MemoryHypervisor()
    site = Site(hypervisor, version)
    now = site.now()
    seed.seed(site, now, SECRETS)
    site.auth_delay = 0.0
    site.patience.agent = 0.05
    for guest in (*GUESTS, CONTAINER):
        if guest.volume not in hypervisor.volumes():
            hypervisor.allocate(guest.volume, DISK)
    hypervisor.node.makedirs(DUMP)
    site.access.add_token("root@pam", "suite", "admin-secret", privsep=0)
    site.access.add_user("nobody@pve")
    site.access.add_token("nobody@pve", "suite", "nobody-secret", privsep=0)
    if archives:
        seed.populate(hypervisor, now)
    return BackupSite(site, hypervisor)
