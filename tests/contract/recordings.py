"""The recorded answers of a running Proxmox VE, as the fixtures under ``recorded`` keep them."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

from lab.pve.routes import ROUTES
from lab.pve.schema import load

FOLDER = Path(__file__).parent / "recorded"
RELEASES = ("9.2", "8.4")
MATRIX = "13-matrix"


@dataclass(frozen=True)
class Recorded:
    """One recorded request and its answer; ``number`` counts from 0 within its file."""

    release: str
    file: str
    number: int
    name: str
    method: str
    path: str
    auth: str
    status: int
    reason: str
    body: Any
    params: dict[str, Any] = field(default_factory=dict)
    body_kind: str = "form"

    @property
    def label(self) -> str:
        """What a failing test shows: file, number and request."""
        return f"{self.file}[{self.number}] {self.method} {self.path} as {self.auth} ({self.name})"

    @property
    def data(self) -> Any:
        """What a success carries."""
        return self.body["data"] if isinstance(self.body, dict) else None

    @property
    def route(self) -> str:
        """The route it goes to, as the lab's table names it; "" for a path that nobody serves."""
        found = load(self.release).find(self.method, self.path)
        return found[0].key if found and found[0].key in ROUTES else ""


@cache
def read(release: str, file: str) -> tuple[Recorded, ...]:
    """All of one file, in the order in which it was recorded."""
    entries = json.loads((FOLDER / f"pve-{release}" / f"{file}.json").read_text())
    return tuple(Recorded(release, file, number, **entry) for number, entry in enumerate(entries))


def files() -> list[tuple[str, str]]:
    """Every recording as (release, file)."""
    return [
        (release, path.stem)
        for release in RELEASES
        for path in sorted((FOLDER / f"pve-{release}").glob("*.json"))
        if path.stem != MATRIX
    ]


def matrix() -> dict[str, dict[str, list[Any]]]:
    """How each step of a drill went with one privilege removed: privilege → step → status, text[, count]."""
    return json.loads((FOLDER / "pve-9.2" / f"{MATRIX}.json").read_text())
