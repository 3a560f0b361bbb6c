"""An SSH server on loopback with one account."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from backup_standard.hosts import trust
from backup_standard.hosts.ssh import Account, SshClient
from tests.unit.sshd import Sshd, new_key, sshd


@pytest.fixture
def key(tmp_path: Path) -> Any:
    key = new_key()
    key.write_private_key_file(str(tmp_path / "id"))
    return key


@pytest.fixture
def server(key: Any) -> Any:
    with sshd(keys={"root": [key]}, passwords={"drill": "s3cret"}) as running:
        yield running


@pytest.fixture
def known_hosts(server: Sshd, tmp_path: Path) -> Any:
    path = tmp_path / "known_hosts"
    path.write_text(server.known_hosts_line())
    return path


@pytest.fixture
def make(server: Sshd, known_hosts: Any, tmp_path: Path) -> Any:
    clients = []

    def make(account: Any = None, port: Any = None) -> Any:
        account = account or Account("root", key=tmp_path / "id")
        client = SshClient("127.0.0.1", port or server.port, account, trust.known_hosts(known_hosts), known_hosts)
        clients.append(client)
        return client

    yield make
    for client in clients:
        client.close()


@pytest.fixture
def client(make: Any) -> Any:
    return make()
