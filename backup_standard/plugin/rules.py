"""Rules: their marker and docstring, and the verdict that each run of one comes to.

A rule's docstring is the standard's sentence: title, ``Rationale:``, ``Remedy:``; the remedy may name subjects
(``{guest.vmid}``). A failed assertion is a finding; Unknown is *unknown*; a transport failure is *error*.
"""

from __future__ import annotations

import inspect
import re
import string
import textwrap
from collections.abc import Mapping
from typing import Any

import pytest

from backup_standard.errors import NotApplicable, NotRun, OperatorError, Unknown, Unread
from backup_standard.evidence.notes import Evidence
from backup_standard.evidence.verdicts import Outcome, Planned, Verdict
from backup_standard.evidence.waived import names_of
from backup_standard.evidence.wording import explain, shown
from backup_standard.inventory import attestations, waivers
from backup_standard.plugin.session import run_of
from backup_standard.plugin.subjects import EVIDENCE_KEY, NoSubject
from backup_standard.standard.wording import Rule, rule_from

ROW_KEY = pytest.StashKey[Planned | None]()
VERDICT = "verdict"
"""The name under which a verdict travels in a report's user properties."""

_INTROSPECTION = re.compile(r"\n+\s*assert .*", re.DOTALL)


class _Remedy(string.Formatter):
    """Fills in a remedy's names; what cannot be known is left as three dots."""

    def get_field(self, field_name: str, args: Any, kwargs: Any) -> Any:
        """The value of one placeholder."""
        try:
            return super().get_field(field_name, args, kwargs)
        except (Unknown, LookupError, AttributeError, TypeError):
            return "…", field_name


def rule_of(item: pytest.Item) -> Rule | None:
    """The rule that an item is a row of, None for any other test."""
    marker = item.get_closest_marker("rule")
    if marker is None:
        return None
    doc = inspect.getdoc(getattr(item, "function", None)) or item.name
    return rule_from(doc, **marker.kwargs)


def subject_of(item: pytest.Item) -> str:
    """The subject of a row, as an operator speaks: the first parameter."""
    callspec = getattr(item, "callspec", None)
    subjects = [*callspec.params.values()] if callspec else []
    return " ".join(shown(str(subjects[0])).split()) if subjects else "the site"


def planned_row(item: pytest.Item) -> Planned | None:
    """The item as a row of the plan, None when it is no rule's."""
    if ROW_KEY not in item.stash:
        item.stash[ROW_KEY] = _planned_row(item)
    return item.stash[ROW_KEY]


def _planned_row(item: pytest.Item) -> Planned | None:
    rule = rule_of(item)
    if rule is None:
        return None
    return Planned(item.nodeid, rule.id, subject_of(item), rule.title, rule.level, rule.tag, rule.rationale)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Any:
    """Turn the outcome of a rule into a verdict and its failure into plain sentences."""
    row, raised = planned_row(item), call.excinfo
    if row and raised and _is_foreseen(raised.value, call.when):
        call.excinfo = _without_traceback(raised)
    report: pytest.TestReport = yield
    call.excinfo = raised
    if row is None or (report.when != "call" and report.passed):
        return report
    error = raised.value if raised else None
    verdict = _verdict(item, row, report, error)
    report.user_properties = [*report.user_properties, (VERDICT, verdict.to_json())]
    is_defect = verdict.outcome is Outcome.ERROR and not isinstance(error, OperatorError | Unread)
    return _shown(report, verdict, is_defect=is_defect)


def _is_foreseen(error: BaseException, when: str) -> bool:
    """Whether a verdict says it all: a finding, or what an operator can mend."""
    return isinstance(error, (OperatorError, Unknown, NotApplicable, NotRun, NoSubject)) or (
        isinstance(error, AssertionError) and when == "call"
    )


def _without_traceback(raised: pytest.ExceptionInfo[BaseException]) -> pytest.ExceptionInfo[BaseException]:
    """The failure as pytest reports it at once: the traceback that it would render, with all facts, is not shown."""
    quiet = pytest.fail.Exception(str(raised.value), pytrace=False)
    return pytest.ExceptionInfo.from_exc_info((type(quiet), quiet, raised.tb))


