"""The lab's own site in memory, served over HTTPS: what fast tests talk to instead of virtual machines.

    with labsite.running(tmp_path) as lab:
        lab.data("GET", "/nodes/pve1/qemu")          # as the auditor
        lab.data("GET", "/version", who="drill")

The folder is laid out as ``python -m lab up`` lays out its state: ca.pem, audit-token, drill-token, root-password,
known_hosts and id_ed25519 for the node's SSH, drill-password, and the host key of each guest.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import requests

from lab import certificates
from lab.memory import MemoryHypervisor
from lab.memory_node import MemoryNode
from lab.pve import job_files, onboot, seed
from lab.pve.releases import Version
from lab.pve.seed_access import Secrets
from lab.pve.server import Server, TlsFiles, serve
from lab.pve.site import Site
from lab.scripted import guesttools
from lab.scripted.image import new_host_key
from lab.scripted.site import GuestAccess, lab_hypervisor
from lab.scripted_ssh import ScriptedSsh, load_key, public_text


@dataclass
class LabSite:
    """A running site. ``who`` is "audit" (audit@pve!suite), "drill" (drill@pve!suite) or "root" (root@pam!suite)."""

    site: Site
    hypervisor: MemoryHypervisor
    server: Server
    ssh: ScriptedSsh
    folder: Path
    tokens: Mapping[str, tuple[str, str]]
    secrets: Secrets

    @property
    def ca(self) -> Path:
        """The certificate that signed the server's."""
        return self.folder / "ca.pem"

    @property
    def url(self) -> str:
        """What an inventory names as ``api.url``."""
        return f"https://127.0.0.1:{self.server.port}"

    def send(self, method: str, path: str, who: str = "audit", **params: Any) -> requests.Response:
        """One request over HTTPS; parameters go where the method wants them."""
        tokenid, secret = self.tokens[who]
        where = {"data" if method in {"POST", "PUT"} else "params": params}
        with requests.Session() as session:
            session.trust_env = False
            return session.request(
                method,
                self.server.url + path,
                verify=str(self.ca),
                timeout=30,
                headers={"Authorization": f"PVEAPIToken={tokenid}={secret}"},
                **where,
            )

    def data(self, method: str, path: str, who: str = "audit", **params: Any) -> Any:
        """The data of a request that must succeed."""
        got = self.send(method, path, who, **params)
        assert got.ok, f"{method} {path}: {got.status_code} {got.reason} {got.text}"
        return got.json()["data"]


@contextmanager
def running(
    folder: Path, *, version: Version = "9.2", now: int | None = None, guests: bool = True
) -> Iterator[LabSite]:
    """Make, fill and serve the site; ``now`` (seconds since the epoch) sets the node's clock.

    ``guests``: the guests that start with the node run.
    """
    folder.mkdir(parents=True, exist_ok=True)
    node = MemoryNode()
    if now is not None:
        node.skew = now - node.now()
    client_key = new_host_key()
    access = GuestAccess(public_text(load_key(client_key)), secrets.token_hex(8))
    hypervisor = lab_hypervisor(access, node, running=False)
    site = Site(hypervisor, version)
    site.auth_delay = 0
    guesttools.add_to(node.host.programs, site)
    known = Secrets(secrets.token_hex(16), secrets.token_hex(16), secrets.token_hex(8))
    moment = site.now()
    seed.seed(site, moment, known)
    seed.populate(hypervisor, moment)
    job_files.write_jobs(site)
    if guests:
        booted = site.tasks.wait(onboot.start_all(site))
        assert booted.status == "OK", booted.log
    root_secret = secrets.token_hex(16)
    site.access.add_token("root@pam", "suite", root_secret, privsep=0)
    for name, text in (
        ("audit-token", known.audit_token),
        ("drill-token", known.drill_token),
        ("root-password", known.root_password),
    ):
        (folder / name).write_text(f"{text}\n")
    _lay_access(folder, client_key, access)
    certificates.make(folder / "ca.pem", folder / "api.pem", folder / "api.key")
    tokens = {
        "audit": ("audit@pve!suite", known.audit_token),
        "drill": ("drill@pve!suite", known.drill_token),
        "root": ("root@pam!suite", root_secret),
    }
    try:
        with (
            ScriptedSsh(node, [access.public_key]) as ssh,
            serve(site, tls=TlsFiles(folder / "api.pem", folder / "api.key")) as server,
        ):
            (folder / "known_hosts").write_text(ssh.known_hosts)
            yield LabSite(site, hypervisor, server, ssh, folder, tokens, known)
    finally:
        hypervisor.close()


def _lay_access(folder: Path, client_key: str, access: GuestAccess) -> None:
    (folder / "id_ed25519").touch(mode=0o600)
    (folder / "id_ed25519").write_text(client_key)
    (folder / "drill-password").write_text(f"{access.password}\n")
    for vmid, key in access.host_keys.items():
        (folder / f"guest-{vmid}.hostkey.pub").write_text(f"{public_text(load_key(key))}\n")
