"""Guests in memory: what runs is what is on the disk, and it has an agent, a monitor, cards and consoles."""

import base64

import pytest

from lab.hypervisor import AgentError, AgentSilent, Hypervisor, HypervisorError
from lab.memory import MemoryHypervisor
from lab.memory_node import MemoryNode

COPY = "vmdata:vm-9000-disk-0"
CONFIG = {
    "agent": "1",
    "boot": "order=virtio0",
    "serial0": "socket",
    "virtio0": COPY,
    "net0": "virtio=BC:24:11:00:90:00,bridge=vmbr9",
}


def copy_of(hypervisor: MemoryHypervisor, vmid: int, **changes: str) -> None:
    """Power VM 9000 on with a copy of a guest's disk."""
    hypervisor.allocate(COPY, 2 << 30, like=f"vmdata:{'base' if vmid == 100 else 'vm'}-{vmid}-disk-0")
    hypervisor.start(9000, {**CONFIG, **changes}, {"virtio0": COPY})


def execute(hypervisor: MemoryHypervisor, vmid: int, *argv: str) -> dict[str, object]:
    started = hypervisor.agent(vmid, "guest-exec", {"path": argv[0], "arg": list(argv[1:]), "capture-output": True}, 1)
    assert isinstance(started, dict)
    status = hypervisor.agent(vmid, "guest-exec-status", {"pid": started["pid"]}, 1)
    assert isinstance(status, dict)
    return status


def output(hypervisor: MemoryHypervisor, vmid: int, *argv: str) -> str:
    return base64.b64decode(str(execute(hypervisor, vmid, *argv)["out-data"])).decode()


def test_it_is_a_hypervisor(hypervisor: MemoryHypervisor) -> None:
    whole: Hypervisor = hypervisor

    assert whole.node.name == "pve1"
    assert {vmid for vmid in (100, 200, 210, 220, 230) if whole.is_running(vmid)} == {200, 210, 220, 230}


def test_a_copy_of_a_disk_boots_as_the_guest_it_was(hypervisor: MemoryHypervisor) -> None:
    copy_of(hypervisor, 210)

    assert hypervisor.agent(9000, "guest-get-host-name", {}, 1) == {"host-name": "dns"}
    interfaces = hypervisor.agent(9000, "guest-network-get-interfaces", {}, 1)
    assert isinstance(interfaces, list)
    assert [(one["name"], one["hardware-address"]) for one in interfaces[1:]] == [("eth0", "bc:24:11:00:90:00")]
    assert [one["ip-address"] for one in interfaces[1]["ip-addresses"]] == ["10.0.0.210", "fe80::be24:11ff:fe00:9000"]


def test_two_boots_have_two_boot_ids(hypervisor: MemoryHypervisor) -> None:
    copy_of(hypervisor, 210)
    ids = [output(hypervisor, vmid, "/bin/cat", "/proc/sys/kernel/random/boot_id") for vmid in (210, 9000)]
    hypervisor.reset(9000)
    ids.append(output(hypervisor, 9000, "/bin/cat", "/proc/sys/kernel/random/boot_id"))

    assert len(set(ids)) == 3


@pytest.mark.parametrize("spoil", [b"\0" * 512, b"\xff"])
def test_a_spoiled_boot_sector_does_not_boot(hypervisor: MemoryHypervisor, spoil: bytes) -> None:
    hypervisor.allocate(COPY, 1 << 30, like="vmdata:vm-210-disk-0")
    hypervisor.disks[COPY].write_at(0, spoil)
    hypervisor.start(9000, CONFIG, {"virtio0": COPY})

    with pytest.raises(AgentSilent):
        hypervisor.agent(9000, "guest-ping", {}, 1)
    assert hypervisor.is_running(9000)
    assert "No bootable device." in hypervisor.machines[9000].lines()


def test_a_spoiled_system_does_not_boot(hypervisor: MemoryHypervisor) -> None:
    hypervisor.allocate(COPY, 1 << 30, like="vmdata:vm-210-disk-0")
    hypervisor.disks[COPY].write_at(700, b"x")
    hypervisor.start(9000, CONFIG, {"virtio0": COPY})

    with pytest.raises(AgentSilent):
        hypervisor.agent(9000, "guest-ping", {}, 1)


