"""Bridges, namespaces and reachability in memory: the drill gateway meets its guest and nobody else does."""

import json
from concurrent.futures import ThreadPoolExecutor

import pytest

from lab.memory import MemoryHypervisor
from lab.memory_node import MemoryNode
from lab.scripted.network import link_local

COPY = "vmdata:vm-9000-disk-0"
MAC = "BC:24:11:00:90:00"
GATEWAY = (
    "ip netns add drill9000",
    "ip link add dg9000 type veth peer name eth0 netns drill9000",
    "ip link set dev dg9000 master {bridge}",
    "ip link set dg9000 up",
    "ip -n drill9000 addr add 10.0.0.1/24 dev eth0",
    "ip -n drill9000 link set dev eth0 up",
)


def gateway(node: MemoryNode, bridge: str, *, leave_out: str = "nothing") -> None:
    for line in GATEWAY:
        if leave_out not in line:
            result = node.shell(line.format(bridge=bridge))
            assert result.rc == 0, f"{line}: {result}"


@pytest.fixture
def copy(hypervisor: MemoryHypervisor) -> MemoryHypervisor:
    """VM 9000: a copy of the DNS guest on the isolated bridge."""
    hypervisor.allocate(COPY, 1 << 30, like="vmdata:vm-210-disk-0")
    hypervisor.start(9000, {"boot": "order=virtio0", "net0": f"virtio={MAC},bridge=vmbr9"}, {"virtio0": COPY})
    return hypervisor


def pings(node: MemoryNode, address: str, netns: str = "drill9000") -> bool:
    return node.run(["ip", "netns", "exec", netns, "ping", "-c", "1", "-W", "2", "-n", address]).rc == 0


def test_the_gateway_on_the_guests_bridge_reaches_it(copy: MemoryHypervisor, node: MemoryNode) -> None:
    gateway(node, "vmbr9")

    assert pings(node, "10.0.0.210")
    assert not pings(node, "10.0.0.200"), "production is on another bridge"
    answer = node.shell("ip netns exec drill9000 dig +short @10.0.0.210 www.lab.example A")
    assert answer.stdout == "10.0.0.80\n"


def test_a_gateway_on_another_bridge_meets_production_only(copy: MemoryHypervisor, node: MemoryNode) -> None:
    gateway(node, "vmbr0")

    assert pings(node, "10.0.0.200")
    copy.stop(210)
    assert not pings(node, "10.0.0.210"), "the copy is on the isolated bridge"


@pytest.mark.parametrize("step", ["master", "dg9000 up", "addr add", "eth0 up"])
def test_every_step_of_the_gateway_is_needed(copy: MemoryHypervisor, node: MemoryNode, step: str) -> None:
    gateway(node, "vmbr9", leave_out=step)

    assert not pings(node, "10.0.0.210")


@pytest.mark.parametrize("line", ["ip link set dev tap9000i0 nomaster", "ip link set dev tap9000i0 down"])
def test_a_port_taken_off_the_bridge_is_out_of_reach(copy: MemoryHypervisor, node: MemoryNode, line: str) -> None:
    gateway(node, "vmbr9")
    node.shell(line)

    assert not pings(node, "10.0.0.210")


def test_an_unplugged_card_does_not_answer(hypervisor: MemoryHypervisor, node: MemoryNode) -> None:
    hypervisor.allocate(COPY, 1 << 30, like="vmdata:vm-210-disk-0")
    config = {"boot": "order=virtio0", "net0": f"virtio={MAC},bridge=vmbr9,link_down=1"}
    hypervisor.start(9000, config, {"virtio0": COPY})
    gateway(node, "vmbr9")

    assert not pings(node, "10.0.0.210")


def test_the_port_follows_to_a_bridge_of_the_drills_own(copy: MemoryHypervisor, node: MemoryNode) -> None:
    node.shell("ip link add name db9000 type bridge")
    node.shell("ip link set dev db9000 addrgenmode none")
    node.shell("ip link set dev db9000 up")
    gateway(node, "db9000")
    assert not pings(node, "10.0.0.210")
    node.shell("ip link set dev tap9000i0 master db9000")

    assert pings(node, "10.0.0.210")
    ports = json.loads(node.shell("ip -j link show master db9000").stdout)
    assert {port["ifname"] for port in ports} == {"tap9000i0", "dg9000"}
    assert json.loads(node.shell("ip -j addr show dev db9000").stdout)[0]["addr_info"] == []


def test_the_nodes_own_address_reaches_production_not_the_copy(copy: MemoryHypervisor, node: MemoryNode) -> None:
    assert node.shell("ping -c 1 10.0.0.210").rc == 0
    copy.stop(210)
    assert node.shell("ping -c 1 10.0.0.210").rc == 1
    assert node.shell("ping -c 1 10.9.9.9").rc == 1


def test_link_local_addresses_name_their_device(copy: MemoryHypervisor, node: MemoryNode) -> None:
    gateway(node, "vmbr9")

    assert link_local(MAC) == "fe80::be24:11ff:fe00:9000"
    assert pings(node, f"{link_local(MAC)}%eth0")
    assert not pings(node, f"{link_local(MAC)}%lo")


