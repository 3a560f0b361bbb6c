"""Every rule of the audit on a site of facts, without a run of pytest around each: outcome and message by row."""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from backup_standard.audit.site import Site
from backup_standard.errors import NotApplicable, OperatorError, Unknown, Unread
from backup_standard.evidence.notes import Evidence
from backup_standard.plugin.subjects import SUBJECTS, Missing, subjects_of

_RULES = Path(__file__).parents[1] / "tests_infra"


@dataclass(frozen=True)
class Row:
    """What came of one rule on one subject: pass, advisory, fail, unknown, error, or defect (an exception of ours)."""

    outcome: str
    message: str = ""


@dataclass(frozen=True)
class Rule:
    """A rule's function with its marker and the fixture that gives its subjects ("" for the site as a whole)."""

    id: str
    level: str
    function: Callable[..., None]
    subject: str


@cache
def rules() -> tuple[Rule, ...]:
    """Every rule in tests_infra."""
    return tuple(sorted(_all(), key=lambda rule: rule.id))


def _all() -> Iterator[Rule]:
    for path in sorted(_RULES.glob("test_*.py")):
        module = importlib.import_module(f"tests_infra.{path.stem}")
        for _, function in inspect.getmembers(module, inspect.isfunction):
            marks = [mark for mark in getattr(function, "pytestmark", ()) if mark.name == "rule"]
            if marks:
                wanted = [name for name in inspect.signature(function).parameters if name in SUBJECTS]
                yield Rule(marks[0].kwargs["id"], marks[0].kwargs["level"], function, "".join(wanted))


Rows = dict[tuple[str, str], Row]


def judge(site: Site) -> Rows:
    """Rule id and subject id to what came of it."""
    found = {}
    for rule in rules():
        for subject in subjects_of(site, rule.subject) if rule.subject else [site]:
            ident = subject.ident if isinstance(subject, Missing) else _ident(rule, subject)
            found[rule.id, ident] = _row(rule, site, subject)
    return found


def _ident(rule: Rule, subject: Any) -> str:
    return SUBJECTS[rule.subject][1](subject) if rule.subject else "site"


def _row(rule: Rule, site: Site, subject: Any) -> Row:  # noqa: PLR0911 - one outcome each
    evidence = Evidence()
    given = {"evidence": evidence, "site": site, "drilled": (), rule.subject: subject}
    try:
        _call(rule, subject, given)
    except NotApplicable as error:
        return Row("not applicable", str(error))
    except Unread as error:
        return Row("error", str(error))
    except Unknown as error:
        return Row("unknown", str(error))
    except OperatorError as error:
        return Row("error", str(error))
    except AssertionError as error:
        return Row("fail" if rule.level == "must" else "advisory", str(error))
    except Exception as error:  # noqa: BLE001 - what nobody foresaw is what is looked for
        return Row("defect", f"{type(error).__name__}: {error}")
    return Row("advisory", evidence.advice) if evidence.advice else Row("pass")


def _call(rule: Rule, subject: Any, given: dict[str, Any]) -> None:
    if isinstance(subject, Missing):
        raise subject.reason
    rule.function(**{name: given[name] for name in inspect.signature(rule.function).parameters})


def outcomes(site: Site) -> dict[str, str]:
    """The same as words: ``VER-02 210`` to ``pass``."""
    return {f"{rule} {subject}": row.outcome for (rule, subject), row in judge(site).items()}
