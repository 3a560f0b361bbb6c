"""The table of rules says what the rules themselves say."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from backup_standard.standard import RULES, Kind, near, speaks_of

ROOT = Path(__file__).parents[3]
KINDS = {
    "guest": Kind.GUEST, "any_guest": Kind.GUEST, "golden_template": Kind.GUEST, "docker_host": Kind.GUEST,
    "changing_guest": Kind.GUEST, "drill": Kind.GUEST, "restored_guest": Kind.GUEST, "backup_storage": Kind.STORAGE,
    "node": Kind.NODE, "job": Kind.JOB, "required_role": Kind.ROLE, "site": Kind.SITE,
}  # fmt: skip
"""What each fixture of a rule's subject gives it."""


def rule_id(node: ast.expr) -> str | None:
    """The id in ``pytest.mark.rule(id=…)``."""
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "rule":
        return next(str(ast.literal_eval(one.value)) for one in node.keywords if one.arg == "id")
    return None


def rules_in_code() -> dict[str, Kind]:
    found = {}
    for path in [*ROOT.glob("tests_infra/test_*.py"), *ROOT.glob("drills/test_rst_*.py")]:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.FunctionDef):
                ids = [one for one in map(rule_id, node.decorator_list) if one]
                found |= dict.fromkeys(ids, KINDS[node.args.args[0].arg])
    return found


def test_the_table_holds_every_rule_and_no_other() -> None:
    assert dict(RULES) == rules_in_code(), "bring RULES in backup_standard/standard/rules.py into step with the markers"


@pytest.mark.parametrize("kind", Kind)
def test_the_example_of_a_kind_has_its_form(kind: Kind) -> None:
    assert kind.form.fullmatch(kind.example)


@pytest.mark.parametrize(
    ("rule", "subject", "right"),
    [
        ("VER-02", "210", True),
        ("VER-02", "VM 210 (dns)", True),
        ("VER-02", "CT 230 (files)", True),
        ("VER-02", "dns", False),
        ("VER-02", "pve1/backup-hdd", False),
        ("STO-02", "pve1/backup-hdd", True),
        ("STO-02", "storage backup-hdd on node pve1", True),
        ("STO-02", "backup-hdd", False),
        ("SCH-07", "node pve1", True),
        ("SCH-07", "pve1/x", False),
        ("TGT-05", "job nightly-vm210", True),
        ("TGT-05", "210", False),
        ("TGT-01", "role dns", True),
        ("TGT-01", "210", False),
        ("VER-08", "the site", True),
        ("VER-08", "210", False),
    ],
)
def test_subjects_have_a_form(rule: str, subject: str, right: bool) -> None:  # noqa: FBT001
    assert speaks_of(rule, subject) is right


def test_a_mistyped_id_has_a_neighbour() -> None:
    assert near("STO-2") in RULES
    assert near("sch-02") == "SCH-02"
    assert near("nonsense") == ""
