"""The whole reading, over real HTTPS and SSH, of the lab's own site in memory."""

from __future__ import annotations

import datetime as dt
import json
import re
from pathlib import Path
from typing import Any

import paramiko
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from backup_standard.collect import collect, node_commands
from backup_standard.errors import ConnectionFailed, OperatorError, SecretError, Untrusted
from backup_standard.hosts import Recorder
from backup_standard.inventory.schema import Inventory
from backup_standard.model import Gap, GuestKind, Mount
from backup_standard.model.codec import facts_from_json, facts_to_json
from backup_standard.model.dumps import log_name
from lab.scripted_ssh import ScriptedSsh
from tests import labsite


@pytest.fixture
def lab(tmp_path: Path) -> Any:
    with labsite.running(tmp_path / "lab") as running:
        yield running


@pytest.fixture
def node(lab: Any, tmp_path: Path) -> Any:
    key = Ed25519PrivateKey.generate()
    path = tmp_path / "id_ed25519"
    path.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.OpenSSH, serialization.NoEncryption())
    )
    public = paramiko.PKey.from_path(path)
    with ScriptedSsh(lab.hypervisor.node, [f"{public.get_name()} {public.get_base64()}"]) as running:
        (tmp_path / "known_hosts").write_text(running.known_hosts)
        yield running


@pytest.fixture
def described(lab: Any, node: Any, tmp_path: Path) -> Any:
    def described(**changes: Any) -> Any:
        values = {
            "client": "lab",
            "class": "lab",
            "site": {"name": "lab", "timezone": "Europe/Berlin"},
            "api": {
                "url": lab.url,
                "ca": str(lab.ca),
                "audit_token": {"id": "audit@pve!suite", "secret": f"file:{lab.folder}/audit-token"},
            },
            "nodes": {
                "pve1": {
                    "ssh": f"root@127.0.0.1:{node.port}",
                    "key": str(tmp_path / "id_ed25519"),
                    "known_hosts": str(tmp_path / "known_hosts"),
                }
            },
            "policy": {"storage": "backup-hdd"},
            "guests": {vmid: {"role": "infrastructure"} for vmid in (100, 200, 210, 220, 230)},
        }
        return Inventory.model_validate(values | changes)

    return described


