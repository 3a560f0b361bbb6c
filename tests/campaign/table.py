"""The campaign's table, at the end of a run of pytest, whichever worker the cases ran on."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

PROPERTY = "campaign"


def lines(reports: Sequence[Any]) -> list[str]:
    """A line for each fault, and the sum; none where no campaign ran."""
    rows = [value for report in reports for name, value in getattr(report, "user_properties", ()) if name == PROPERTY]
    if not rows:
        return []
    cases, wrong = sum(row[1] for row in rows), sum(row[2] for row in rows)
    told = [f"{fault:<32}{count - bad:>5} of {count}" for fault, count, bad in rows]
    return [*told, f"campaign: {cases - wrong} of {cases} left nothing"]