def test_power_brings_taps_and_takes_them(hypervisor: MemoryHypervisor, node: MemoryNode) -> None:
    copy_of(hypervisor, 200, net1="virtio=BC:24:11:00:90:01,bridge=vmbr0")
    links = node.host.network.links("")

    assert (links["tap9000i0"].master, links["tap9000i1"].master) == ("vmbr9", "vmbr0")
    hypervisor.stop(9000)
    assert not [name for name in links if name.startswith("tap9000")]
    assert not hypervisor.is_running(9000)
    assert hypervisor.pid(9000) is None


@pytest.mark.parametrize(
    ("config", "volids", "text"),
    [
        ({"net0": "virtio=BC:24:11:00:00:01,bridge=vmbr5"}, {}, "bridge 'vmbr5' does not exist"),
        ({"net0": "virtio=BC:24:11:00:00:01,bridge=tap200i0"}, {}, "bridge 'tap200i0' does not exist"),
        ({}, {"scsi0": "vmdata:vm-1-disk-0"}, "Could not open '/dev/vmdata/vm-1-disk-0'"),
    ],
)
def test_what_cannot_start_does_not(
    hypervisor: MemoryHypervisor, config: dict[str, str], volids: dict[str, str], text: str
) -> None:
    with pytest.raises(HypervisorError, match=text):
        hypervisor.start(9000, config, volids)
    assert not hypervisor.is_running(9000)


def test_nothing_starts_twice(hypervisor: MemoryHypervisor) -> None:
    with pytest.raises(HypervisorError, match="already running"):
        hypervisor.start(210, {}, {})


def test_a_result_is_given_once(hypervisor: MemoryHypervisor) -> None:
    started = hypervisor.agent(210, "guest-exec", {"path": "hostname"}, 1)
    assert isinstance(started, dict)
    first = hypervisor.agent(210, "guest-exec-status", started, 1)

    assert first == {"exited": True, "exitcode": 0, "out-data": base64.b64encode(b"dns\n").decode()}
    with pytest.raises(AgentError, match="does not exist"):
        hypervisor.agent(210, "guest-exec-status", started, 1)


def test_a_program_that_is_not_there_is_no_process(hypervisor: MemoryHypervisor) -> None:
    with pytest.raises(AgentError, match="Failed to execute child process \N{LEFT DOUBLE QUOTATION MARK}/no/such"):
        hypervisor.agent(210, "guest-exec", {"path": "/no/such"}, 1)


def test_units_and_containers_answer(hypervisor: MemoryHypervisor) -> None:
    assert output(hypervisor, 200, "systemctl", "is-active", "docker") == "active\n"
    assert output(hypervisor, 200, "docker", "inspect", "--format", "{{.State.Status}}", "web") == "running\n"
    assert execute(hypervisor, 210, "systemctl", "is-active", "docker")["exitcode"] == 4
    hypervisor.guest(200).host.services["docker.service"].active = "failed"
    assert output(hypervisor, 200, "systemctl", "is-active", "docker") == "failed\n"
    assert execute(hypervisor, 200, "docker", "ps", "--format", "{{.Names}}")["exitcode"] == 1


def test_files_are_read_and_written(hypervisor: MemoryHypervisor) -> None:
    text = base64.b64encode(b"hello\n").decode()
    handle = hypervisor.agent(210, "guest-file-open", {"path": "/etc/marker", "mode": "w"}, 1)
    hypervisor.agent(210, "guest-file-write", {"handle": handle, "buf-b64": text}, 1)
    hypervisor.agent(210, "guest-file-close", {"handle": handle}, 1)
    handle = hypervisor.agent(210, "guest-file-open", {"path": "/etc/marker"}, 1)

    assert hypervisor.agent(210, "guest-file-read", {"handle": handle}, 1) == {"count": 6, "buf-b64": text, "eof": True}
    with pytest.raises(AgentError, match=r"failed to open file '/nope' \(mode: 'r'\): No such file or directory"):
        hypervisor.agent(210, "guest-file-open", {"path": "/nope"}, 1)