def _verdict(item: pytest.Item, row: Planned, report: pytest.TestReport, error: BaseException | None) -> Verdict:
    notes = item.stash.get(EVIDENCE_KEY, Evidence())
    rule = rule_of(item)
    outcome, message = _outcome(row, report, error, notes)
    if outcome is Outcome.UNKNOWN:
        outcome, message = _attested(item, row, message)
    elif isinstance(error, AssertionError) and outcome in {Outcome.FAIL, Outcome.ADVISORY}:
        outcome, message = _waived(item, row, outcome, message)
    remedy = ""
    if outcome is Outcome.ADVISORY and error is None:
        remedy = notes.advised_remedy
    elif outcome in {Outcome.FAIL, Outcome.ADVISORY, Outcome.WAIVED} and rule and not isinstance(error, NoSubject):
        remedy = _remedy(rule, getattr(item, "funcargs", {}))
    return Verdict(
        **row.to_json(), outcome=outcome, observed=notes.observed, message=shown(message), remedy=shown(remedy),
        seconds=round(report.duration, 3),
    )  # fmt: skip


def _outcome(
    row: Planned, report: pytest.TestReport, error: BaseException | None, notes: Evidence
) -> tuple[Outcome, str]:
    """The outcome and its message in an operator's words."""
    if report.skipped or isinstance(error, NotRun):
        return Outcome.NOT_RUN, str(error)
    if error is None:
        return (Outcome.ADVISORY, notes.advice) if notes.advice else (Outcome.PASS, "")
    if isinstance(error, NotApplicable):
        return Outcome.NOT_APPLICABLE, str(error)
    if isinstance(error, Unknown):
        return (Outcome.ERROR if isinstance(error, Unread) else Outcome.UNKNOWN), str(error)
    if isinstance(error, NoSubject) or (isinstance(error, AssertionError) and report.when == "call"):
        found = Outcome.FAIL if row.level == "must" else Outcome.ADVISORY
        return found, _sentence(error)
    return Outcome.ERROR, str(error) if isinstance(error, OperatorError) else f"{type(error).__name__}: {error}"


def _attested(item: pytest.Item, row: Planned, message: str) -> tuple[Outcome, str]:
    """What an undecided row comes to: attested where the inventory holds a statement that counts on the site's day."""
    run = run_of(item.config)
    if run is None:
        return Outcome.UNKNOWN, message
    found = attestations.look_up(run.inventory, row.rule, names_of(row.item, row.subject), run.site.today)
    if found.valid:
        return Outcome.ATTESTED, f"{attestations.say(found.valid)}.\nNot observed: {message}"
    return Outcome.UNKNOWN, f"{message}; {found.why_not}" if found.why_not else message


def _waived(item: pytest.Item, row: Planned, outcome: Outcome, message: str) -> tuple[Outcome, str]:
    """What a finding comes to: waived where the inventory holds an approval that counts on the site's day."""
    run = run_of(item.config)
    if run is None:
        return outcome, message
    found = waivers.look_up(run.inventory, row.rule, names_of(row.item, row.subject), run.site.today)
    if found.valid:
        return Outcome.WAIVED, f"{message.rstrip('.')}.\nWaived {waivers.say(found.valid)}"
    return outcome, f"{message}; {found.why_not}" if found.why_not else message


def _sentence(error: BaseException) -> str:
    """An assertion's own message, without what pytest adds about the values compared."""
    text = str(error)
    shortened = _INTROSPECTION.sub("", text).strip()
    return shortened or text.strip() or "the assertion failed"


def _remedy(rule: Rule, names: Mapping[str, Any]) -> str:
    return textwrap.dedent(_Remedy().vformat(rule.remedy, (), names)).strip()


def _shown(report: pytest.TestReport, verdict: Verdict, *, is_defect: bool) -> pytest.TestReport:
    """The report as pytest shows it: sentences in place of a traceback, and no failure for what is only advised.

    ``is_defect``: an exception that nobody foresaw, so its traceback stays.
    """
    path, line, _ = report.location
    if not verdict.is_red and report.when == "setup":  # "passed" would let pytest go on without the subject
        report.outcome, report.longrepr = "skipped", (path, line or 0, verdict.message)
        return report
    if not verdict.is_red:
        report.outcome, report.longrepr = "passed", None
        return report
    report.outcome = "failed"
    report.location = (path, line, f"{verdict.rule}  {verdict.subject}")
    if not is_defect:
        report.longrepr = explain(verdict)
    return report
