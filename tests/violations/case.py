"""What a case of the catalogue is: something seeded, and what an audit has to make of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from tests.labsite import LabSite

Edit = Callable[[str], str]


def unedited(text: str) -> str:
    """The inventory as it is."""
    return text


@dataclass(frozen=True)
class Case:
    """One state of the site. ``red``, ``advised`` and ``undecided`` are the rules that have to change, and no others.

    ``says`` is a part of what one of them says, as an operator reads it. ``inventory`` is an edit of the inventory
    that goes with it. ``deep``: the newest archive of guest 210 is read from end to end. A case with nothing red is
    a healthy one, which stays without a finding.
    """

    name: str
    seed: Callable[[LabSite], None]
    red: frozenset[str] = frozenset()
    advised: frozenset[str] = frozenset()
    says: str = ""
    inventory: Edit = unedited
    undecided: frozenset[str] = frozenset()
    deep: bool = False

    @property
    def expected(self) -> set[str]:
        """The changes that have to show, as :func:`tests.violations.judge.changed` names them."""
        return changes(self.red, self.advised, self.undecided)


def changes(red: frozenset[str], advised: frozenset[str], undecided: frozenset[str]) -> set[str]:
    """What has to show where these rules change."""
    kinds = (("fail", red), ("advisory", advised), ("unknown", undecided))
    return {f"{rule} {kind}" for kind, found in kinds for rule in found}


def rules(text: str) -> frozenset[str]:
    """Rules by id, with blanks between."""
    return frozenset(text.split())
