"""What only the node shows: which mount holds a path, what makes it last, what the scheduler remembers."""

from __future__ import annotations

import datetime as dt
import json
import shutil
import subprocess
from typing import Any, Never

import pytest

from backup_standard.collect import node_side
from backup_standard.collect.mounts import mounted_by_fstab, unit_name
from backup_standard.collect.node_commands import MOUNT
from backup_standard.collect.node_side import look, read_node_sides
from backup_standard.errors import ConnectionFailed, LoginRefused, Untrusted
from backup_standard.hosts.backend import RunningBackend, host_on
from backup_standard.hosts.ssh import Output
from backup_standard.model import BackupJob, Facts, Gap, Mount, Node, Storage
from tests.unit.collect.stubsite import inventory

FINDMNT = MOUNT.replace("%s", "{}")


class Commands(RunningBackend):
    """A host that knows these commands; any other fails the test."""

    NAME = "table"

    def __init__(self, table: Any) -> None:
        super().__init__("pve1", None)
        self.table = table

    def execute(self, line: Any) -> Any:
        rc, out = self.table[line]
        return Output(rc, out.encode(), b"broken" if rc else b"")


def mounts(*entries: Any) -> Any:
    names = ("target", "source", "fstype", "options", "fsroot")
    return json.dumps({"filesystems": [dict(zip(names, entry, strict=False)) for entry in entries]})


BACKUP = ("/mnt/backup", "/dev/sdb1", "ext4", "rw", "/")
STORAGE = Storage("backup-hdd", "dir", frozenset({"iso"}), path="/mnt/backup")


def seen(storage: Any = STORAGE, **table: Any) -> Any:
    commands = {
        "cat /etc/fstab": (0, "UUID=x /mnt/backup ext4 defaults 0 2\n"),
        FINDMNT.format(storage.path): (0, mounts(BACKUP)),
        **table.pop("more", {}),
    }
    return look(host_on(Commands(commands)), [storage], table.pop("jobs", [])).mounts[storage.id]


def test_a_mount_of_fstab_lasts() -> None:
    assert seen() == Mount("/mnt/backup", "/dev/sdb1", "ext4", "rw", "/", "fstab", flags=",")


def test_of_several_mounts_on_one_place_the_last_is_seen() -> None:
    stacked = mounts(BACKUP, ("/mnt/backup", "nas:/x", "nfs4", "rw", "/"))
    assert seen(more={FINDMNT.format("/mnt/backup"): (0, stacked)}).source == "nas:/x"


def test_a_mount_unit_lasts_when_it_is_enabled() -> None:
    for state, by in (("enabled", "mnt-backup.mount"), ("disabled", None), ("generated", None)):
        more = {"cat /etc/fstab": (0, ""), "systemctl is-enabled mnt-backup.mount": (0 if by else 1, f"{state}\n")}
        assert seen(more=more).persistent_by == by


def test_a_node_without_fstab_may_still_have_units() -> None:
    more = {"cat /etc/fstab": (1, ""), "systemctl is-enabled mnt-backup.mount": (0, "enabled\n")}
    assert seen(more=more).persistent_by == "mnt-backup.mount"


@pytest.mark.parametrize(
    ("canmount", "service", "by"), [("on", 0, "zfs"), ("noauto", 0, None), ("off", 0, None), ("on", 1, None)]
)
def test_a_zfs_dataset_lasts_when_it_may_mount_and_the_service_runs(canmount: Any, service: Any, by: Any) -> None:
    mount = seen(
        more={
            "cat /etc/fstab": (0, ""),
            FINDMNT.format("/mnt/backup"): (0, mounts(("/mnt/backup", "tank/backup", "zfs", "rw", ""))),
            "zfs get -H -o value canmount tank/backup": (0, f"{canmount}\n"),
            "systemctl is-enabled zfs-mount.service": (service, ""),
        }
    )
    assert (mount.persistent_by, mount.fsroot) == (by, "/")


def test_a_path_that_is_not_there_has_no_mount() -> None:
    assert seen(more={FINDMNT.format("/mnt/backup"): (1, ""), "test -e /mnt/backup": (1, "")}) is None


def test_a_findmnt_that_fails_leaves_a_gap() -> None:
    gap = seen(more={FINDMNT.format("/mnt/backup"): (1, ""), "test -e /mnt/backup": (0, "")})
    assert gap == Gap("the mount of /mnt/backup", "findmnt ended with 1: broken", "util-linux there")


def test_paths_are_quoted() -> None:
    odd = Storage("odd", "dir", frozenset(), path="/mnt/a b;id")
    assert seen(odd, more={"systemctl is-enabled mnt-backup.mount": (0, "enabled")} | {
        FINDMNT.format("'/mnt/a b;id'"): (0, mounts(BACKUP))
    }).target == "/mnt/backup"  # fmt: skip


def test_job_states() -> None:
    path = "cat /var/lib/pve-manager/jobs/vzdump-{}.json"
    table = {
        "cat /etc/fstab": (0, ""),
        path.format("ran"): (0, '{"state":"stopped","upid":"UPID:x","config":{"schedule":"02:00","enabled":1}}'),
        path.format("new"): (1, ""),
        path.format("odd"): (0, "{"),
    }
    states = look(host_on(Commands(table)), [], ["ran", "new", "odd"]).job_states
    assert states["ran"] == {"state": "stopped", "upid": "UPID:x", "config": '{"enabled": 1, "schedule": "02:00"}'}
    assert states["new"] is None
    assert states["odd"].reason == "its state file is not JSON"


