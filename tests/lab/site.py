"""What the lab's tests ask of the running lab, over the same doors that users have."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import requests

from backup_standard import waiting

ROOT = Path(__file__).resolve().parents[2]
INVENTORY = "inventories/lab.yaml"
API = "https://127.0.0.1:18006/api2/json"
HEARTBEAT = "/srv/data/heartbeat"
"""A file of the container to which moments are added."""
GROUP = """
groups:
  names:                            # who watches finds its targets by name
    guests: [210, 220]
    checks:
      - guest: 220
        command:
          run: echo nameserver 10.0.0.210 > /etc/resolv.conf && getent ahostsv4 www.lab.example
          output: 10.0.0.80
      - {guest: 210, connect: "10.0.0.220:9100"}

guests:
"""
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


def written_with_group_and_heartbeat(folder: Path) -> str:
    """The lab's inventory, in which DNS and monitoring are one application and the container has a heartbeat."""
    text = (ROOT / INVENTORY).read_text(encoding="utf-8")
    for old, new in (
        ("\nguests:\n", GROUP),
        ("        - folder: /srv/data", f"        - folder: /srv/data\n        - {{heartbeat: {HEARTBEAT}, rpo: 1h}}"),
    ):
        assert text.count(old) == 1, old
        text = text.replace(old, new)
    path = folder / "lab.yaml"
    path.write_text(text, encoding="utf-8")
    return str(path)


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
        with self._as_root() as session:
            answer = session.get(API + path, timeout=60)
        answer.raise_for_status()
        return answer.json()["data"]

    def back_up(self, vmid: int) -> None:
        """A backup of one guest by hand, as root@pam, to its end."""
        with self._as_root() as session:
            asked = session.post(
                f"{API}/nodes/pve1/vzdump",
                data={"vmid": vmid, "storage": "backup-hdd", "compress": "zstd", "mode": "snapshot"},
                timeout=60,
            )
        asked.raise_for_status()
        task = f"/nodes/pve1/tasks/{asked.json()['data']}/status"
        ended = waiting.until(
            lambda: self.get_as_root(task), ready=lambda seen: seen["status"] == "stopped", timeout=300, what=task
        )
        assert ended["exitstatus"] == "OK", ended

    @contextmanager
    def _as_root(self) -> Iterator[requests.Session]:
        password = (state_folder() / "root-password").read_text(encoding="utf-8").strip()
        login = {"username": "root@pam", "password": password}
        with requests.Session() as session:
            session.trust_env = False  # a CA bundle that the environment names would come first
            session.verify = str(state_folder() / "ca.pem")
            given = session.post(f"{API}/access/ticket", data=login, timeout=60)
            given.raise_for_status()
            ticket = given.json()["data"]
            session.cookies["PVEAuthCookie"] = ticket["ticket"]
            session.headers["CSRFPreventionToken"] = ticket["CSRFPreventionToken"]
            yield session

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
