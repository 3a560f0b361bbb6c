"""Routes of the node, the cluster and pools, on a node in memory."""

from __future__ import annotations

import types
from typing import Any, cast

import pytest

from lab.hypervisor import Hypervisor
from lab.memory_node import MemoryNode
from lab.pve.releases import Version
from lab.pve.site import GuestRecord, Pool, Site
from lab.scripted.units import Unit
from tests.lab_unit.pve.stubs import ROOT, ask, bare_site, data

NOBODY = "PVEAPIToken=nobody@pve!suite=n"
AUDITOR = "PVEAPIToken=auditor@pve!full=a"


def build(version: Version = "9.2") -> Site:
    site = bare_site(version)
    machinery = types.SimpleNamespace(
        node=MemoryNode(), is_running=lambda vmid: vmid == 200, uptime=lambda _vmid: 42, meminfo=lambda: ""
    )
    site.hypervisor = cast("Hypervisor", machinery)
    site.guests[100] = GuestRecord(
        100,
        "qemu",
        "pve1",
        {"name": "golden", "memory": "256", "template": 1, "tags": "prod", "virtio0": "vmdata:base-100-disk-0,size=1G"},
    )
    site.guests[200] = GuestRecord(
        200,
        "qemu",
        "pve1",
        {
            "boot": "order=scsi1",
            "cores": 2,
            "lock": "backup",
            "memory": "512",
            "name": "docker",
            "scsi0": "vmdata:vm-200-disk-0,size=1G",
            "scsi1": "vmdata:vm-200-disk-1,size=1536M",
        },
        pool="prod",
    )
    site.guests[230] = GuestRecord(
        230, "lxc", "pve1", {"hostname": "files", "memory": 128, "rootfs": "vmdata:x,size=256M"}
    )
    site.pools["prod"] = Pool("production", {"backup-hdd"})
    site.storages = {
        "backup-hdd": {"type": "dir", "path": "/mnt/backup", "content": "backup", "is_mountpoint": 1},
        "local": {"type": "dir", "path": "/var/lib/vz", "content": "iso"},
        "vmdata": {"type": "lvm", "vgname": "vmdata", "content": "images"},
    }
    site.access.add_user("nobody@pve")
    site.access.add_token("nobody@pve", "suite", "n")
    site.access.add_user("auditor@pve")
    site.access.add_token("auditor@pve", "full", "a", privsep=0)
    site.access.add_role("BackupAudit", {"Datastore.Audit", "Pool.Audit", "Sys.Audit", "VM.Audit"})
    site.access.grant("/", "auditor@pve", "BackupAudit")
    return site


@pytest.fixture
def site() -> Site:
    return build()


def node_of(site: Site) -> MemoryNode:
    assert isinstance(site.hypervisor.node, MemoryNode)
    return site.hypervisor.node


def resources(site: Site, token: str = ROOT, **params: Any) -> dict[str, dict[str, Any]]:
    return {entry["id"]: entry for entry in data(site, "GET", "/cluster/resources", token, **params)}


def test_resources_show_what_the_caller_may_see(site: Site) -> None:
    assert set(resources(site, NOBODY)) == {"node/pve1"}
    assert "mem" not in resources(site, NOBODY)["node/pve1"]
    everything = resources(site)
    assert "network/pve1/zone/localnetwork" in everything
    assert set(everything) - set(resources(site, AUDITOR)) == {"network/pve1/zone/localnetwork"}
    assert resources(site, AUDITOR)["node/pve1"]["maxcpu"] == 2


def test_resources_carry_the_figures_of_guests(site: Site) -> None:
    found = resources(site, type="vm")
    assert set(found) == {"qemu/100", "qemu/200", "lxc/230"}
    golden, docker = found["qemu/100"], found["qemu/200"]
    assert (golden["status"], golden["template"], golden["tags"], golden["mem"]) == ("stopped", 1, "prod", 0)
    assert (docker["status"], docker["uptime"], docker["pool"], docker["lock"]) == ("running", 42, "prod", "backup")
    assert docker["maxdisk"] == 1536 << 20
    assert docker["maxmem"] == 512 << 20
    assert found["lxc/230"]["name"] == "files"


def test_memhost_and_the_zone_differ_by_release() -> None:
    old, new = resources(build("8.4")), resources(build("9.2"))
    assert "memhost" not in old["qemu/200"]
    assert "memhost" in new["qemu/200"]
    assert old["sdn/pve1/localnetwork"]["sdn"] == "localnetwork"


def test_a_storage_whose_mount_is_gone_is_unknown(site: Site) -> None:
    backup = "storage/pve1/backup-hdd"
    assert resources(site)[backup]["status"] == "available"
    node_of(site).unplug_backup()
    gone = resources(site)[backup]
    assert gone["status"] == "unknown"
    assert "maxdisk" not in gone


