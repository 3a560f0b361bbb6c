"""SSH: strict host keys, one connection for many commands, and failures that say what to do."""

from __future__ import annotations

import socket
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from backup_standard.errors import ConnectionFailed, LoginRefused, OperatorError, Untrusted
from backup_standard.hosts import node_client, node_host, trust
from backup_standard.hosts.ssh import Account, SshClient
from backup_standard.inventory.schema import Inventory
from backup_standard.inventory.secrets import Secret
from backup_standard.waiting import until
from tests.unit.sshd import Sshd, new_key


def test_many_commands_use_one_login(server: Sshd, client: SshClient) -> None:
    outputs = [client.run(f"echo {number}").stdout for number in range(5)]

    assert outputs == [f"echo {number}\n".encode() for number in range(5)]
    assert server.logins == 1


def test_threads_share_a_connection(server: Sshd, client: SshClient) -> None:
    with ThreadPoolExecutor(6) as pool:
        outputs = list(pool.map(lambda number: client.run(f"x{number}").stdout, range(24)))

    assert outputs == [f"x{number}\n".encode() for number in range(24)]
    assert server.logins == 1


def test_status_both_outputs_and_stdin_arrive(server: Sshd, client: SshClient) -> None:
    server.answer = lambda _line, stdin: (3, b"o" * 3_000_000, b"e" * 3_000_000 + stdin)
    output = client.run("x", stdin=b"given")

    assert output.rc == 3
    assert len(output.stdout) == 3_000_000
    assert output.stderr.endswith(b"egiven")


def test_a_connection_that_was_lost_between_two_commands_is_opened_again(server: Sshd, client: SshClient) -> None:
    client.run("first")
    server.drop()
    until(lambda: not client._client.get_transport().is_active(), timeout=5, what="the client to notice")

    assert client.run("second").stdout == b"second\n"
    assert server.logins == 2


def test_a_connection_lost_in_the_middle_is_a_failure_not_a_result(server: Sshd, client: SshClient) -> None:
    server.answer = lambda _line, _stdin: (server.drop(), (0, b"", b""))[1]
    with pytest.raises(ConnectionFailed):
        client.run("x", timeout=2)


def test_a_command_that_says_nothing_is_given_up(server: Sshd, client: SshClient) -> None:
    release = threading.Event()

    def wait(_line: Any, _stdin: Any) -> Any:
        release.wait(5)
        return 0, b"", b""

    server.answer = wait
    with pytest.raises(ConnectionFailed, match=r"no sign of life from the command within 0\.3 s: sleep"):
        client.run("sleep", timeout=0.3)
    release.set()


def test_a_command_without_exit_status_is_a_failure(server: Sshd, client: SshClient) -> None:
    server.answer = lambda _line, _stdin: (-1, b"", b"")
    with pytest.raises(ConnectionFailed, match="the command ended without an exit status"):
        client.run("x", timeout=1)


def test_an_unknown_host_key_is_refused_with_the_line_to_add(server: Sshd, known_hosts: Any, client: SshClient) -> None:
    known_hosts.write_text("")
    client = SshClient("127.0.0.1", server.port, client.account, trust.known_hosts(known_hosts), known_hosts)

    with pytest.raises(Untrusted) as caught:
        client.run("x")

    assert str(caught.value) == (
        f"ssh [127.0.0.1]:{server.port}: the host key is not known: presented {server.key.get_name()} "
        f"{trust.fingerprint(server.key)}\n"
        "  Next: on the node's console compare with: ssh-keygen -lf /etc/ssh/ssh_host_ecdsa_key.pub; only if they "
        f"agree, add this line to {known_hosts} (also shown by ssh-keyscan -p {server.port} 127.0.0.1):\n"
        f"  {server.known_hosts_line().strip()}"
    )
    assert (server.logins, server.commands) == (0, [])


def test_a_changed_host_key_is_refused(server: Sshd, known_hosts: Any, client: SshClient) -> None:
    old = new_key()
    known_hosts.write_text(server.known_hosts_line(old))
    client = SshClient("127.0.0.1", server.port, client.account, trust.known_hosts(known_hosts), known_hosts)

    with pytest.raises(Untrusted) as caught:
        client.run("x")

    text = str(caught.value)
    assert text.startswith(
        f"ssh [127.0.0.1]:{server.port}: the host key has changed: presented {trust.fingerprint(server.key)}, "
        f"known {trust.fingerprint(old)}\n"
    )
    assert f"ssh-keygen -R '[127.0.0.1]:{server.port}' -f {known_hosts}" in text
    assert server.known_hosts_line().strip() in text
    assert server.logins == 0


def test_a_key_that_the_host_does_not_accept_is_said(server: Sshd, make: Any, tmp_path: Path) -> None:
    new_key().write_private_key_file(str(tmp_path / "other"))
    with pytest.raises(LoginRefused) as caught:
        make(Account("root", key=tmp_path / "other")).connect()
    assert str(caught.value) == (
        f"ssh root@[127.0.0.1]:{server.port}: the account root is not let in with the key {tmp_path}/other "
        "(Authentication failed.)\n  Next: check that root exists there and accepts this credential"
    )


