"""The container in memory: its services, what it shares with its node, and the node's way into it."""

from __future__ import annotations

import pytest

from lab.memory import MemoryHypervisor
from lab.memory_node import MemoryNode
from lab.scripted import reach

COPY = "vmdata:vm-231-disk-0"
NET = "name=eth0,bridge=vmbr9,hwaddr=BC:24:11:00:02:30,ip=10.0.0.230/24,gw=10.0.0.1"


@pytest.fixture
def copy(hypervisor: MemoryHypervisor) -> MemoryHypervisor:
    """A copy of the container that runs on the isolated bridge."""
    hypervisor.allocate(COPY, 256 << 20, like="vmdata:vm-230-disk-0")
    hypervisor.start(231, {"net0": NET, "hostname": "files"}, {"rootfs": COPY})
    return hypervisor


def ticks(node: MemoryNode, vmid: int, process: str) -> int:
    text = node.run(["pct", "exec", str(vmid), "--", "cat", f"/proc/{process}/stat"]).stdout
    return int(text.rpartition(")")[2].split()[19])


def test_the_copy_is_the_container_it_was_with_its_servers(copy: MemoryHypervisor) -> None:
    guest = copy.guest(231)

    assert guest.listening() == {"22": "ssh", "80": "http:id,name\n1,Example\n2,Sample\n"}
    assert guest.addresses(0) == ["10.0.0.230/24"]
    assert copy.container_exec(231, ["hostname"]).stdout == "files\n"
    card = reach.connect(copy.node.host.network, "", "10.0.0.230", 80)
    assert card.guest is copy.guest(230)  # the node's own bridge leads to production, not to the copy


def test_a_container_shares_its_nodes_kernel_and_tells_when_its_init_began(
    copy: MemoryHypervisor, node: MemoryNode
) -> None:
    read = node.run(["pct", "exec", "231", "--", "cat", "/proc/sys/kernel/random/boot_id"])

    assert read.stdout == node.run(["cat", "/proc/sys/kernel/random/boot_id"]).stdout
    assert 0 <= ticks(node, 231, "self") - ticks(node, 231, "1") < 60 * 100
    assert ticks(node, 231, "1") >= 3600 * 100


def test_the_node_enters_a_container_that_runs(copy: MemoryHypervisor, node: MemoryNode) -> None:
    assert node.run(["pct", "exec", "231", "--", "cat", "/srv/data/readme.txt"]).stdout == "client data of the lab\n"
    assert node.run(["pct", "exec", "231", "--", "bash", "-c", "true"]).rc == 127
    copy.stop(231)
    stopped = node.run(["pct", "exec", "231", "--", "true"])
    assert (stopped.rc, stopped.stderr) == (255, "container '231' not running!\n")
    unknown = node.run(["pct", "exec", "999", "--", "true"])
    assert (unknown.rc, unknown.stderr) == (2, "Configuration file 'nodes/pve1/lxc/999.conf' does not exist\n")
    assert "no recorded result" in node.run(["pct", "set", "231", "-onboot", "0"]).stderr


def test_a_container_that_is_forgotten_leaves_no_folder_on_its_node(copy: MemoryHypervisor, node: MemoryNode) -> None:
    assert node.files.exists("/var/lib/lxc/231/rootfs")
    copy.stop(231)
    assert node.files.exists("/var/lib/lxc/231/rootfs")
    copy.forget_container(231)
    assert not node.files.exists("/var/lib/lxc/231")
    copy.forget_container(231)
    copy.forget_container(999)
    assert node.files.exists("/var/lib/lxc/230/rootfs")