def test_a_healthy_site_is_read_whole(described: Any, tmp_path: Path) -> None:
    phrases = []
    facts = collect(described(), progress=phrases.append, recorder=Recorder(tmp_path / "commands.jsonl"))

    assert facts.gaps == ()
    assert facts.release == "9.2"
    assert {vmid: guest.kind for vmid, guest in facts.guests.items()} == {
        **dict.fromkeys((100, 200, 210, 220), GuestKind.QEMU),
        230: GuestKind.LXC,
    }
    assert facts.guests[100].template
    assert facts.guests[210].config["boot"] == "order=virtio0"

    job = facts.jobs["nightly-vm210"]
    assert (job.schedule, job.storage, job.compress, job.prune) == ("02:00", "backup-hdd", "zstd", {"keep-daily": 14})
    assert [volume.key for volume in job.includes[210]] == ["virtio0"]
    assert len(job.runs) >= 398
    assert job.runs_source == "the site (Europe/Berlin)"

    archives = facts.archives["pve1/backup-hdd"]
    newest = [archive for archive in archives if archive.vmid == 210][-1]
    assert newest.compression == "zstd"
    assert newest.age(facts.taken_at) < dt.timedelta(hours=26)
    assert len({archive.ctime // 86400 for archive in archives if archive.vmid == 210}) == 14

    tasks = [task for task in facts.tasks["pve1"] if task.id == "210"]
    assert len(tasks) >= 14
    assert tasks[0].log[-1] == "TASK OK"
    assert any("Finished Backup of VM 210" in line for line in tasks[0].log)

    assert facts.mounts["pve1/backup-hdd"] == Mount(
        "/mnt/backup", "/dev/vdc", "ext4", "rw,relatime", "/", "fstab", flags="rw,relatime,rw"
    )
    assert facts.mounts["pve1/local"].target == "/"
    assert facts.job_states["pve1/nightly-vm210"]["state"] == "stopped"
    assert facts.job_states["pve1/nightly-vm210"]["upid"] == tasks[0].upid

    dump = facts.dumps["pve1/backup-hdd"]
    file = dump.by_name[newest.filename]
    assert (dump.path, file.head, file.device) == ("/mnt/backup/dump", "28b52ffd", dump.device)
    assert file.size > 0
    assert "Finished Backup of VM 210" in dump.by_name[log_name(newest.filename)].tail[-1]

    system = facts.systems["pve1"]
    assert [(disk.path, disk.serial) for disk in system.devices.blocks if disk.kind == "disk"] == [
        ("/dev/vda", ""), ("/dev/vdb", ""), ("/dev/vdc", "BACKUP0"),
    ]  # fmt: skip
    assert system.devices.groups == {"/dev/vdb": "vmdata"}
    assert isinstance(system.smart["/dev/vdc"], Gap)
    assert system.scheduler == {"LoadState": "loaded", "ActiveState": "active", "UnitFileState": "enabled"}
    assert system.clock["NTPSynchronized"] == "yes"
    assert (system.kernel, system.cron, facts.images["pve1/backup-hdd"]) == ((), (), ())

    assert any("archives" in phrase for phrase in phrases)
    recorded = [json.loads(line)["command"] for line in (tmp_path / "commands.jsonl").read_text().splitlines()]
    assert "cat /etc/fstab" in recorded
    listed = [value for name, value in vars(node_commands).items() if name.isupper()]
    known = [re.escape(command).replace("%s", r"(?:'[^']*'|\S+)") + r"(?: /\S+)*" for command in listed]
    assert [line for line in recorded if not any(re.fullmatch(one, line) for one in known)] == []
    assert facts_from_json(facts_to_json(facts)) == facts


def test_a_backup_disk_that_is_away_shows_in_every_way(lab: Any, described: Any) -> None:
    lab.hypervisor.node.unplug_backup()
    facts = collect(described())

    assert not facts.statuses["pve1/backup-hdd"].active
    assert facts.mounts["pve1/backup-hdd"].target == "/"
    gap = facts.archives["pve1/backup-hdd"]
    assert isinstance(gap, Gap)
    assert "not mounted" in gap.reason


def test_a_guest_that_the_token_may_not_see_is_a_gap(lab: Any, described: Any) -> None:
    for who in ("audit@pve", "audit@pve!suite"):
        lab.site.access.grant("/vms/210", who, "NoAccess")
    facts = collect(described())

    assert facts.guests[210].reason == "it exists, but the token may not see it"
    assert facts.guests[200].vmid == 200
    assert 210 not in facts.jobs["nightly-vm210"].includes


def test_each_missing_privilege_is_named_once(lab: Any, described: Any) -> None:
    for who in ("audit@pve", "audit@pve!suite"):
        lab.site.access.grant("/nodes", who, "NoAccess")
        lab.site.access.grant("/storage", who, "NoAccess")
    facts = collect(described())

    needs = {gap.need.split(":")[0] for gap in facts.gaps}
    assert "Sys.Audit on /nodes/pve1" in needs
    assert "Datastore.Audit on /storage" in needs
    assert isinstance(facts.storages, Gap)
    assert isinstance(facts.tasks["pve1"], Gap)


def test_a_wrong_secret_ends_in_one_message(lab: Any, described: Any) -> None:
    (lab.folder / "audit-token").write_text("wrong\n")
    with pytest.raises(
        OperatorError, match=r"the token audit@pve!suite is not accepted \(Authentication failed!\)"
    ) as caught:
        collect(described())
    assert "wrong" not in str(caught.value)


def test_a_missing_secret_a_wrong_pin_and_an_unknown_host_key_end_in_one_message(
    lab: Any, described: Any, tmp_path: Path
) -> None:
    (tmp_path / "known_hosts").write_text("")
    with pytest.raises(Untrusted, match="the host key is not known: presented ssh-ed25519 SHA256:"):
        collect(described())

    pinned = described().api.model_dump(mode="json") | {
        "ca": None,
        "fingerprint": ":".join(["00"] * 32),
        "timeout": "5s",
    }
    with pytest.raises(Untrusted, match="the certificate is not the pinned one: presented"):
        collect(described(api=pinned))

    (lab.folder / "audit-token").unlink()
    with pytest.raises(SecretError, match="there is no file"):
        collect(described())


def test_an_api_that_is_not_there_ends_in_one_message(lab: Any, described: Any) -> None:
    gone = described().api.model_dump(mode="json") | {"url": "https://127.0.0.1:1", "timeout": "5s"}
    with pytest.raises(ConnectionFailed, match="nothing listens there"):
        collect(described(api=gone))


def test_the_older_release_is_read_whole_too(tmp_path: Path) -> None:
    with labsite.running(tmp_path, version="8.4") as lab:
        facts = collect(
            Inventory.model_validate(
                {
                    "client": "lab",
                    "site": {"name": "lab", "timezone": "Europe/Berlin"},
                    "api": {
                        "url": lab.url,
                        "ca": str(lab.ca),
                        "audit_token": {"id": "audit@pve!suite", "secret": f"file:{lab.folder}/audit-token"},
                    },
                    "policy": {"storage": "backup-hdd"},
                    "guests": {210: {"role": "dns"}},
                }
            )
        )
    assert facts.release == "8.4"
    assert {gap.reason for gap in facts.gaps} == {"the inventory has no SSH for it"}
    assert len(facts.jobs["nightly-vm210"].runs) >= 398
    assert [archive for archive in facts.archives["pve1/backup-hdd"] if archive.vmid == 210]
