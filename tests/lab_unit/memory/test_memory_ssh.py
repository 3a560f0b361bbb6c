"""SSH before the node in memory and, through it, the guests' own servers."""

import io
import socket
from collections.abc import Iterator

import paramiko
import pytest

from lab.memory import MemoryHypervisor
from lab.scripted.image import new_host_key
from lab.scripted.site import GuestAccess
from lab.scripted_ssh import ScriptedSsh, load_key, public_text

COPY = "vmdata:vm-9000-disk-0"
THROUGH = "ip netns exec drill9000 socat - TCP:10.0.0.{host}:{port}"
GATEWAY = (
    "ip netns add drill9000", "ip link add dg9000 type veth peer name eth0 netns drill9000",
    "ip link set dg9000 master vmbr9 up", "ip -n drill9000 addr add 10.0.0.1/24 dev eth0",
    "ip -n drill9000 link set eth0 up",
)  # fmt: skip


def connect(over: socket.socket | paramiko.Channel, host_key: str) -> paramiko.Transport:
    transport = paramiko.Transport(over)
    transport.start_client(timeout=10)
    assert public_text(transport.get_remote_server_key()) == host_key
    return transport


def run(transport: paramiko.Transport, line: str) -> tuple[int, str, str]:
    channel = transport.open_session(timeout=10)
    channel.settimeout(10)
    channel.exec_command(line)
    out, err = channel.makefile("rb").read(), channel.makefile_stderr("rb").read()
    rc = channel.recv_exit_status()
    channel.close()
    return rc, out.decode(), err.decode()


@pytest.fixture
def ssh(hypervisor: MemoryHypervisor, access: GuestAccess) -> Iterator[ScriptedSsh]:
    with ScriptedSsh(hypervisor.node, [access.public_key]) as server:
        yield server


@pytest.fixture
def root(ssh: ScriptedSsh, client_key: str) -> Iterator[paramiko.Transport]:
    """A login as root of the node."""
    transport = connect(socket.create_connection(("127.0.0.1", ssh.port)), ssh.public_key)
    transport.auth_publickey("root", load_key(client_key))
    yield transport
    transport.close()


@pytest.fixture
def copy(hypervisor: MemoryHypervisor) -> MemoryHypervisor:
    """VM 9000, a copy of the DNS guest on the isolated bridge, and its drill gateway."""
    hypervisor.allocate(COPY, 1 << 30, like="vmdata:vm-210-disk-0")
    config = {"boot": "order=virtio0", "net0": "virtio=BC:24:11:00:90:00,bridge=vmbr9"}
    hypervisor.start(9000, config, {"virtio0": COPY})
    for line in GATEWAY:
        assert hypervisor.node.shell(line).rc == 0
    return hypervisor


def tunnel(root: paramiko.Transport, host: int = 210, port: int = 22) -> paramiko.Channel:
    channel = root.open_session(timeout=10)
    channel.settimeout(10)
    channel.exec_command(THROUGH.format(host=host, port=port))
    return channel


def guest_key(hypervisor: MemoryHypervisor, vmid: int) -> str:
    return hypervisor.guest(vmid).image.public_key()


def test_commands_run_on_the_node(root: paramiko.Transport) -> None:
    assert run(root, "hostname") == (0, "pve1\n", "")
    assert run(root, "cat /nope") == (1, "", "cat: /nope: No such file or directory\n")
    rc, out, err = run(root, "frobnicate --all")
    assert (rc, out) == (127, "")
    assert "no recorded result for command: frobnicate --all" in err


def test_known_hosts_and_port_are_what_clients_need(ssh: ScriptedSsh) -> None:
    known = paramiko.hostkeys.HostKeyEntry.from_line(ssh.known_hosts)

    assert known
    assert known.hostnames == [f"[127.0.0.1]:{ssh.port}"]


@pytest.mark.parametrize("account", ["root", "drill"])
def test_the_node_refuses_other_keys_and_passwords(ssh: ScriptedSsh, account: str) -> None:
    transport = connect(socket.create_connection(("127.0.0.1", ssh.port)), ssh.public_key)
    with pytest.raises(paramiko.AuthenticationException):
        transport.auth_publickey(account, load_key(new_host_key()))
    with pytest.raises(paramiko.AuthenticationException):
        transport.auth_password(account, "")
    transport.close()


