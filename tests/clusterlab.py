"""A cluster of the lab in memory: several nodes behind one API, each entered over its own SSH."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from backup_standard.audit.site import Site as Audited
from backup_standard.collect import collect
from backup_standard.inventory.loader import parse
from backup_standard.inventory.schema import Inventory
from lab import certificates
from lab.manysite import Shape, build
from lab.memory_node import MemoryNode
from lab.pve.seed_access import Secrets
from lab.pve.server import TlsFiles, serve
from lab.pve.site import Site
from lab.scripted.image import new_host_key
from lab.scripted_ssh import ScriptedSsh, load_key, public_text

SECRETS = Secrets("a" * 32, "b" * 32, "c" * 8)


@dataclass
class ClusterLab:
    """A running cluster; ``shape`` tells its guests and nodes, ``addresses`` where each node's SSH listens."""

    site: Site
    shape: Shape
    folder: Path
    url: str
    addresses: dict[str, str]

    def node(self, name: str) -> MemoryNode:
        """The machine of one of its nodes."""
        found: MemoryNode = self.site.peers[name].hypervisor.node
        return found

    @property
    def inventory(self) -> Inventory:
        """What its operator would write: every guest holds client data, every node is entered by SSH."""
        access = f"key: {self.folder}/key, known_hosts: {self.folder}/known_hosts"
        lines = [
            "client: cluster",
            "class: lab",
            "site: {name: cluster, timezone: Europe/Berlin}",
            f'api: {{url: "{self.url}", ca: {self.folder}/ca.pem,',
            f'  audit_token: {{id: "audit@pve!suite", secret: "file:{self.folder}/token"}}}}',
            "nodes:",
            *(f"  {name}: {{ssh: root@{address}, {access}}}" for name, address in self.addresses.items()),
            "policy: {storage: backup-hdd}",
            "not_deployed: {golden-template: none, docker-host: none, dns: none, monitoring: none}",
            "guests:",
            *(f"  {vmid}: {{role: client-data}}" for vmid in self.shape.vmids()),
        ]
        return parse("\n".join(lines), self.folder / "cluster.yaml").inventory

    def audited(self) -> Audited:
        """The site as an audit reads it."""
        inventory = self.inventory
        return Audited(inventory, collect(inventory))


@contextlib.contextmanager
def running(folder: Path, shape: Shape) -> Iterator[ClusterLab]:
    """Make and serve a cluster."""
    folder.mkdir(parents=True, exist_ok=True)
    site = build(shape, SECRETS)
    key = new_host_key()
    (folder / "key").touch(mode=0o600)
    (folder / "key").write_text(key)
    (folder / "token").write_text(SECRETS.audit_token)
    certificates.make(folder / "ca.pem", folder / "api.pem", folder / "api.key")
    admitted = [public_text(load_key(key))]
    with contextlib.ExitStack() as stack:
        doors = {
            name: stack.enter_context(ScriptedSsh(peer.hypervisor.node, admitted)) for name, peer in site.peers.items()
        }
        (folder / "known_hosts").write_text("".join(door.known_hosts for door in doors.values()))
        server = stack.enter_context(serve(site, tls=TlsFiles(folder / "api.pem", folder / "api.key")))
        addresses = {name: f"127.0.0.1:{door.port}" for name, door in doors.items()}
        yield ClusterLab(site, shape, folder, f"https://127.0.0.1:{server.port}", addresses)
