"""A machine with nothing on it, for what needs a site but no machinery."""

from __future__ import annotations

import types
from typing import Any, cast

from lab.hypervisor import Hypervisor
from lab.pve.dispatch import Answer, Request, answer
from lab.pve.releases import Version
from lab.pve.site import Site

ROOT = "PVEAPIToken=root@pam!suite=root-secret"


class StubNode:
    """A clock and a journal."""

    name = "pve1"

    def __init__(self) -> None:
        self.time = 1_795_466_000.0
        self.lines: list[tuple[str, str]] = []

    def now(self) -> float:
        return self.time

    def journal(self, identifier: str, message: str, **_more: Any) -> None:
        self.lines.append((identifier, message))


def bare_site(version: Version = "9.2") -> Site:
    """A site without guests; root@pam!suite is a token without privilege separation."""
    site = Site(cast("Hypervisor", types.SimpleNamespace(node=StubNode())), version)
    site.auth_delay = 0
    site.access.users["root@pam"].password = "root-password"
    site.access.add_token("root@pam", "suite", "root-secret", privsep=0)
    return site


def ask(site: Site, method: str, path: str, token: str = ROOT, /, **params: Any) -> Answer:
    """One request, without the network."""
    named = {name.replace("_", "-"): value for name, value in params.items()}
    return answer(site, Request(method, path, named, authorization=token))


def data(site: Site, method: str, path: str, token: str = ROOT, /, **params: Any) -> Any:
    """The data of an answer that must be a success."""
    got = ask(site, method, path, token, **params)
    assert got.status == 200, got
    assert got.body is not None
    return got.body["data"]
