"""Loads an inventory; what is wrong with it is said by file, line and key, all of it at once."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from pydantic import ValidationError

from backup_standard.errors import InventoryError
from backup_standard.inventory import lint, wording
from backup_standard.inventory.coherence import contradictions
from backup_standard.inventory.document import Document, Place, parse_document, read_document
from backup_standard.inventory.fields import HoldsSecret
from backup_standard.inventory.schema import Inventory


@dataclass(frozen=True)
class Loaded:
    """An inventory, the file it came from, and the line of every place in it."""

    inventory: Inventory
    path: Path
    lines: Mapping[Place, int] = field(default_factory=dict)

    def where(self, *place: str | int) -> str:
        """``FILE:LINE: key.path`` of a place, for messages that speak of the inventory."""
        line = Document(None, dict(self.lines)).line(place)
        return f"{self.path}:{line}: {say_place(place)}"


def load(path: Path) -> Loaded:
    """The inventory in that file. InventoryError lists every problem, one a line, each with its cure."""
    return _loaded(read_document(path), path)


def parse(text: str, path: Path) -> Loaded:
    """An inventory that is not written yet, under the name that its file will have. InventoryError as :func:`load`."""
    return _loaded(parse_document(text, name=str(path)), path)


def check_statements(loaded: Loaded, today: dt.date) -> None:
    """InventoryError when a waiver or an attestation would not count on that day, or speaks of no rule or subject."""
    document = Document(None, dict(loaded.lines))
    found = [(document.line(place), place, text) for place, text in lint.findings(loaded.inventory, today)]
    if found:
        raise _listed(loaded.path, found)


def _loaded(document: Document, path: Path) -> Loaded:
    if not isinstance(document.data, dict):
        raise InventoryError(
            "an inventory is a set of keys (client, site, api, policy, guests …), and there is none",
            where=str(path),
            next_step="start from inventories/example.yaml",
        )
    found = list(document.problems)
    inventory: Inventory | None = None
    try:
        inventory = Inventory.model_validate(document.data)
    except ValidationError as failure:
        found += [(document.line(place), place, text) for place, text in wording.problems(failure, document.data)]
    if inventory is not None:
        found += [(document.line(place), place, text) for place, text in contradictions(inventory)]
    if found or inventory is None:
        raise _listed(path, found)
    loaded = Loaded(inventory, path, document.lines)
    for place, section in _secret_holders(inventory):
        section.stands_at(loaded.where(*place))
    return loaded


def _secret_holders(inventory: Inventory) -> Iterator[tuple[Place, HoldsSecret]]:
    yield ("api", "audit_token", "secret"), inventory.api.audit_token
    if inventory.api.drill_token:
        yield ("api", "drill_token", "secret"), inventory.api.drill_token
    for vmid, guest in inventory.guests.items():
        if guest.drill and guest.drill.login:
            yield ("guests", vmid, "drill", "login", "password"), guest.drill.login


def _listed(path: Path, found: list[tuple[int, Place, str]]) -> InventoryError:
    in_order = sorted(found, key=lambda one: one[0])
    lines = [f"{path}:{line}: {say_place(place)}: {text}" for line, place, text in in_order]
    cure = "mend that line" if len(lines) == 1 else f"mend these {len(lines)} lines"
    return InventoryError("\n".join(lines), next_step=f"{cure}, then: backup-standard inventory check {path}")


def say_place(place: Place) -> str:
    """``("guests", 200, "services", 0)`` as ``guests.200.services[0]``."""
    text = ""
    for step, before in zip(place, (None, *place), strict=False):
        inside_list = isinstance(step, int) and before in {"services", "attestations", "waivers"}
        text += f"[{step}]" if inside_list else f".{step}" if text else str(step)
    return text or "the file"
