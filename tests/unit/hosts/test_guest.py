"""A guest through its drill gateway: SSH over a command on the node, against a key given beforehand."""

from __future__ import annotations

import socket
from pathlib import Path
from typing import Any

import pytest

from backup_standard.errors import ConnectionFailed, LoginRefused, Untrusted
from backup_standard.hosts import Account, account_of, guest_client, guest_host, trust
from backup_standard.hosts.ssh import SshClient
from backup_standard.inventory.drills import Login
from backup_standard.inventory.secrets import Secret
from tests.unit.sshd import Sshd, new_key, sshd

DRILL = Account("drill", password=Secret("s3cret"))


@pytest.fixture
def guest() -> Any:
    with sshd(passwords={"drill": "s3cret"}) as running:
        yield running


@pytest.fixture
def way(server: Sshd, guest: Any) -> Any:
    server.bridge = lambda line: guest.port if line == "ip netns exec drill201 socat - TCP:10.0.0.20:22" else None
    return server


def line_of(key: Any) -> str:
    return f"{key.get_name()} {key.get_base64()} comment"


def test_a_guest_answers_from_inside_the_namespace(way: Any, client: SshClient, guest: Any) -> None:
    with guest_client(client, "drill201", "10.0.0.20", DRILL, line_of(guest.key)) as inside:
        host = guest_host(inside, "201")
        assert host.run("id -un").stdout == "id -un\n"
        assert host.run("true").rc == 0
    assert guest.logins == 1
    assert way.commands == ["ip netns exec drill201 socat - TCP:10.0.0.20:22"]


def test_names_are_quoted_on_the_node(way: Any, client: SshClient, guest: Any) -> None:
    way.bridge = lambda _line: 1
    with (
        guest_client(client, "a;b", "fe80::1", DRILL, line_of(guest.key), port=2222) as inside,
        pytest.raises(ConnectionFailed),
    ):
        inside.connect()
    assert way.commands[0] == "ip netns exec 'a;b' socat - 'TCP:[fe80::1]:2222'"


def test_another_host_key_than_the_given_one_is_refused(way: Any, client: SshClient, guest: Any) -> None:
    other = new_key()
    with (
        guest_client(client, "drill201", "10.0.0.20", DRILL, line_of(other)) as inside,
        pytest.raises(Untrusted, match=f"presented {trust.fingerprint(guest.key)}".replace("+", r"\+")),
    ):
        inside.run("id")
    assert guest.logins == 0


def test_a_wrong_credential_is_a_refused_login_not_a_lost_guest(way: Any, client: SshClient, guest: Any) -> None:
    wrong = Account("drill", password=Secret("wrong"))
    with (
        guest_client(client, "drill201", "10.0.0.20", wrong, line_of(guest.key)) as inside,
        pytest.raises(LoginRefused, match="the account drill is not let in"),
    ):
        inside.connect()


def test_a_guest_that_does_not_answer_is_said_in_socats_words(server: Sshd, client: SshClient) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    server.bridge = lambda _line: port
    with (
        guest_client(client, "drill201", "10.0.0.20", DRILL, line_of(new_key())) as inside,
        pytest.raises(ConnectionFailed) as caught,
    ):
        inside.connect()
    assert str(caught.value) == (
        "ssh drill@10.0.0.20: the guest does not answer on port 22 from inside namespace drill201: "
        "socat[1] E connect(): Connection refused"
    )


def test_the_account_is_the_inventorys(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GUEST", "s3cret")
    monkeypatch.setenv("HOME", "/home/op")
    by_password = account_of(Login(user="drill", password="env:GUEST"))
    by_key = account_of(Login(user="root", key="~/id"))

    assert (by_password.user, by_password.password.reveal(), by_password.key) == ("drill", "s3cret", None)
    assert (by_key.user, by_key.password, str(by_key.key)) == ("root", None, "/home/op/id")


def test_a_host_key_may_stand_in_a_file(tmp_path: Path) -> None:
    key = new_key()
    (tmp_path / "k.pub").write_text(line_of(key))
    assert trust.public_key(f"file:{tmp_path}/k.pub", where="x") == key


def test_what_is_no_host_key_is_said(tmp_path: Path) -> None:
    with pytest.raises(
        ConnectionFailed, match=r"guests\.200: the public host key is not in the form 'ssh-ed25519 AAAA…'"
    ):
        trust.public_key("nonsense", where="guests.200")
    with pytest.raises(ConnectionFailed, match="not in the form"):
        trust.public_key("ssh-ed25519 AAAA", where="guests.200")
    with pytest.raises(ConnectionFailed, match=f"cannot be read from {tmp_path}/none: No such file"):
        trust.public_key(f"file:{tmp_path}/none", where="guests.200")
