"""Every rule as the standard's catalogue has it, read from the rules' own source."""

from __future__ import annotations

import ast
import inspect
import string
import textwrap
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from backup_standard.errors import OperatorError
from backup_standard.inventory.schema import Inventory
from backup_standard.standard import RULES
from backup_standard.standard.wording import Rule, rule_from

PROJECT = Path(__file__).resolve().parents[2]
_FILES = ("tests_infra/test_*.py", "drills/test_rst_*.py")

CHAPTERS = {
    "TGT": "Backup targets",
    "STO": "Backup storage",
    "SCH": "Schedule",
    "RET": "Retention",
    "CMP": "Compression",
    "VER": "Verification",
    "RST": "Restore testing",
    "WFL": "Workflow",
    "RDY": "Sign-off",
}
"""The standard's chapters by the letters of a rule's id, in their order."""

_NAMES = {
    "backup_storage.expected_mount_point": "MOUNT-POINT",
    "backup_storage.first_stray": "ARCHIVE",
    "changing_guest.backup_storage": "STORAGE",
    "golden_template.backup_storage": "STORAGE",
    "guest.backup_storage": "STORAGE",
    "guest.first_job": "JOB",
    "guest.inventory.policy.start": "02:00",
    "guest.last_run.upid": "UPID",
    "guest.writing_job": "JOB",
}
"""What the catalogue writes for names that only a site has; others are the last word, in capitals."""
_MADE = ("remedy", "renaming")
"""Last words of placeholders that stand for a whole command, made for the case at hand."""


def catalogue(project: Path = PROJECT) -> tuple[Rule, ...]:
    """Every rule in the order of chapters and ids; a rule of several tests comes several times.

    OperatorError where the rules' files are not there.
    """
    found = [rule for pattern in _FILES for path in sorted(project.glob(pattern)) for rule in _rules_in(path)]
    if missing := sorted(set(RULES) - {rule.id for rule in found}):
        raise OperatorError(
            f"there is no rule {', '.join(missing)}", where=str(project), next_step="run it in the project's own folder"
        )
    order = list(CHAPTERS)
    return tuple(sorted(found, key=lambda rule: (order.index(chapter_of(rule)), rule.id)))


def chapter_of(rule: Rule) -> str:
    """The letters of a rule's id."""
    return rule.id.partition("-")[0]


def _rules_in(path: Path) -> Iterator[Rule]:
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.FunctionDef):
            for one in node.decorator_list:
                if isinstance(one, ast.Call) and isinstance(one.func, ast.Attribute) and one.func.attr == "rule":
                    marker = {str(given.arg): str(ast.literal_eval(given.value)) for given in one.keywords}
                    yield rule_from(inspect.cleandoc(ast.get_docstring(node) or node.name), **marker)


class _Named(string.Formatter):
    """Fills a remedy's placeholders with what an operator would write there."""

    def __init__(self, names: Mapping[str, str]) -> None:
        self._names = names

    def get_field(self, field_name: str, _args: Any, _kwargs: Any) -> Any:
        """The name for one placeholder."""
        last = field_name.rpartition(".")[2]
        if last.endswith(_MADE):
            return "(the command, made for what was found)", field_name
        name = _NAMES.get(field_name, last.replace("_", "-").upper())
        return self._names.get(name, name), field_name


def remedy_of(rule: Rule, inventory: Inventory | None = None) -> str:
    """A rule's remedy with names in capitals, or with those of an inventory where it has one name only."""
    names: dict[str, str] = {}
    if inventory:
        names = {"STORAGE": inventory.policy.storage, "02:00": inventory.policy.start}
        if len(inventory.nodes) == 1:
            names["NODE"] = next(iter(inventory.nodes))
    return textwrap.dedent(_Named(names).vformat(rule.remedy, (), {})).strip()
