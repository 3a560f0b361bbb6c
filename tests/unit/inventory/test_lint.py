"""Waivers and attestations that would not count are named, each with its place and cure."""

from __future__ import annotations

import datetime as dt
from pathlib import Path
from typing import Any

import pytest

from backup_standard.errors import InventoryError
from backup_standard.inventory.lint import findings
from backup_standard.inventory.loader import check_statements, parse
from tests.rules import builders as b

TODAY = dt.date(2026, 11, 24)
WAIVER = {"rule": "VER-02", "subject": "210", "reason": "new disk ordered", "approved_by": "B", "expires": "2027-01-31"}
ATTESTATION = {
    "rule": "STO-05", "subject": "pve1/backup-hdd", "statement": "own drive", "by": "A", "date": "2026-11-01",
    "until": "2027-05-01",
}  # fmt: skip


def problems(**sections: Any) -> list[tuple[str, str]]:
    """What is wrong, as key and text."""
    return [(str(place[-1]), text) for place, text in findings(b.inventory(**sections), TODAY)]


def test_sound_statements_pass() -> None:
    assert problems(waivers=[WAIVER], attestations=[ATTESTATION]) == []


@pytest.mark.parametrize(
    ("change", "key", "text"),
    [
        ({"rule": "VER-2"}, "rule", "there is no rule 'VER-2'; did you mean VER-02?"),
        ({"rule": "nonsense"}, "rule", "there is no rule 'nonsense'; they are CMP-01, CMP-02, RET-01, "),
        ({"subject": "dns"}, "subject", "VER-02 judges guests; write \"100\", not 'dns'"),
        ({"rule": "TGT-05"}, "subject", "TGT-05 judges backup jobs; write nightly-vm210, not '210'"),
        ({"rule": "STO-02"}, "subject", "STO-02 judges the backup storage of each node; write NODE/backup-hdd, not"),
        (
            {"rule": "STO-02", "subject": "pve1/local"}, "subject",
            "STO-02 judges the policy storage backup-hdd; write NODE/backup-hdd, not 'pve1/local'",
        ),
        ({"reason": " "}, "reason", "the reason is empty"),
        ({"approved_by": ""}, "approved_by", "the approver is missing; name the person"),
        ({"expires": "2026-11-23"}, "expires", "the waiver expired on 2026-11-23; remove it, or have it approved anew"),
        ({"expires": "2027-11-26"}, "expires", "2027-11-26 is more than a year off; "),
    ],
)  # fmt: skip
def test_a_waiver_that_would_not_count_is_named(change: dict[str, str], key: str, text: str) -> None:
    ((found, said),) = problems(waivers=[WAIVER | change])
    assert found == key
    assert said.startswith(text)


@pytest.mark.parametrize("expires", ["2026-11-24", "2027-11-25"])
def test_a_waiver_lasts_from_today_to_a_year_from_now(expires: str) -> None:
    assert problems(waivers=[WAIVER | {"expires": expires}]) == []


@pytest.mark.parametrize(
    ("change", "key", "text"),
    [
        ({"rule": "STO-5"}, "rule", "there is no rule 'STO-5'; did you mean STO-0"),
        ({"subject": "disk 4"}, "subject", "STO-05 judges the backup storage of each node"),
        ({"statement": ""}, "statement", "the statement is empty"),
        ({"by": "  "}, "by", "nobody attests this"),
        ({"until": "2026-11-23"}, "until", "the attestation ended on 2026-11-23"),
    ],
)
def test_an_attestation_that_would_not_count_is_named(change: dict[str, str], key: str, text: str) -> None:
    ((found, said),) = problems(attestations=[ATTESTATION | change])
    assert found == key
    assert said.startswith(text)


def test_each_problem_stands_with_its_line() -> None:
    text = """\
client: acme
site: {name: office, timezone: Europe/Berlin}
api: {url: "https://pve1.example:8006", audit_token: {id: "audit@pve!suite", secret: "env:ACME"}}
policy: {storage: backup-hdd}
guests: {210: {role: dns}}
waivers:
  - {rule: VER-02, subject: "210", reason: r, approved_by: b, expires: 2026-12-24}
  - rule: VER-2
    subject: "210"
    reason: r
    approved_by: ""
    expires: 2026-12-24
"""
    with pytest.raises(InventoryError) as caught:
        check_statements(parse(text, Path("acme.yaml")), TODAY)
    assert str(caught.value).splitlines() == [
        "acme.yaml:8: waivers[1].rule: there is no rule 'VER-2'; did you mean VER-02?",
        "acme.yaml:11: waivers[1].approved_by: the approver is missing; name the person who accepts this",
        "  Next: mend these 2 lines, then: backup-standard inventory check acme.yaml",
    ]
