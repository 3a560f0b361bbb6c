"""A node over SSH, as its section of the inventory says: as root, or as an account that reads through sudo."""

from __future__ import annotations

from testinfra.host import Host

from backup_standard.errors import OperatorError
from backup_standard.hosts import trust
from backup_standard.hosts.backend import Notes, SshBackend, SudoBackend, host_on
from backup_standard.hosts.ssh import Account, SshClient
from backup_standard.inventory.schema import Inventory
from backup_standard.inventory.secrets import expand

SSH_PORT = 22


def node_client(inventory: Inventory, node: str) -> SshClient:
    """A connection to a node, not yet opened. OperatorError when the inventory has no SSH for it."""
    section = inventory.nodes.get(node)
    if section is None:
        raise OperatorError(
            f"the inventory has no SSH for node {node}", where="nodes", next_step=f"add  {node}: {{ssh: root@HOST}}"
        )
    user, _, address = section.ssh.rpartition("@")
    host, _, port = address.partition(":")
    path = expand(section.known_hosts)
    account = Account(user, key=expand(section.key) if section.key else None, sudo=section.uses_sudo)
    return SshClient(host, int(port or SSH_PORT), account, trust.known_hosts(path), path)


def node_host(client: SshClient, node: str, recorder: Notes | None = None) -> Host:
    """A testinfra host on a node's connection; ``node`` is the name that commands are recorded under."""
    backend = SudoBackend if client.account.sudo else SshBackend
    return host_on(backend(node, client, recorder))
