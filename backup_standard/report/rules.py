"""The report's part about rules: what is to be mended first, then every rule with every subject."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from backup_standard.evidence.verdicts import Outcome, Verdict
from backup_standard.quantities import say_duration
from backup_standard.report.fragments import badge, pairs, remedy, sentence, table, text

_WORST_FIRST = list(reversed(Outcome))


def to_mend(rows: Iterable[Verdict]) -> str:
    """The red rows, worst first, each with its message and remedy."""
    red = sorted((row for row in rows if row.outcome.is_red), key=lambda row: _WORST_FIRST.index(row.outcome))
    return "".join(_finding(row) for row in red)


def with_outcome(rows: Iterable[Verdict], outcome: Outcome) -> str:
    """The rows that ended so, each with its message and remedy."""
    return "".join(_finding(row) for row in rows if row.outcome is outcome)


def _finding(row: Verdict) -> str:
    return (
        f'<article class="finding finding-{text(row.outcome).replace(" ", "-")}">'
        f"<h3>{badge(row.outcome)} {text(row.rule)} <span>{text(row.subject)}</span></h3>"
        f"<p>{sentence(row.message)}</p>"
        f'<p class="why">{sentence(row.title)} {sentence(row.rationale) if row.rationale else ""}</p>'
        f"{remedy(row.remedy)}</article>"
    )


def every_rule(rows: Sequence[Verdict]) -> str:
    """Each rule with its sentence and a line for every subject."""
    ids = sorted({row.rule for row in rows})
    return "".join(_rule([row for row in rows if row.rule == one]) for one in ids)


def _rule(rows: Sequence[Verdict]) -> str:
    first = rows[0]
    titles = {row.title for row in rows}
    lines = [
        (
            badge(row.outcome),
            f"<b>{text(row.subject)}</b>" + (f"<p>{text(row.title)}</p>" if len(titles) > 1 else ""),
            pairs(row.observed, "observed") or '<span class="none">nothing noted</span>',
            sentence(row.message) if row.message else "",
            text(say_duration(row.seconds)),
        )
        for row in rows
    ]
    title = first.title if len(titles) == 1 else "Services of the role"
    return (
        f'<article class="rule"><h3><b>{text(first.rule)}</b> {text(title)}'
        f" <small>{text(first.level)}, {text(first.tag)}</small></h3>"
        f'<p class="why">{sentence(first.rationale) if first.rationale else ""}</p>'
        f"{table(('Outcome', 'Subject', 'Observed', 'Message', 'Time'), lines, 'rows')}</article>"
    )
