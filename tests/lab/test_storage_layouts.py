"""From a storage to its whole disks, over what the tools of a real node say of real layouts.

``KEEP_TRANSCRIPTS=FOLDER`` keeps what each command said, in the form of ``tests/unit/audit/devices``.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from backup_standard.audit.devices import Resolver
from backup_standard.collect.machine import read_system
from backup_standard.collect.mounts import read_mount
from backup_standard.hosts import node_client, node_host
from backup_standard.hosts.ssh import Output
from backup_standard.inventory.loader import load
from backup_standard.model import Mount, Storage
from backup_standard.model.devices import Devices
from tests.lab.layouts import LAYOUTS, MOUNT, SPARES, Layout, built, spare_disks
from tests.lab.site import INVENTORY, ROOT, LabUnderTest

TOOLS = {"findmnt", "lsblk", "losetup", "pvs", "lvs", "btrfs"}
AT_MOUNT = Storage("layout", "dir", frozenset({"backup"}), MOUNT)


class Transcript:
    """What each of these tools said, in order."""

    def __init__(self) -> None:
        self.text = ""

    def note(self, _host: str, command: str, output: Output, _seconds: float) -> None:
        if output.rc == 0 and command.split(maxsplit=1)[0] in TOOLS:
            self.text += f"$ {command}\n{output.stdout.decode()}"


@pytest.fixture(scope="module")
def spares(lab: LabUnderTest) -> Iterator[str]:
    with spare_disks(lab) as head:
        yield head
    rows = [
        line.split() for line in lab.node("pvs", "--noheadings", "-o", "vg_name,pv_used", "--units", "b").splitlines()
    ]
    assert [group for group, _ in rows] == ["vmdata"] * 16
    serials = lab.node("lsblk", "-dno", "SERIAL,FSTYPE").split("\n")
    assert {f"{serial} LVM2_member" for serial in SPARES} <= {" ".join(row.split()) for row in serials}


@pytest.mark.parametrize("layout", LAYOUTS, ids=lambda one: one.name)
def test_a_storage_is_followed_to_its_disks(lab: LabUnderTest, spares: str, layout: Layout) -> None:
    inventory, transcript = load(ROOT / INVENTORY).inventory, Transcript()
    storage = layout.storage or AT_MOUNT
    with built(lab, spares, layout), node_client(inventory, "pve1") as client:
        host = node_host(client, "pve1", transcript)
        mount = None if layout.storage else read_mount(host, MOUNT)
        devices = read_system(host, [storage], [mount] if isinstance(mount, Mount) else []).devices
    assert isinstance(devices, Devices), devices
    assert layout.storage or (isinstance(mount, Mount) and mount.target == MOUNT), mount

    found = Resolver("pve1", devices).storage(storage, mount)

    assert {disk.serial for disk in found.disks} == layout.disks, found
    assert found.server == ""
    if folder := os.environ.get("KEEP_TRANSCRIPTS"):
        Path(folder, f"node-{layout.name}.txt").write_text(transcript.text)