def test_a_drill_logs_in_through_its_gateway(copy: MemoryHypervisor, root: paramiko.Transport, client_key: str) -> None:
    transport = connect(tunnel(root), guest_key(copy, 210))
    transport.auth_publickey("drill", load_key(client_key))

    assert run(transport, "id -un") == (0, "drill\n", "")
    assert run(transport, "hostname && systemctl is-active dnsmasq") == (0, "dns\nactive\n", "")
    boot = run(transport, "cat /proc/sys/kernel/random/boot_id")[1]
    assert boot.strip() == copy.guest(9000).host.boot_id != copy.guest(210).host.boot_id
    transport.close()


def test_the_guest_lets_in_by_password(copy: MemoryHypervisor, root: paramiko.Transport, access: GuestAccess) -> None:
    transport = connect(tunnel(root), guest_key(copy, 210))
    with pytest.raises(paramiko.AuthenticationException):
        transport.auth_password("drill", "wrong")
    transport.auth_password("drill", access.password)
    assert run(transport, "whoami")[1] == "drill\n"
    transport.close()


@pytest.mark.parametrize("account", ["root", "nobody"])
def test_the_guest_refuses_every_other_account(
    copy: MemoryHypervisor, root: paramiko.Transport, access: GuestAccess, client_key: str, account: str
) -> None:
    transport = connect(tunnel(root), guest_key(copy, 210))
    with pytest.raises(paramiko.AuthenticationException):
        transport.auth_password(account, access.password)
    with pytest.raises(paramiko.AuthenticationException):
        transport.auth_publickey(account, load_key(client_key))
    transport.close()


def test_a_wrong_password_is_a_fault(copy: MemoryHypervisor, root: paramiko.Transport, access: GuestAccess) -> None:
    copy.guest(9000).password_refused = True
    transport = connect(tunnel(root), guest_key(copy, 210))
    with pytest.raises(paramiko.AuthenticationException):
        transport.auth_password("drill", access.password)
    transport.close()


@pytest.mark.parametrize(("host", "port", "reason"), [(200, 22, "No route to host"), (210, 2222, "Connection refused")])
def test_what_does_not_answer_says_why(
    copy: MemoryHypervisor, root: paramiko.Transport, host: int, port: int, reason: str
) -> None:
    rc, out, err = run(root, THROUGH.format(host=host, port=port))

    assert (rc, out) == (1, "")
    assert reason in err


def test_a_guest_with_a_stopped_server_refuses(copy: MemoryHypervisor, root: paramiko.Transport) -> None:
    copy.guest(9000).host.services["ssh.service"].active = "inactive"

    assert "Connection refused" in run(root, THROUGH.format(host=210, port=22))[2]


def test_services_answer_on_their_ports(copy: MemoryHypervisor, root: paramiko.Transport) -> None:
    rc, out, _err = run(root, "curl -s http://10.0.0.200:8080/")
    assert (rc, out) == (0, "lab web is up\n")
    channel = tunnel(root, port=53)
    query = bytes.fromhex("1234 0100 0001 0000 0000 0000".replace(" ", "")) + b"\x03www\x03lab\x07example\0\0\1\0\1"
    channel.sendall(len(query).to_bytes(2) + query)
    reply = channel.makefile("rb").read()

    assert reply[2:4] == query[:2]
    assert reply.endswith(bytes([10, 0, 0, 80]))


def test_a_guest_that_is_switched_off_ends_its_sessions(
    copy: MemoryHypervisor, root: paramiko.Transport, client_key: str
) -> None:
    transport = connect(tunnel(root), guest_key(copy, 210))
    transport.auth_publickey("drill", load_key(client_key))
    copy.stop(9000)

    with pytest.raises((paramiko.SSHException, EOFError)):
        run(transport, "id -un")
    transport.close()


def test_many_commands_in_a_row_all_start(root: paramiko.Transport) -> None:
    assert [run(root, f"echo {number}")[1] for number in range(40)] == [f"{number}\n" for number in range(40)]


def test_a_key_is_told_as_authorized_keys_have_it() -> None:
    key = paramiko.Ed25519Key.from_private_key(io.StringIO(new_host_key()))

    assert public_text(key).split()[0] == "ssh-ed25519"
