"""A whole drill with one privilege of its role removed: which step fails, and with what."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest

from lab.pve.dispatch import Answer, Request, answer
from lab.pve.site import Site
from tests.contract.recorded_site import Stage, make_site
from tests.contract.recordings import matrix
from tests.contract.scenes import DRILL, ZSTD

OLDER, NEWER = "vzdump-qemu-200-2026_11_23-20_46_15.vma.zst", f"vzdump-qemu-200-{ZSTD}"
NODE, COPY = "/nodes/pve1", "/nodes/pve1/qemu/201"
DRILLER, ADMIN = "driller@pve!suite", "root@pam!suite"
ARCHIVE = f"backup-hdd:backup/{NEWER}"
RESTORE = {"vmid": 201, "archive": ARCHIVE, "storage": "local", "unique": 1}
STEPS: list[tuple[str, str, str, dict[str, Any]]] = [
    ("list backups", "GET", f"{NODE}/storage/backup-hdd/content", {"content": "backup", "vmid": 200}),
    ("extractconfig", "GET", f"{NODE}/vzdump/extractconfig", {"volume": ARCHIVE}),
    ("jobs", "GET", "/cluster/backup", {}),
    ("nextid", "GET", "/cluster/nextid", {}),
    ("vzdump now", "POST", f"{NODE}/vzdump", {"vmid": 999, "storage": "backup-hdd"}),
    ("restore", "POST", f"{NODE}/qemu", RESTORE),
    ("config get", "GET", f"{COPY}/config", {}),
    ("set net0", "PUT", f"{COPY}/config", {"net0": "virtio,bridge=vmbr9"}),
    ("set onboot", "PUT", f"{COPY}/config", {"onboot": 0}),
    ("set name", "PUT", f"{COPY}/config", {"name": "drill"}),
    ("set memory", "PUT", f"{COPY}/config", {"memory": 384}),
    ("start", "POST", f"{COPY}/status/start", {}),
    ("ping", "POST", f"{COPY}/agent/ping", {}),
    ("osinfo", "GET", f"{COPY}/agent/get-osinfo", {}),
    ("exec", "POST", f"{COPY}/agent/exec", {"command": "hostname"}),
    ("status", "GET", f"{COPY}/status/current", {}),
    ("monitor", "POST", f"{COPY}/monitor", {"command": "info status"}),
    ("screendump", "POST", f"{COPY}/monitor", {"command": "screendump /tmp/x.ppm"}),
    ("stop", "POST", f"{COPY}/status/stop", {}),
    ("destroy", "DELETE", COPY, {"purge": 1, "destroy-unreferenced-disks": 1}),
]


@dataclass
class Drill:
    """The recorded drill on a site of its own; an administrator restores what the driller may not."""

    site: Site

    def ask(self, method: str, path: str, params: dict[str, Any], who: str) -> Answer:
        given = {key: str(value) for key, value in params.items()}
        return answer(self.site, Request(method, path, given, authorization=f"PVEAPIToken={who}={who}"))

    def step(self, name: str, method: str, path: str, params: dict[str, Any]) -> list[Any]:
        """Status and text as the table has them: of a task its exit status, of the list how many there are."""
        got = self.ask(method, path, params, DRILLER)
        data = got.body["data"] if got.body else None
        if got.status == 200 and str(data).startswith("UPID:"):
            return [200, self.site.tasks.wait(str(data), 20).status]
        count = [len(data)] if name == "list backups" and isinstance(data, list) else []
        return [got.status, got.reason, *count]

    def run(self) -> dict[str, list[Any]]:
        """All steps."""
        results = {}
        for name, method, path, params in STEPS:
            results[name] = self.step(name, method, path, params)
            if name == "restore" and results[name] != [200, "OK"]:
                got = self.ask(method, path, params, ADMIN)
                if got.status == 200 and got.body:
                    assert self.site.tasks.wait(got.body["data"], 20).status == "OK"
        return results


@pytest.mark.parametrize("removed", matrix())
def test_a_drill_without_a_privilege_fails_where_the_real_one_does(removed: str) -> None:
    site, hypervisor = make_site("9.2", Stage(DRILL - {removed}, archives=(OLDER, NEWER)), 1795468000)
    hypervisor.faults.boot_seconds[201] = 1000.0
    with hypervisor:
        assert Drill(site).run() == matrix()[removed]


def test_the_table_tells_what_each_privilege_is_needed_for() -> None:
    whole = matrix()["all"]
    needed = {
        removed: sorted(name for name, result in results.items() if result != whole[name] and result[0] == 403)
        for removed, results in matrix().items()
    }
    assert needed == {
        "all": [],
        "Datastore.AllocateSpace": ["extractconfig", "restore", "vzdump now"],
        "Datastore.Audit": [],
        "Pool.Audit": [],
        "SDN.Use": ["set net0"],
        "Sys.Audit": ["jobs", "monitor", "screendump"],
        "VM.Allocate": ["destroy", "restore"],
        "VM.Audit": ["config get", "status"],
        "VM.Backup": ["extractconfig", "restore"],
        "VM.Config.Disk": [],
        "VM.Config.HWType": [],
        "VM.Config.Memory": ["set memory"],
        "VM.Config.Network": ["set net0"],
        "VM.Config.Options": ["set name", "set onboot"],
        "VM.GuestAgent.Audit": [],
        "VM.GuestAgent.Unrestricted": ["exec"],
        "VM.PowerMgmt": ["start", "stop"],
    }