def test_what_fstab_mounts_at_boot() -> None:
    assert mounted_by_fstab(
        "# comment /mnt/comment ext4\n"
        "#UUID=1 /mnt/off ext4 defaults\n"
        "\n"
        "UUID=1 / ext4 errors=remount-ro 0 1\n"
        "UUID=2 /mnt/backup/ ext4 defaults,nofail 0 2\n"
        "UUID=3 /mnt/manual ext4 noauto 0 2\n"
        "UUID=4 /mnt/auto ext4 noauto,x-systemd.automount 0 2\n"
        "UUID=5 /mnt/my\\040disk ext4\n"
        "junk\n"
    ) == {"/", "/mnt/backup", "/mnt/auto", "/mnt/my disk"}


@pytest.mark.parametrize(
    ("path", "unit"),
    [
        ("/", "-.mount"),
        ("/mnt/backup", "mnt-backup.mount"),
        ("/mnt/my backup-é.x", "mnt-my\\x20backup\\x2d\\xc3\\xa9.x.mount"),
        ("/.hidden", "\\x2ehidden.mount"),
    ],
)
def test_mount_units_are_named_as_systemd_names_them(path: Any, unit: Any) -> None:
    assert unit_name(path) == unit
    if shutil.which("systemd-escape"):
        said = subprocess.run(
            ["systemd-escape", "--path", "--suffix=mount", path], capture_output=True, text=True, check=True
        )
        assert unit == said.stdout.strip()


def facts_of(**nodes: Any) -> Any:
    return Facts(
        taken_at=dt.datetime.now(dt.UTC), release="9.2", nodes=nodes, guests={}, statuses={}, archives={}, tasks={},
        defaults={}, storages={"backup-hdd": STORAGE, "vmdata": Storage("vmdata", "lvm", frozenset())},
        jobs={"j": BackupJob("j", True, "02:00", None, "snapshot", None, None)},
    )  # fmt: skip


def test_nodes_that_cannot_be_looked_into_are_gaps() -> None:
    facts = read_node_sides(
        inventory(), facts_of(pve1=Node("pve1", online=True), pve2=Node("pve2", online=False)), lambda _phrase: None
    )
    assert facts.mounts == {
        "pve1/backup-hdd": Gap(
            "the mounts of node pve1",
            "the inventory has no SSH for it",
            "SSH to it: in the inventory, nodes: {pve1: {ssh: root@HOST}}",
        ),
        "pve2/backup-hdd": Gap("the mounts of node pve2", "node pve2 is offline", "pve2 online"),
    }
    assert facts.job_states["pve2/j"].fact == "the job states of node pve2"
    assert facts.journals == {"pve2": Gap("the journal of node pve2", "node pve2 is offline", "pve2 online")}
    assert facts.systems["pve2"].fact == "disks, scheduler and clock of node pve2"
    assert len(facts.gaps) == 7


def test_without_storages_and_jobs_there_is_nothing_to_look_for() -> None:
    facts = facts_of(pve1=Node("pve1", online=True))
    unknown = facts.__class__(**{**vars(facts), "storages": Gap("s", "no"), "jobs": Gap("j", "no")})
    read = read_node_sides(inventory(), unknown, lambda _phrase: None)
    assert (read.mounts, read.job_states) == ({}, {})


@pytest.mark.parametrize("problem", [Untrusted("host key", where="ssh pve1"), LoginRefused("no", where="ssh pve1")])
def test_a_host_key_or_login_that_is_wrong_ends_the_reading(monkeypatch: pytest.MonkeyPatch, problem: Any) -> None:
    def connect(_inventory: Any, _node: Any) -> Never:
        raise problem

    monkeypatch.setattr(node_side, "node_client", connect)
    described = inventory(nodes={"pve1": {"ssh": "root@pve1"}})
    with pytest.raises(type(problem)):
        read_node_sides(described, facts_of(pve1=Node("pve1", online=True)), lambda _phrase: None)


def test_a_node_whose_ssh_is_down_is_a_gap(monkeypatch: pytest.MonkeyPatch) -> None:
    def connect(_inventory: Any, _node: Any) -> Never:
        raise ConnectionFailed("nothing listens there", where="ssh root@pve1")

    monkeypatch.setattr(node_side, "node_client", connect)
    described = inventory(nodes={"pve1": {"ssh": "root@pve1"}})
    facts = read_node_sides(described, facts_of(pve1=Node("pve1", online=True)), lambda _phrase: None)
    assert facts.mounts["pve1/backup-hdd"] == Gap(
        "the mounts of node pve1", "nothing listens there", "SSH: ssh root@pve1", broken=True
    )


def test_more_nodes_than_are_read_at_once_keep_their_order() -> None:
    nodes = {f"pve{n}": Node(f"pve{n}", online=False) for n in range(9)}
    facts = read_node_sides(inventory(), facts_of(**nodes), lambda _phrase: None)
    assert list(facts.mounts) == [f"pve{n}/backup-hdd" for n in range(9)]
