"""Reading a site asks the API nothing but GETs, and leaves the site exactly as it was."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from backup_standard.collect import collect
from backup_standard.inventory.loader import load
from lab.pve import dispatch
from lab.pve.dispatch import Answer, Request
from lab.pve.site import Site
from tests import labsite
from tests.campaign.state import differences, whole
from tests.drillground import NOON, write_inventory


def test_a_site_that_refuses_every_write_is_read_completely(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    methods: set[str] = set()

    def reads_alone(site: Site, request: Request) -> Answer:
        methods.add(request.method)
        return dispatch.answer(site, request) if request.method == "GET" else Answer(405, "reads only", None)

    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    with labsite.running(tmp_path / "backup-standard-lab", now=NOON) as lab:
        lab.server.answer = reads_alone
        before = whole(lab)
        facts = collect(load(write_inventory(tmp_path / "lab.yaml", lab)).inventory, progress=lambda _text: None)
        assert differences(before, whole(lab)) == []
    assert methods == {"GET"}
    assert facts.gaps == ()


def test_no_module_but_the_api_client_speaks_http_to_a_site() -> None:
    """What writes goes through ``pve.PveWriter`` and its guard: nothing else in the library has a client of its own."""
    library = Path(collect.__code__.co_filename).parents[1]
    clients = {"requests", "urllib3", "urllib.request", "http.client", "httpx", "aiohttp", "proxmoxer"}
    speakers = set()
    for path in library.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            if any(name == client or name.startswith(f"{client}.") for name in names for client in clients):
                speakers.add(path.relative_to(library).as_posix())
    assert speakers == {"pve/client.py", "pve/tls.py"}
