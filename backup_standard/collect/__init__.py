"""Reads a site once, read-only, into :class:`~backup_standard.model.Facts`; what it cannot see becomes a gap."""

from __future__ import annotations

from collections.abc import Callable

from backup_standard.collect.node_side import read_node_sides
from backup_standard.collect.reader import Reader
from backup_standard.collect.site import read_site
from backup_standard.hosts.backend import Notes
from backup_standard.inventory.schema import Inventory
from backup_standard.model import Facts
from backup_standard.pve import Pve

Progress = Callable[[str], None]
"""Told what is being read, one short phrase at a time."""


def collect(inventory: Inventory, *, progress: Progress | None = None, recorder: Notes | None = None) -> Facts:
    """Read everything the rules need. Takes seconds; makes GETs with the audit token and reads files over SSH.

    ``recorder`` notes every command on a node. Raises OperatorError (ConnectionFailed, Untrusted, SecretError …) when
    the site as a whole cannot be read; what a privilege or an offline node hides is a Gap in the facts instead.
    """
    tell = progress or (lambda _phrase: None)
    tell(f"connecting to {inventory.api.url}")
    with Pve.connect(inventory.api, inventory.api.audit_token) as pve, Reader(pve) as reader:
        facts = read_site(reader, inventory, tell)
    return read_node_sides(inventory, facts, tell, recorder)
