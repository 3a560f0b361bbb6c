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
        return (
            {f"{rule} fail" for rule in self.red}
            | {f"{rule} advisory" for rule in self.advised}
            | {f"{rule} unknown" for rule in self.undecided}
        )


def rules(text: str) -> frozenset[str]:
    """Rules by id, with blanks between."""
    return frozenset(text.split())
