"""What the lab's tests ask of the running lab, over the same doors that users have."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import requests

ROOT = Path(__file__).resolve().parents[2]
INVENTORY = "inventories/lab.yaml"
API = "https://127.0.0.1:18006/api2/json"
PRODUCTION = (100, 200, 210, 220, 230)


def run_lab(*words: str, check: bool = True) -> subprocess.CompletedProcess[str]:
    """One command of the lab's CLI."""
    return subprocess.run(
        [sys.executable, "-m", "lab", *words], cwd=ROOT, check=check, capture_output=True, text=True, timeout=600
    )


def run_suite(*words: str, inventory: str | None = INVENTORY) -> subprocess.CompletedProcess[str]:
    """The suite, as users call it, in a process of its own."""
    chosen = ["--inventory", inventory] if inventory else []
    return subprocess.run(
        [sys.executable, "-m", "pytest", *words, *chosen, "-p", "no:cacheprovider"],
        cwd=ROOT,
        check=False,
        capture_output=True,
        text=True,
        timeout=1500,
    )


def state_folder() -> Path:
    """Where the lab leaves its certificates and secrets."""
    base = os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state"
    return Path(base) / "backup-standard-lab"


class LabUnderTest:
    """The running lab, seen through its API and its node's shell."""

    def get(self, path: str, **params: Any) -> Any:
        """Data of one GET as the auditor."""
        secret = (state_folder() / "audit-token").read_text(encoding="utf-8").strip()
        answer = requests.get(
            API + path,
            params=params,
            headers={"Authorization": f"PVEAPIToken=audit@pve!suite={secret}"},
            verify=str(state_folder() / "ca.pem"),
            timeout=60,
        )
        answer.raise_for_status()
        return answer.json()["data"]

    def node(self, *words: str) -> str:
        """What a command on the node prints."""
        return run_lab("ssh", "--", *words).stdout if words else ""

    def get_as_root(self, path: str) -> Any:
        """Data of one GET as root@pam, for what an auditor may not ask."""
        authority = str(state_folder() / "ca.pem")
        password = (state_folder() / "root-password").read_text(encoding="utf-8").strip()
        login = {"username": "root@pam", "password": password}
        given = requests.post(f"{API}/access/ticket", data=login, verify=authority, timeout=60)
        given.raise_for_status()
        ticket = {"PVEAuthCookie": given.json()["data"]["ticket"]}
        answer = requests.get(API + path, cookies=ticket, verify=authority, timeout=60)
        answer.raise_for_status()
        return answer.json()["data"]

    def production(self) -> dict[int, dict[str, Any]]:
        """Every guest of the site: digest of its configuration, status and disks; the tests' "byte for byte"."""
        guests = {}
        for kind in ("qemu", "lxc"):
            for guest in self.get(f"/nodes/pve1/{kind}"):
                vmid = int(guest["vmid"])
                config = self.get(f"/nodes/pve1/{kind}/{vmid}/config")
                disks = {key: config[key] for key in config if key.startswith(("virtio", "scsi", "rootfs", "unused"))}
                guests[vmid] = {"digest": config["digest"], "status": guest["status"], "disks": disks}
        return guests

    def volumes(self) -> set[str]:
        """The logical volumes on the node."""
        return set(self.node("lvs", "--noheadings", "-o", "lv_name").split())

    def restores(self) -> list[str]:
        """The VMID of every restore task the node remembers, newest first."""
        tasks = self.get("/nodes/pve1/tasks", source="all", limit=500)
        return [task["id"] for task in tasks if task["type"] in {"qmrestore", "vzrestore"}]


@dataclass(frozen=True)
class EvidenceRun:
    """A finished run: what it printed, where its folder is, production before and after, VMIDs it restored into."""

    done: subprocess.CompletedProcess[str]
    base: Path
    before: dict[int, dict[str, Any]]
    after: dict[int, dict[str, Any]]
    restores: list[str]

    @property
    def folder(self) -> Path:
        """The run folder itself."""
        return next(path.parent for path in self.base.rglob("verdicts.jsonl") if "-drill" in path.parent.name)

    def lines(self, name: str) -> list[dict[str, Any]]:
        """The records of a JSON-lines file of the run folder."""
        return [json.loads(line) for line in (self.folder / name).read_text(encoding="utf-8").splitlines() if line]