def test_nextid(site: Site) -> None:
    assert data(site, "GET", "/cluster/nextid") == "101"
    assert data(site, "GET", "/cluster/nextid", vmid="9000") == "9000"
    taken = ask(site, "GET", "/cluster/nextid", vmid="200")
    assert taken.body
    assert (taken.status, taken.body["errors"]) == (400, {"vmid": "VM 200 already exists"})


def test_the_node_is_listed_to_anybody_and_measured_for_auditors(site: Site) -> None:
    assert set(data(site, "GET", "/nodes", NOBODY)[0]) == {"id", "node", "type", "status", "level"}
    assert data(site, "GET", "/nodes")[0]["maxmem"] == 4014080 << 10
    refused = ask(site, "GET", "/nodes/pve1/status", NOBODY)
    assert refused.reason == "Permission check failed (/nodes/pve1, Sys.Audit)"


def test_status_tells_kernel_memory_and_release(site: Site) -> None:
    status = data(site, "GET", "/nodes/pve1/status")
    assert status["pveversion"] == "pve-manager/9.2.11/f6997e698c7933ea"
    assert status["loadavg"] == ["0.10", "0.12", "0.09"]
    memory = status["memory"]
    assert memory["used"] == memory["total"] - memory["available"]
    assert status["cpuinfo"]["cpus"] == 2
    assert status["current-kernel"]["machine"] == "x86_64"


def test_time_is_wall_clock_and_utc(site: Site) -> None:
    node = node_of(site)
    node.skew += 1_782_000_000 - node.now()
    told = data(site, "GET", "/nodes/pve1/time")
    assert told["timezone"] == "Europe/Berlin"
    assert told["localtime"] - told["time"] == 7200


def test_services_are_those_of_the_node(site: Site) -> None:
    node_of(site).host.services["pvescheduler.service"] = Unit("failed", "enabled", "Proxmox VE scheduler")
    services = {service["service"]: service for service in data(site, "GET", "/nodes/pve1/services")}
    assert len(services) == 23
    assert (services["sshd"]["state"], services["sshd"]["desc"]) == ("running", "OpenBSD Secure Shell server")
    assert services["corosync"]["unit-state"] == "not-found"
    assert data(site, "GET", "/nodes/pve1/services/pvescheduler/state")["active-state"] == "failed"
    assert ask(site, "GET", "/nodes/pve1/services/nope/state").status == 400


def test_bridges_are_hidden_from_those_without_sdn_rights(site: Site) -> None:
    assert data(site, "GET", "/nodes/pve1/network", NOBODY) == []
    site.access.grant("/sdn/zones/localnetwork/vmbr9", "nobody@pve", "PVESDNUser")
    site.access.grant("/sdn/zones/localnetwork/vmbr9", "nobody@pve!suite", "PVESDNUser")
    assert [bridge["iface"] for bridge in data(site, "GET", "/nodes/pve1/network", NOBODY)] == ["vmbr9"]


def test_the_isolated_bridge_has_neither_ports_nor_addresses(site: Site) -> None:
    isolated = data(site, "GET", "/nodes/pve1/network/vmbr9")
    assert (isolated["type"], isolated["active"], isolated["bridge_ports"]) == ("bridge", 1, "")
    assert not {"address", "cidr", "address6", "gateway"} & set(isolated)
    site_bridge = data(site, "GET", "/nodes/pve1/network/vmbr0")
    assert (site_bridge["cidr"], site_bridge["netmask"], site_bridge["method"]) == ("10.0.0.1/24", "24", "static")
    assert [bridge["iface"] for bridge in data(site, "GET", "/nodes/pve1/network", type="any_bridge")] == [
        "vmbr0",
        "vmbr9",
    ]
    missing = ask(site, "GET", "/nodes/pve1/network/nope")
    assert missing.body
    assert missing.body["errors"] == {"iface": "interface does not exist"}


def test_an_address_on_the_isolated_bridge_is_seen(site: Site) -> None:
    assert node_of(site).run(["ip", "addr", "add", "192.0.2.1/24", "dev", "vmbr9"]).rc == 0
    assert data(site, "GET", "/nodes/pve1/network/vmbr9")["cidr"] == "192.0.2.1/24"


