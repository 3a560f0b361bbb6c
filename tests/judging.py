"""Every rule of the audit on a site of facts, without a run of pytest around each: outcome and message by row.

The rules are those in ``tests_infra``, called as the functions they are; their subjects are the plugin's own.
``tests/lab/test_violations_in_memory.py`` compares the rows with those of a whole ``pytest --inventory``.
"""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from backup_standard.audit.site import Site
from backup_standard.errors import NotApplicable, OperatorError, Unknown, Unread
from backup_standard.evidence.notes import Evidence
from backup_standard.evidence.verdicts import Outcome
from backup_standard.inventory import attestations
from backup_standard.plugin.subjects import SUBJECTS, Missing, NoSubject, subjects_of

RULES = Path(__file__).resolve().parents[1] / "tests_infra"


@dataclass(frozen=True)
class Row:
    """What a rule came to for one subject; ``defect``: it ended in an exception that nobody foresaw, an error."""

    outcome: Outcome
    message: str = ""
    defect: bool = False


Rows = Mapping[tuple[str, str], Row]
"""By rule id and subject id; the site as a whole is "the site"."""


@dataclass(frozen=True)
class Rule:
    """A rule's function with what its marker says; ``subject`` is the fixture that gives its subjects.

    ``subject`` is "" for a rule of the site as a whole. ``deep``: it judges archives that were read from end to end.
    """

    id: str
    level: str
    function: Callable[..., None]
    subject: str
    wanted: frozenset[str]

    @property
    def deep(self) -> bool:
        return "drilled" in self.wanted


@cache
def rules() -> tuple[Rule, ...]:
    """Every rule in tests_infra."""
    return tuple(sorted(_all(), key=lambda rule: rule.id))


def _all() -> Iterator[Rule]:
    for path in sorted(RULES.glob("test_*.py")):
        module = importlib.import_module(f"tests_infra.{path.stem}")
        for _, function in inspect.getmembers(module, inspect.isfunction):
            marks = [mark for mark in getattr(function, "pytestmark", ()) if mark.name == "rule"]
            if marks:
                wanted = frozenset(inspect.signature(function).parameters)
                subject = "".join(wanted & SUBJECTS.keys())
                yield Rule(marks[0].kwargs["id"], marks[0].kwargs["level"], function, subject, wanted)


def judge(site: Site) -> Rows:
    """Every rule with every subject."""
    return {
        (rule.id, name): _row(rule, site, name, subject) for rule in rules() for name, subject in _subjects(site, rule)
    }


def _subjects(site: Site, rule: Rule) -> Iterator[tuple[str, Any]]:
    if not rule.subject:
        yield "the site", site
        return
    for subject in subjects_of(site, rule.subject):
        yield subject.ident if isinstance(subject, Missing) else SUBJECTS[rule.subject][1](subject), subject


def _row(rule: Rule, site: Site, name: str, subject: Any) -> Row:  # noqa: PLR0911 - one outcome each
    notes = Evidence()
    given = {"evidence": notes, "site": site, "drilled": (), rule.subject: subject}
    try:
        _call(rule, subject, given)
    except NotApplicable as error:
        return Row(Outcome.NOT_APPLICABLE, str(error))
    except Unread as error:
        return Row(Outcome.ERROR, str(error))
    except Unknown as error:
        return Row(_undecided(rule, site, name), str(error))
    except OperatorError as error:
        return Row(Outcome.ERROR, str(error))
    except (AssertionError, NoSubject) as error:
        found = Outcome.FAIL if rule.level == "must" else Outcome.ADVISORY
        return Row(found, str(error).split("\nassert ")[0])
    except Exception as error:  # noqa: BLE001 - what nobody foresaw is what is looked for
        return Row(Outcome.ERROR, f"{type(error).__name__}: {error}", defect=True)
    return Row(Outcome.ADVISORY, notes.advice) if notes.advice else Row(Outcome.PASS)


def _call(rule: Rule, subject: Any, given: dict[str, Any]) -> None:
    if isinstance(subject, Missing):
        raise subject.reason
    rule.function(**{name: given[name] for name in rule.wanted})


def _undecided(rule: Rule, site: Site, name: str) -> Outcome:
    """What a row that could not be decided comes to: attested where the inventory holds a statement that counts."""
    found = attestations.look_up(site.inventory, rule.id, {name}, site.today)
    return Outcome.ATTESTED if found.valid else Outcome.UNKNOWN


def outcomes(rows: Rows) -> dict[tuple[str, str], Outcome]:
    """The rows without what they say."""
    return {key: row.outcome for key, row in rows.items()}


def defects(rows: Rows) -> list[str]:
    """The exceptions that nobody foresaw."""
    return [row.message for row in rows.values() if row.defect]


def red(rows: Rows) -> dict[tuple[str, str], Row]:
    """The rows that stand in the way of a good verdict, recommendations included."""
    return {key: row for key, row in rows.items() if row.outcome.is_red}


def changed(before: Rows, after: Rows) -> dict[tuple[str, str], Row]:
    """The rows that come to something else than before, or were not there."""
    return {key: row for key, row in after.items() if key not in before or before[key].outcome is not row.outcome}
