"""The report's page: its title, its body and what its head needs, all from the run's folder."""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from backup_standard.evidence.folder import RunFolder
from backup_standard.evidence.recorded import facts_of, judged
from backup_standard.evidence.summary import Summary
from backup_standard.evidence.verdicts import Outcome, reconcile
from backup_standard.inventory.loader import load
from backup_standard.inventory.schema import Inventory
from backup_standard.report import detects, drills, forecast, rights, rules
from backup_standard.report.fragments import moment, pairs, section, table, text

STYLE = Path(__file__).with_name("style.css")
_SCRIPT = re.compile(r"<script>(.*?)</script>", re.DOTALL)
_COUNTED = {
    Outcome.PASS: "checks passed",
    Outcome.NOT_APPLICABLE: "not applicable",
    Outcome.ADVISORY: "advisories",
    Outcome.ATTESTED: "checks attested",
    Outcome.WAIVED: "findings waived",
    Outcome.NOT_RUN: "checks not run",
    Outcome.UNKNOWN: "checks undecided",
    Outcome.ERROR: "checks in error",
    Outcome.FAIL: "checks failed",
}
_LEGEND = {
    Outcome.PASS: "the rule holds for this subject",
    Outcome.NOT_APPLICABLE: "there is nothing to judge, and the inventory declares why; never counted as met",
    Outcome.ADVISORY: "the rule holds or is only recommended; there is something to know",
    Outcome.ATTESTED: "it could not be observed; a named person vouches for it until a date; never counted as met",
    Outcome.WAIVED: "the rule does not hold; a named person approved that until a date; never counted as met",
    Outcome.FAIL: "the rule does not hold",
    Outcome.UNKNOWN: "it could not be observed; never counted as met",
    Outcome.ERROR: "the check itself could not be carried out",
    Outcome.NOT_RUN: "planned, and not carried out",
}


def title(kind: str, inventory: Inventory) -> str:
    """What the page is about: ``kind`` is "audit" or "drill"."""
    return f"{'Restore drill' if kind == 'drill' else 'Backup audit'}: {inventory.client}, {inventory.site.name}"


def body(folder: RunFolder) -> str:
    """The page below its title."""
    run = folder.run()
    rows = reconcile(folder.plan(), folder.verdicts())
    drilled, not_covered = drills.judged(folder.drills(), rows), folder.not_covered()
    zone = (run.get("site") or {}).get("timezone", "UTC")
    summary = Summary(
        rows, drilled=judged(run) == "drill", not_covered=len(not_covered),
        leftovers=len(run.get("leftovers") or ()), partial=bool(run.get("partial")),
    )  # fmt: skip
    return "".join(
        (
            _marks(run),
            _verdict(summary),
            _numbers(summary, len(drilled)),
            _about(folder, run, zone),
            section("What has to be mended", rules.to_mend(rows), "mend"),
            section("Waived", rules.with_outcome(rows, Outcome.WAIVED), "waived"),
            section("Attested, not observed", rules.with_outcome(rows, Outcome.ATTESTED), "attested"),
            section("Left behind on the site", _list(run.get("leftovers") or ()), "leftovers"),
            section("Earlier runs that have not ended", _list(run.get("unfinished") or ()), "unfinished"),
            section("Restore drills", drills.overview(drilled, folder.path, zone), "drills"),
            section("Each drill", drills.details(drilled, folder.path, zone), "each-drill"),
            section("How long the whole site would take", _forecast(folder, drilled, not_covered), "forecast"),
            section(
                "Guests without a drill" if summary.drilled else "Guests not judged", _guests(not_covered), "uncovered"
            ),
            section("Worth knowing", rules.with_outcome(rows, Outcome.ADVISORY), "advisories"),
            section("Not applicable, as declared", rules.with_outcome(rows, Outcome.NOT_APPLICABLE), "not-applicable"),
            section("Every rule", rules.every_rule(rows), "rules"),
            section("Rights and logins that are missing", rights.missing(run), "rights"),
            section("What could not be seen", _gaps(run), "gaps"),
            section("What these rules detect", detects.overview(folder.path, zone), "detects"),
            section("How to read the outcomes", pairs({str(key): said for key, said in _LEGEND.items()}), "legend"),
            _signature(),
        )
    )


def _marks(run: Mapping[str, Any]) -> str:
    """What a reader has to know before anything else: a lab, a replay, a part of the rules."""
    marks = []
    again = run.get("replay") or {}
    if again:
        marks.append(
            f"<b>REPLAY</b> Every verdict was derived again from what run {text(again.get('of', ''))} had read. "
            "Nothing was asked of the site. This is no evidence."
        )
    if run.get("class") == "lab":
        marks.append("<b>LAB</b> This run looked at a test lab. It is no evidence about a client's site.")
    if run.get("partial"):
        marks.append("<b>PARTIAL</b> Only a part of the rules was run. This is no evidence of a whole audit or drill.")
    return "".join(f'<p class="mark" role="note">{mark}</p>' for mark in marks)