def test_disks(site: Site) -> None:
    disks = {disk["devpath"]: disk for disk in data(site, "GET", "/nodes/pve1/disks/list")}
    assert disks["/dev/vdb"]["used"] == "LVM"
    assert (disks["/dev/vdc"]["serial"], disks["/dev/vdc"]["mounted"]) == ("BACKUP0", 1)
    with_parts = data(site, "GET", "/nodes/pve1/disks/list", include_partitions=1)
    assert {"/dev/vda": None, "/dev/vda1": "/dev/vda"}.items() <= {
        disk["devpath"]: disk.get("parent") for disk in with_parts
    }.items()
    group = data(site, "GET", "/nodes/pve1/disks/lvm")["children"][0]
    assert (group["name"], group["children"][0]["name"]) == ("vmdata", "/dev/vdb")
    assert ask(site, "GET", "/nodes/pve1/disks/list", NOBODY).reason == "Permission check failed"
    assert ask(site, "GET", "/nodes/pve1/disks/smart", disk="/dev/nope").status == 500


def test_the_journal_needs_sys_syslog(site: Site) -> None:
    refused = ask(site, "GET", "/nodes/pve1/journal", AUDITOR)
    assert refused.reason == "Permission check failed (/nodes/pve1, Sys.Syslog)"
    node = node_of(site)
    for number in range(3):
        node.journal("pvedaemon", f"line {number}", when=node.now() - 10 + number)
    node.journal("sshd", "other", when=node.now() - 1)
    first, *lines, last = data(site, "GET", "/nodes/pve1/journal", service="pve*", lastentries=2)
    assert [line.split(": ", 1)[1] for line in lines] == ["line 1", "line 2"]
    assert first.startswith("s=")
    assert first < last
    got = ask(site, "GET", "/nodes/pve1/syslog", start=1, limit=2)
    assert got.body
    assert ([line["n"] for line in got.body["data"]], got.body["total"]) == ([2, 3], 4)


def test_an_index_lists_what_is_below(site: Site) -> None:
    assert {"subdir": "nodes"} in data(site, "GET", "/", NOBODY)
    assert {"name": "tasks"} in data(site, "GET", "/nodes/pve1", NOBODY)
    assert {"subdir": "schedule-analyze"} in data(site, "GET", "/cluster/jobs")


def test_pools_live_and_die(site: Site) -> None:
    data(site, "POST", "/pools", poolid="drill", comment="drills")
    again = ask(site, "POST", "/pools", poolid="drill")
    assert again.reason == "pool 'drill' already exists"
    data(site, "PUT", "/pools/drill", vms="100")
    assert [member["vmid"] for member in data(site, "GET", "/pools/drill")["members"]] == [100]
    assert ask(site, "PUT", "/pools/drill", vms="100").reason == "VM 100 is already a pool member"
    assert ask(site, "PUT", "/pools", poolid="drill", vms="200").status == 500
    data(site, "PUT", "/pools", poolid="drill", vms="200", **{"allow-move": 1})
    assert ask(site, "DELETE", "/pools/drill").reason == "pool 'drill' is not empty"
    data(site, "PUT", "/pools/drill", vms="100,200", delete=1)
    data(site, "DELETE", "/pools/drill")
    assert ask(site, "GET", "/pools/drill").reason == "pool 'drill' does not exist"


def test_pools_are_listed_to_those_who_may_audit_them(site: Site) -> None:
    assert data(site, "GET", "/pools", NOBODY) == []
    assert data(site, "GET", "/pools", AUDITOR) == [{"poolid": "prod", "comment": "production"}]
    members = data(site, "GET", "/pools", AUDITOR, poolid="prod")[0]["members"]
    assert [member["id"] for member in members] == ["qemu/200", "storage/pve1/backup-hdd"]


def test_high_availability_references(site: Site) -> None:
    data(site, "POST", "/cluster/ha/resources", sid="vm:200", state="stopped")
    assert [entry["sid"] for entry in data(site, "GET", "/cluster/ha/resources")] == ["vm:200"]
    assert resources(site)["qemu/200"]["hastate"] == "stopped"
    data(site, "DELETE", "/cluster/ha/resources/200")
    assert data(site, "GET", "/cluster/ha/resources") == []
    assert ask(site, "GET", "/cluster/ha/resources", NOBODY).reason == "Permission check failed (/, Sys.Audit)"


def test_cluster_tasks_hide_a_tokens_own_tasks_without_sys_audit(site: Site) -> None:
    site.tasks.add_history(
        "nobody@pve!suite", "qmstart", "100", span=(site.now() - 5, site.now() - 4), status="OK", log=[]
    )
    assert data(site, "GET", "/cluster/tasks", NOBODY) == []
    shown = data(site, "GET", "/cluster/tasks", AUDITOR)[0]
    assert (shown["user"], shown["tokenid"], shown["saved"], shown["status"]) == ("nobody@pve", "suite", "1", "OK")
    assert len(data(site, "GET", "/nodes/pve1/tasks", NOBODY)) == 1
