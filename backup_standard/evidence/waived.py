"""Waivers that a whole run had no use for: the rule holds by now, or the subject is not there. Each fails the run."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from backup_standard.evidence.verdicts import Outcome, Verdict, parameters_of
from backup_standard.inventory.schema import Waiver


def names_of(item: str, subject: str) -> set[str]:
    """The names under which an inventory may speak of a row's subject: as it is shown, and its id in the item."""
    short = parameters_of(item)
    return {subject} if short is None else {subject, short}


def unneeded(waivers: Iterable[Waiver], rows: Sequence[Verdict]) -> list[Verdict]:
    """A verdict for each waiver that masks nothing in a run of whole rules; none while that is not decided.

    A waiver of a rule that the run does not hold (a drill's, in an audit) is left alone.
    """
    found = []
    for waiver in waivers:
        of_rule = [row for row in rows if row.rule == waiver.rule]
        meant = [row for row in of_rule if waiver.subject in names_of(row.item, row.subject)]
        message = _why(meant, of_rule)
        if of_rule and message:
            found.append(_verdict(waiver, (meant or of_rule)[0], message))
    return found


def _why(meant: Sequence[Verdict], of_rule: Sequence[Verdict]) -> str:
    """Why the waiver of these rows is not needed; empty where it is, or where nobody knows."""
    if not meant:
        subjects = ", ".join(dict.fromkeys(row.subject for row in of_rule))
        return f"the rule has no such subject in this run; its subjects are {subjects}"
    return "the rule holds for it" if all(map(_holds, meant)) else ""


def _holds(row: Verdict) -> bool:
    """Whether it was seen that the rule holds; advice on a recommendation may also be a finding."""
    return row.outcome is Outcome.PASS or (row.outcome is Outcome.ADVISORY and row.level == "must")


def _verdict(waiver: Waiver, row: Verdict, why: str) -> Verdict:
    by = f"the waiver of {waiver.approved_by} until {waiver.expires.isoformat()}"
    return Verdict(
        item=f"waiver::{waiver.rule}::{waiver.subject}", rule=waiver.rule, subject=waiver.subject, title=row.title,
        level=row.level, tag=row.tag, rationale=row.rationale,
        outcome=Outcome.FAIL if row.level == "must" else Outcome.ADVISORY,
        message=f"{by} is not needed: {why}",
        remedy=f"remove the waiver of {waiver.rule} for {waiver.subject} from the inventory",
    )  # fmt: skip
