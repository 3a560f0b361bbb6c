"""A sound inventory, and what is said of it with one piece replaced."""

from __future__ import annotations

import textwrap
from pathlib import Path
from typing import Any

import pytest

from backup_standard.errors import InventoryError
from backup_standard.inventory.loader import load

SOUND = """\
client: acme
site: {name: office, timezone: Europe/Berlin}
api:
  url: https://pve1.acme.example:8006
  audit_token: {id: "audit@pve!suite", secret: "env:ACME"}
policy: {storage: backup-hdd}
drill: {bridge: vmbr9, storage: vmdata, vmids: 9000-9099}
guests:
  200:
    role: docker-host
    drill: {vmid: 201, login: {user: drill, key: ~/.ssh/drill}}
  210: {role: dns}
"""


@pytest.fixture
def write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.chdir(tmp_path)

    def write(text: Any, name: Any = "acme.yaml") -> Any:
        Path(name).write_text(textwrap.dedent(text), encoding="utf-8")
        return Path(name)

    return write


def refusal(path: Any) -> Any:
    with pytest.raises(InventoryError) as caught:
        load(path)
    return str(caught.value)


def only_problem(write: Any, old: Any, new: Any) -> Any:
    """The one problem of the sound inventory with one piece of it replaced."""
    assert old in SOUND
    text = refusal(write(SOUND.replace(old, new)))
    problem, cure = text.split("\n  Next: ")
    assert cure == "mend that line, then: backup-standard inventory check acme.yaml", text
    return problem