def test_a_password_logs_in_and_a_wrong_one_does_not(server: Sshd, make: Any) -> None:
    assert make(Account("drill", password=Secret("s3cret"))).run("id").rc == 0
    with pytest.raises(LoginRefused, match="is not let in with the password") as caught:
        make(Account("drill", password=Secret("wr0ng"))).connect()
    assert "wr0ng" not in str(caught.value)
    assert "s3cret" not in repr(Account("drill", password=Secret("s3cret")))


def test_without_key_and_password_the_operators_own_keys_are_tried(
    server: Sshd, make: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("SSH_AUTH_SOCK", raising=False)
    with pytest.raises(LoginRefused, match=r"the keys of the SSH agent and ~/\.ssh"):
        make(Account("root")).connect()


def test_key_files_that_cannot_be_used_are_named(make: Any, tmp_path: Path) -> None:
    def failure(name: Any) -> Any:
        with pytest.raises(ConnectionFailed) as caught:
            make(Account("root", key=tmp_path / name)).connect()
        return str(caught.value).split(": ", 1)[1]

    (tmp_path / "text").write_text("no key")
    (tmp_path / "folder").mkdir()
    new_key().write_private_key_file(str(tmp_path / "locked"), password="x")
    assert failure("none") == f"there is no key file {tmp_path}/none"
    assert failure("folder") == f"the key file {tmp_path}/folder cannot be read: Is a directory"
    assert failure("text") == f"the file {tmp_path}/text holds no private key that SSH knows"
    assert failure("locked").startswith(f"the key file {tmp_path}/locked is encrypted")


def test_a_port_where_nothing_listens_is_said(make: Any) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    with pytest.raises(ConnectionFailed) as caught:
        make(port=port).run("x")
    assert str(caught.value) == (
        f"ssh root@[127.0.0.1]:{port}: nothing listens there (connection refused)\n"
        "  Next: check address and port, and that sshd runs there"
    )


def test_a_port_that_does_not_speak_ssh_is_said(make: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("backup_standard.hosts.ssh.CONNECT_TIMEOUT", 1.0)
    with (
        socket.create_server(("127.0.0.1", 0)) as silent,
        pytest.raises(ConnectionFailed, match="no SSH server answers there"),
    ):
        make(port=silent.getsockname()[1]).run("x")


def test_a_name_that_is_not_known_and_a_host_that_is_silent_are_said(
    client: SshClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    unknown = client._failed(socket.gaierror(-2, "Name or service not known"))
    assert "the name 127.0.0.1 is not known" in str(unknown)
    assert "no answer within 20 s" in str(client._failed(TimeoutError()))


def inventory(server: Sshd, tmp_path: Path, **node: Any) -> Any:
    section = {"ssh": f"root@127.0.0.1:{server.port}", "key": str(tmp_path / "id"), **node}
    return Inventory.model_validate(
        {
            "client": "x",
            "site": {"name": "x", "timezone": "UTC"},
            "api": {"url": "https://x:8006", "audit_token": {"id": "a@pve!b", "secret": "env:X"}},
            "nodes": {"pve1": section},
            "policy": {"storage": "s"},
            "guests": {},
        }
    )


def test_a_node_is_reached_as_the_inventory_says(server: Sshd, known_hosts: Any, tmp_path: Path) -> None:
    described = inventory(server, tmp_path, known_hosts=str(known_hosts))
    with node_client(described, "pve1") as client:
        host = node_host(client, "pve1")
        assert host.run("cat %s", "/etc/fs tab; id").stdout == "cat '/etc/fs tab; id'\n"
        assert host.backend.get_hostname() == "pve1"


def test_a_node_that_the_inventory_does_not_name_is_said(server: Sshd, known_hosts: Any, tmp_path: Path) -> None:
    with pytest.raises(OperatorError, match="the inventory has no SSH for node pve2"):
        node_client(inventory(server, tmp_path), "pve2")


def test_a_missing_known_hosts_file_knows_no_host(server: Sshd, tmp_path: Path) -> None:
    described = inventory(server, tmp_path, known_hosts=str(tmp_path / "none"))
    with node_client(described, "pve1") as client, pytest.raises(Untrusted, match="the host key is not known"):
        client.connect()


def test_a_known_hosts_file_that_cannot_be_read_is_said(tmp_path: Path) -> None:
    with pytest.raises(ConnectionFailed, match="the file cannot be read: Is a directory"):
        trust.known_hosts(tmp_path)


def test_host_names_on_the_usual_port_need_no_brackets() -> None:
    assert trust.entry_name("pve1", 22) == "pve1"
    assert "ssh-keyscan pve1)" in trust.how_to_add("pve1", 22, "known_hosts", new_key())


def test_closing_what_broke_already_is_no_failure_of_its_own(
    client: SshClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken() -> None:
        raise EOFError

    client.run("first")
    monkeypatch.setattr(client._client, "close", broken)
    client.close()
    assert client.run("second").stdout == b"second\n"
