"""The whole site in memory, as a client meets it: over HTTPS and SSH, with the files of the lab's state folder."""

import base64
import shlex
import time
from collections.abc import Iterator

import paramiko
import pytest

from tests import labsite

GATEWAY = (
    "ip netns add drill211", "ip link add dg211 type veth peer name eth0 netns drill211",
    "ip link set dg211 master vmbr9 up", "ip -n drill211 addr add 10.0.0.1/24 dev eth0",
    "ip -n drill211 link set eth0 up",
)  # fmt: skip


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[labsite.LabSite]:
    with labsite.running(tmp_path_factory.mktemp("state")) as running:
        yield running


@pytest.fixture
def node(lab: labsite.LabSite) -> Iterator[paramiko.SSHClient]:
    with paramiko.SSHClient() as client:
        client.load_host_keys(str(lab.folder / "known_hosts"))
        client.connect(
            "127.0.0.1",
            lab.ssh.port,
            "root",
            key_filename=str(lab.folder / "id_ed25519"),
            allow_agent=False,
            look_for_keys=False,
        )
        yield client


def run(client: paramiko.SSHClient, line: str) -> str:
    _stdin, out, err = client.exec_command(line, timeout=10)
    text = out.read().decode()
    assert out.channel.recv_exit_status() == 0, f"{line}: {err.read().decode()}"
    return text


def task(lab: labsite.LabSite, method: str, path: str, **params: object) -> None:
    done = lab.site.tasks.wait(lab.data(method, path, who="drill", **params))
    assert done.status == "OK", done.log


def restore(lab: labsite.LabSite, vmid: int, temporary: int) -> None:
    newest = max(
        name.name
        for name in lab.hypervisor.node.listdir("/mnt/backup/dump")
        if name.name.startswith(f"vzdump-qemu-{vmid}-") and name.name.endswith(".vma.zst")
    )
    task(
        lab,
        "POST",
        "/nodes/pve1/qemu",
        vmid=temporary,
        archive=f"backup-hdd:backup/{newest}",
        storage="vmdata",
        net0="virtio=BC:24:11:00:02:99,bridge=vmbr9",
        template=0,
        onboot=0,
        pool="drill",
    )
    task(lab, "POST", f"/nodes/pve1/qemu/{temporary}/status/start")


def destroy(lab: labsite.LabSite, temporary: int) -> None:
    task(lab, "POST", f"/nodes/pve1/qemu/{temporary}/status/stop")
    task(lab, "DELETE", f"/nodes/pve1/qemu/{temporary}")


@pytest.mark.parametrize(("vmid", "temporary", "name"), [(210, 211, "dns"), (100, 101, "golden-template")])
def test_a_guest_is_restored_booted_and_deleted_in_milliseconds(
    lab: labsite.LabSite, vmid: int, temporary: int, name: str
) -> None:
    before, began = lab.hypervisor.volumes(), time.process_time()
    restore(lab, vmid, temporary)
    told = lab.data("GET", f"/nodes/pve1/qemu/{temporary}/agent/get-host-name", who="drill")
    destroy(lab, temporary)

    assert told == {"result": {"host-name": name}}
    assert time.process_time() - began < 0.5
    assert lab.hypervisor.volumes() == before
    assert not lab.hypervisor.is_running(temporary)


def test_the_restored_guest_is_entered_through_the_node(lab: labsite.LabSite, node: paramiko.SSHClient) -> None:
    restore(lab, 210, 211)
    for line in GATEWAY:
        run(node, line)
    transport = node.get_transport()
    assert transport
    channel = transport.open_session()
    channel.exec_command("ip netns exec drill211 socat - TCP:10.0.0.210:22")
    with paramiko.SSHClient() as guest:
        key = (lab.folder / "guest-210.hostkey.pub").read_text().split()
        known = paramiko.PKey.from_type_string(key[0], base64.b64decode(key[1]))
        guest.get_host_keys().add("10.0.0.210", key[0], known)
        guest.connect(
            "10.0.0.210",
            username="drill",
            password=(lab.folder / "drill-password").read_text().strip(),
            sock=channel,
            allow_agent=False,
            look_for_keys=False,
        )
        assert run(guest, shlex.join(["systemctl", "is-active", "dnsmasq"])) == "active\n"
    destroy(lab, 211)
    run(node, "ip netns del drill211")

    assert "dg211" not in run(node, "ip -o link show")
    assert "tap211i0" not in run(node, "ip -o link show")


def test_production_runs_and_is_reachable_from_the_node(node: paramiko.SSHClient) -> None:
    assert run(node, "curl -s http://10.0.0.200:8080/") == "lab web is up\n"
    assert run(node, "dig +short @10.0.0.210 www.lab.example") == "10.0.0.80\n"
    assert "node_load1" in run(node, "curl -s http://10.0.0.220:9100/metrics")