def test_the_guest_sees_its_gateway_and_not_the_node(copy: MemoryHypervisor, node: MemoryNode) -> None:
    gateway(node, "vmbr9")
    inside = copy.guest(9000).host
    production = copy.guest(210).host
    to_node = "timeout 3 bash -c 'exec 3<>/dev/tcp/10.0.0.1/8006'"

    assert inside.line(inside.context(), "ping -c 1 -W 2 -n 10.0.0.1").rc == 0
    assert "Connection refused" in inside.line(inside.context(), to_node).stderr
    assert inside.line(inside.context(), "ping -c 1 -W 1 -n 10.0.0.200").rc == 1
    assert production.line(production.context(), to_node).rc == 0
    assert production.line(production.context(), "ping -c 1 -W 1 -n 10.0.0.200").rc == 0


def test_deleting_the_namespace_takes_the_veth(copy: MemoryHypervisor, node: MemoryNode) -> None:
    gateway(node, "vmbr9")
    assert node.shell("ip netns list").stdout == "drill9000\n"
    assert "dg9000@if2:" in node.shell("ip -o link show").stdout
    node.shell("ip netns del drill9000")

    assert node.shell("ip netns list").stdout == ""
    assert "dg9000" not in node.shell("ip -o link show").stdout


def test_deleting_one_end_takes_the_other(node: MemoryNode) -> None:
    gateway(node, "vmbr9")
    node.shell("ip link del dev dg9000")

    assert [link["ifname"] for link in json.loads(node.shell("ip -n drill9000 -j link").stdout)] == ["lo"]


@pytest.mark.parametrize(
    ("line", "rc", "text"),
    [
        ("ip netns add drill9000", 1, "File exists"),
        ("ip netns del nope", 1, "No such file or directory"),
        ("ip netns exec nope true", 1, "No such file or directory"),
        ("ip -n nope link", 1, "Cannot open network namespace"),
        ("ip link add dg9000 type veth peer name x", 2, "RTNETLINK answers: File exists"),
        ("ip link del nope", 1, "Cannot find device"),
        ("ip link show nope", 1, "does not exist"),
        ("ip link set dg9000 master nope", 1, "Cannot find device"),
        ("ip -n drill9000 addr add 10.0.0.1/24 dev eth0", 2, "File exists"),
        ("ip -n drill9000 addr add ten dev eth0", 1, "any valid prefix is expected"),
    ],
)
def test_refusals_of_the_kernel(node: MemoryNode, line: str, rc: int, text: str) -> None:
    gateway(node, "vmbr9")
    result = node.shell(line)

    assert result.rc == rc
    assert text in result.stderr


def test_forwarding_is_a_switch(node: MemoryNode) -> None:
    assert node.shell("sysctl net.ipv4.ip_forward").stdout == "net.ipv4.ip_forward = 0\n"
    node.shell("sysctl -w net.ipv4.ip_forward=1")
    assert node.shell("sysctl -n net.ipv4.ip_forward").stdout == "1\n"
    assert node.shell("cat /proc/sys/net/ipv4/ip_forward").stdout == "1\n"


def test_kinds_and_ports_of_bridges(hypervisor: MemoryHypervisor, node: MemoryNode) -> None:
    links = {link["ifname"]: link for link in json.loads(node.shell("ip -j -d link").stdout)}
    assert links["vmbr9"]["linkinfo"]["info_kind"] == "bridge"
    assert "linkinfo" not in links["lo"]
    ports = json.loads(node.shell("bridge -j link").stdout)
    assert {port["ifname"] for port in ports} == {"tap200i0", "tap210i0", "tap220i0", "veth230i0"}
    assert json.loads(node.shell("ip -j link show master vmbr9").stdout) == []


def test_many_drills_at_once_do_not_meet(hypervisor: MemoryHypervisor, node: MemoryNode) -> None:
    def drill(number: int) -> bool:
        vmid, volid = 9000 + number, f"vmdata:vm-{9000 + number}-disk-0"
        hypervisor.allocate(volid, 1 << 30, like="vmdata:vm-210-disk-0")
        config = {"boot": "order=virtio0", "net0": f"virtio=BC:24:11:00:90:{number:02d},bridge=vmbr9"}
        hypervisor.start(vmid, config, {"virtio0": volid})
        lines = (
            f"ip link add name db{vmid} type bridge", f"ip link set dev db{vmid} up", f"ip netns add drill{vmid}",
            f"ip link add dg{vmid} type veth peer name eth0 netns drill{vmid}",
            f"ip link set dev dg{vmid} master db{vmid}", f"ip link set dev dg{vmid} up",
            f"ip -n drill{vmid} addr add 10.0.0.1/24 dev eth0", f"ip -n drill{vmid} link set dev eth0 up",
            f"ip link set dev tap{vmid}i0 master db{vmid}",
        )  # fmt: skip
        done = [node.shell(line).rc for line in lines]
        found = node.host.network.find(f"drill{vmid}", "10.0.0.210")
        own = found in hypervisor.guest(vmid).cards
        hypervisor.stop(vmid)
        done += [node.shell(f"ip netns del drill{vmid}").rc, node.shell(f"ip link del dev db{vmid}").rc]
        hypervisor.free(volid)
        return own and not any(done)

    before = node.shell("ip -br link").stdout
    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(drill, range(40)))
    assert node.shell("ip -br link").stdout == before
