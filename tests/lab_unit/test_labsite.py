"""The site in memory, as other tests use it: served over HTTPS, seeded, with the lab's own users."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests import labsite


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[labsite.LabSite]:
    with labsite.running(tmp_path_factory.mktemp("state")) as running:
        yield running


def test_the_auditor_sees_the_site(lab: labsite.LabSite) -> None:
    assert {guest["vmid"] for guest in lab.data("GET", "/nodes/pve1/qemu")} == {100, 200, 210, 220}
    assert {job["id"] for job in lab.data("GET", "/cluster/backup")} == {
        f"nightly-vm{vmid}" for vmid in (100, 200, 210, 220, 230)
    }
    nights = lab.data("GET", "/nodes/pve1/tasks", typefilter="vzdump", vmid=210)
    assert len(nights) >= 10
    assert all(task["status"] == "OK" for task in nights)


def test_the_auditor_may_not_write(lab: labsite.LabSite) -> None:
    got = lab.send("POST", "/pools", poolid="x")
    assert (got.status_code, got.reason) == (403, "Permission check failed (/pool/x, Pool.Allocate)")


def test_the_driller_restores_starts_stops_and_deletes_in_its_pool(lab: labsite.LabSite) -> None:
    archives = lab.data("GET", "/nodes/pve1/storage/backup-hdd/content", "drill", content="backup", vmid=210)
    newest = max(archives, key=lambda archive: archive["ctime"])
    upid = lab.data(
        "POST",
        "/nodes/pve1/qemu",
        "drill",
        vmid=211,
        archive=newest["volid"],
        storage="vmdata",
        unique=1,
        net0="virtio,bridge=vmbr9",
        onboot=0,
        name="drill-210",
        pool="drill",
    )
    task = lab.site.tasks.wait(upid)
    assert task.status == "OK", task.log
    started = lab.site.tasks.wait(lab.data("POST", "/nodes/pve1/qemu/211/status/start", "drill"))
    assert started.status == "OK", started.log
    lab.site.tasks.wait(lab.data("POST", "/nodes/pve1/qemu/211/status/stop", "drill"))
    gone = lab.site.tasks.wait(lab.data("DELETE", "/nodes/pve1/qemu/211", "drill"))
    assert gone.status == "OK", gone.log
    assert 211 not in lab.site.guests
