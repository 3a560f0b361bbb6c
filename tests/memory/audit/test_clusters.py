"""Clusters: guests on several nodes, one of them off; guests that moved; jobs for a node, a pool, for all."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from lab.manysite import Shape
from lab.pve.site import Pool
from lab.scripted.files import Filesystem
from tests import clusterlab, judging

OPEN = {"STO-05", "STO-07", "VER-05"}
"""What virtual disks and archives that nobody has read leave open."""


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[clusterlab.ClusterLab]:
    """Six guests on three nodes: 1000 and 1003 (a container) on pve2, 1001 and 1004 on pve3, 1002 and 1005 on pve1."""
    with clusterlab.running(tmp_path, Shape(guests=6, nodes=3)) as running:
        yield running


def red(rows: judging.Rows) -> dict[str, str]:
    """What is neither met nor merely advised: "RULE subject" to outcome and message."""
    return {
        f"{rule} {subject}": f"{row.outcome}: {row.message}"
        for (rule, subject), row in rows.items()
        if rule not in OPEN and row.outcome not in {"pass", "advisory", "not applicable"}
    }


def test_a_sound_cluster_is_green_on_every_node(cluster: clusterlab.ClusterLab) -> None:
    site = cluster.audited()
    rows = judging.judge(site)
    assert red(rows) == {}
    assert site.facts.gaps == ()
    assert {subject for rule, subject in rows if rule == "STO-02"} == {f"pve{n}/backup-hdd" for n in (1, 2, 3)}
    assert {subject for rule, subject in rows if rule == "SCH-03"} == {"pve1", "pve2", "pve3"}
    assert {subject for rule, subject in rows if rule == "VER-02"} == {str(vmid) for vmid in range(1000, 1006)}


def test_what_a_node_that_is_off_holds_is_unknown_and_all_else_as_before(cluster: clusterlab.ClusterLab) -> None:
    before = judging.judge(cluster.audited())
    cluster.site.offline.add("pve3")
    after = judging.judge(cluster.audited())
    found = red(after)
    assert {line.split(":", 1)[0] for line in found.values()} == {"unknown"}
    assert all("node pve3 is offline" in line or "it is offline" in line for line in found.values()), found
    for rule in ("TGT-04", "VER-01", "VER-02", "VER-03", "VER-04"):
        assert {name for name in found if name.startswith(rule)} == {f"{rule} 1001", f"{rule} 1004"}
    for rule in ("STO-01", "STO-02", "SCH-03", "SCH-07"):
        assert [name for name in found if name.startswith(rule)], rule
    elsewhere = {key: row.outcome for key, row in after.items() if not key[1].startswith(("pve3", "1001", "1004"))}
    assert elsewhere == {key: before[key].outcome for key in elsewhere}


def test_a_guest_that_moved_away_from_its_jobs_node_is_not_backed_up(cluster: clusterlab.ClusterLab) -> None:
    cluster.site.jobs["nightly-vm1000"]["node"] = "pve2"
    assert red(judging.judge(cluster.audited())) == {}
    cluster.site.guests[1000].node = "pve1"
    found = red(judging.judge(cluster.audited()))
    assert "TGT-02 1000" in found
    assert "job nightly-vm1000 runs on node pve2 only, and the guest lives on pve1" in found["TGT-02 1000"]
    assert {name.split()[1] for name in found} == {"1000"}
    assert "VER-02 1000" not in found, "its archives on the node where it was made are still there"


def test_a_guest_that_moved_with_a_job_for_every_node_keeps_its_archives_elsewhere(
    cluster: clusterlab.ClusterLab,
) -> None:
    cluster.site.guests[1000].node = "pve1"
    rows = judging.judge(cluster.audited())
    assert rows["TGT-02", "1000"].outcome == "pass"
    assert rows["VER-02", "1000"].outcome == "pass"
    assert rows["STO-06", "1000"].outcome == "pass"
    assert not [name for name in red(rows) if not name.endswith(" 1000")]


def test_an_all_job_covers_every_guest_of_every_node_and_excludes_are_seen(cluster: clusterlab.ClusterLab) -> None:
    options = {key: value for key, value in cluster.site.jobs["nightly-vm1000"].items() if key != "vmid"}
    cluster.site.jobs.clear()
    cluster.site.jobs["all"] = {**options, "all": 1}
    rows = judging.judge(cluster.audited())
    assert {rows["TGT-02", str(vmid)].outcome for vmid in range(1000, 1006)} == {"pass"}
    assert rows["SCH-05", "1000"].outcome == "advisory"
    cluster.site.jobs["all"]["exclude"] = "1004"
    rows = judging.judge(cluster.audited())
    assert {subject for (rule, subject), row in rows.items() if rule == "TGT-02" and row.outcome == "fail"} == {"1004"}


def test_a_pool_job_covers_the_pool_and_no_other_guest(cluster: clusterlab.ClusterLab) -> None:
    options = {key: value for key, value in cluster.site.jobs["nightly-vm1000"].items() if key != "vmid"}
    cluster.site.jobs.clear()
    cluster.site.jobs["pool"] = {**options, "pool": "prod"}
    cluster.site.pools["prod"] = Pool()
    for vmid in (1000, 1001, 1003):
        cluster.site.guests[vmid].pool = "prod"
    rows = judging.judge(cluster.audited())
    covered = {subject for (rule, subject), row in rows.items() if rule == "TGT-02" and row.outcome == "pass"}
    assert covered == {"1000", "1001", "1003"}


def test_a_mount_point_of_a_container_is_left_out_unless_told_otherwise(cluster: clusterlab.ClusterLab) -> None:
    cluster.site.guests[1003].config["mp0"] = "vmdata:vm-1003-disk-1,mp=/srv,size=4G"
    found = red(judging.judge(cluster.audited()))
    assert set(found) == {"TGT-04 1003"}
    cluster.site.guests[1003].config["mp0"] = "vmdata:vm-1003-disk-1,mp=/srv,backup=1,size=4G"
    assert "TGT-04 1003" not in red(judging.judge(cluster.audited()))


def test_a_template_untouched_for_a_year_is_judged_like_any_guest(cluster: clusterlab.ClusterLab) -> None:
    cluster.site.guests[1002].config["template"] = 1
    assert red(judging.judge(cluster.audited())) == {}


def test_a_storage_missing_on_one_node_is_that_nodes_finding(cluster: clusterlab.ClusterLab) -> None:
    cluster.node("pve2").unplug_backup()
    rows = judging.judge(cluster.audited())
    failed = {name for name, line in red(rows).items() if line.startswith("fail")}
    assert "STO-02 pve2/backup-hdd" in failed
    assert not [name for name in red(rows) if name.endswith(("pve1/backup-hdd", "pve3/backup-hdd", " 1002", " 1005"))]


def test_a_storage_restricted_to_some_nodes_is_no_storage_of_the_others(cluster: clusterlab.ClusterLab) -> None:
    cluster.site.storages["backup-hdd"]["nodes"] = "pve1,pve2"
    rows = judging.judge(cluster.audited())
    failed = {name for name, line in red(rows).items() if line.startswith("fail")}
    assert "STO-01 pve3/backup-hdd" in failed
    assert "STO-01 pve1/backup-hdd" not in failed


def test_a_shared_storage_is_read_on_one_node_and_known_on_all(cluster: clusterlab.ClusterLab) -> None:
    shelf = Filesystem("/dev/vdd", size=1 << 34)
    for name in cluster.shape.names:
        cluster.node(name).files.mount("/mnt/pve/nas", shelf)
    section = {"type": "dir", "path": "/mnt/pve/nas", "content": "backup", "shared": "1", "is_mountpoint": "1"}
    cluster.site.storages["nas"] = section
    site = cluster.audited()
    assert [key for key in site.facts.archives if key.endswith("/nas")] == ["pve1/nas"]
    assert sorted(key for key in site.facts.statuses if key.endswith("/nas")) == ["pve1/nas", "pve2/nas", "pve3/nas"]
    assert red(judging.judge(site)) == {}


def test_a_stale_vmid_in_a_job_for_another_node_is_still_seen(cluster: clusterlab.ClusterLab) -> None:
    cluster.site.jobs["nightly-vm1001"]["vmid"] = "1001,1999"
    found = red(judging.judge(cluster.audited()))
    assert set(found) == {"TGT-05 nightly-vm1001"}