def _verdict(summary: Summary) -> str:
    colour = "good" if summary.is_green else "bad" if summary.rules(Outcome.FAIL) or summary.leftovers else "open"
    return (
        f'<div class="verdict verdict-{colour}" role="status"><strong>{text(summary.headline)}</strong>'
        f"<span>{text(summary.sentence[:1].upper() + summary.sentence[1:])}.</span></div>"
    )


def _numbers(summary: Summary, drilled: int) -> str:
    all_rules = {row.rule for row in summary.judged}
    unmet = {row.rule for row in summary.rows if row.is_red or row.outcome in {Outcome.ATTESTED, Outcome.WAIVED}}
    numbers = [(f"{len(all_rules) - len(unmet)} of {len(all_rules)}", "rules met")]
    counts = ((outcome, summary.counts[outcome]) for outcome in Outcome)
    always = {Outcome.PASS, Outcome.FAIL}
    numbers += [(str(count), _COUNTED[outcome]) for outcome, count in counts if count or outcome in always]
    numbers += [(str(drilled), "guests restored")] if summary.drilled else []
    cells = "".join(f"<div><b>{text(number)}</b><span>{text(name)}</span></div>" for number, name in numbers)
    return f'<div class="numbers">{cells}</div>'


def _about(folder: RunFolder, run: Mapping[str, Any], zone: str) -> str:
    site, by = run.get("site") or {}, run.get("by") or {}
    return pairs(
        [
            ("Run", run.get("id", folder.id)),
            ("Client and site", f"{run.get('client', '')}, {site.get('name', '')} ({site.get('api', '')})"),
            ("Nodes", run.get("nodes") or []),
            ("Run by", f"{by.get('user', '')} on {by.get('host', '')}"),
            ("Began", moment(run.get("started"), zone)),
            ("Ended", moment(run.get("finished"), zone)),
            ("Site read", moment(run.get("facts_taken"), zone)),
            ("Versions", run.get("versions") or {}),
        ],
        "about",
    )


def _forecast(folder: RunFolder, drilled: Sequence[Mapping[str, Any]], not_covered: list[dict[str, Any]]) -> str:
    if not drilled or not folder.facts.exists():
        return forecast.section_body(forecast.reckon(drilled, not_covered, None))
    facts = facts_of(folder)
    known = {one.get("guest") for one in drilled} | {one.get("vmid") for one in not_covered}
    mandatory = load(folder.inventory).inventory.mandatory() if folder.inventory.exists() else {}
    others = [
        {
            "vmid": vmid,
            "guest": f"guest {vmid} ({section.name or getattr(facts.guests.get(vmid), 'name', section.role)})",
        }
        for vmid, section in mandatory.items()
        if vmid not in known
    ]
    return forecast.section_body(forecast.reckon(drilled, [*not_covered, *others], facts))


def _guests(not_covered: list[dict[str, Any]]) -> str:
    lines = [(text(one.get("guest", "")), text(one.get("reason", ""))) for one in not_covered]
    return table(("Guest", "Why"), lines, "plain") if lines else ""


def _gaps(run: Mapping[str, Any]) -> str:
    lines = [(text(gap["fact"]), text(gap["reason"]), text(gap.get("need", ""))) for gap in run.get("gaps") or ()]
    return table(("What", "Why not", "What would show it"), lines, "plain") if lines else ""


def _list(lines: Any) -> str:
    return f"<ul>{''.join(f'<li>{text(line)}</li>' for line in lines)}</ul>" if lines else ""


def _signature() -> str:
    fields = "".join(f"<div>{name}</div>" for name in ("Name and role", "Date", "Signature"))
    return f'<div class="signature"><b>Read and accepted</b>{fields}</div>'


def finished(page: str) -> str:
    """The page as pytest-html wrote it, with a language, a scale for small screens, and a policy against any request.

    The policy allows the page's own script by its hash, its styles and its embedded pictures, and nothing else.
    """
    hashes = " ".join(f"'sha256-{_hash(script)}'" for script in _SCRIPT.findall(page)) or "'none'"
    policy = f"default-src 'none'; img-src data:; style-src 'unsafe-inline'; script-src {hashes}; base-uri 'none'"
    head = (
        f'<meta charset="utf-8"/>\n    <meta http-equiv="Content-Security-Policy" content="{policy}"/>'
        '\n    <meta name="viewport" content="width=device-width, initial-scale=1"/>'
    )
    return page.replace("<html>", '<html lang="en">', 1).replace('<meta charset="utf-8"/>', head, 1)


def _hash(script: str) -> str:
    return base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