def test_a_frozen_guest_runs_no_programs(hypervisor: MemoryHypervisor) -> None:
    assert hypervisor.agent(210, "guest-fsfreeze-freeze", {}, 1) == 1
    with pytest.raises(AgentError, match="frozen"):
        hypervisor.agent(210, "guest-exec", {"path": "hostname"}, 1)
    assert hypervisor.agent(210, "guest-fsfreeze-thaw", {}, 1) == 1
    assert hypervisor.agent(210, "guest-fsfreeze-status", {}, 1) == "thawed"


def test_an_agent_without_unit_or_by_fault_is_silent(hypervisor: MemoryHypervisor) -> None:
    hypervisor.faults.dead_agents.add(220)
    hypervisor.guest(210).host.services["qemu-guest-agent.service"].active = "inactive"
    for vmid in (210, 220):
        with pytest.raises(AgentSilent):
            hypervisor.agent(vmid, "guest-ping", {}, 1)
    assert hypervisor.agent(200, "guest-ping", {}, 1) == {}


def test_faults_hold_for_copies_that_start_later(hypervisor: MemoryHypervisor) -> None:
    hypervisor.faults.stopped_services[9000] = {"dnsmasq.service"}
    copy_of(hypervisor, 210)

    assert output(hypervisor, 9000, "systemctl", "is-active", "dnsmasq") == "inactive\n"
    assert "53" not in hypervisor.guest(9000).listening()
    assert "53" in hypervisor.guest(210).listening()


def test_a_slow_guest_answers_later(hypervisor: MemoryHypervisor) -> None:
    hypervisor.faults.boot_seconds[9000] = 3600
    copy_of(hypervisor, 210)

    assert not hypervisor.guest(9000).is_up
    with pytest.raises(AgentSilent):
        hypervisor.agent(9000, "guest-ping", {}, 1)


def test_the_monitor_pauses_resumes_and_shuts_down(hypervisor: MemoryHypervisor) -> None:
    assert hypervisor.monitor(210, "info status") == "VM status: running\r\n"
    hypervisor.monitor(210, "stop")
    assert hypervisor.monitor(210, "info status") == "VM status: paused\r\n"
    with pytest.raises(AgentSilent):
        hypervisor.agent(210, "guest-ping", {}, 1)
    hypervisor.monitor(210, "cont")
    hypervisor.monitor(210, "system_powerdown")
    assert not hypervisor.is_running(210)
    assert hypervisor.monitor(220, "frobnicate now") == "unknown command: 'frobnicate'\r\n"


def test_a_guest_started_for_a_backup_does_not_boot(hypervisor: MemoryHypervisor) -> None:
    hypervisor.allocate(COPY, 1 << 30, like="vmdata:vm-210-disk-0")
    hypervisor.start(9000, CONFIG, {"virtio0": COPY}, paused=True)

    assert hypervisor.monitor(9000, "info status") == "VM status: paused (prelaunch)\r\n"
    with pytest.raises(AgentSilent):
        hypervisor.agent(9000, "guest-ping", {}, 1)
    hypervisor.monitor(9000, "cont")
    assert hypervisor.agent(9000, "guest-ping", {}, 1) == {}


def test_the_agent_shuts_its_guest_down(hypervisor: MemoryHypervisor) -> None:
    hypervisor.agent(210, "guest-shutdown", {}, 1)

    assert not hypervisor.is_running(210)


def test_a_screendump_is_a_picture_on_the_node(hypervisor: MemoryHypervisor, node: MemoryNode) -> None:
    hypervisor.monitor(210, "screendump /tmp/210.ppm")
    picture = node.read("/tmp/210.ppm")

    assert picture.startswith(b"P6\n320 200\n255\n")
    assert len(picture) == 15 + 320 * 200 * 3
    assert len(set(picture[15:])) == 2


def test_a_container_runs_what_its_volume_holds(hypervisor: MemoryHypervisor) -> None:
    assert hypervisor.container_exec(230, ["cat", "/srv/data/readme.txt"]).stdout == "client data of the lab\n"
    assert hypervisor.container_exec(230, ["hostname"]).stdout == "files\n"
    assert "inet 10.0.0.230/24" in hypervisor.container_exec(230, ["ip", "addr"]).stdout
    assert hypervisor.container_exec(230, ["ip", "-j", "addr"]).rc == 1  # busybox
