"""A run's folder as a later command opens it: what kind of run it was, and what another run may take over from it."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from backup_standard.errors import OperatorError
from backup_standard.evidence.folder import RunFolder
from backup_standard.model.codec import facts_from_json
from backup_standard.model.facts import Facts

_WHICH = "give the folder of a run, as reports/CLIENT/RUN"
REPLAY = "replay"
"""The kind of a run that looked at no site. Only the kinds audit and drill are ever evidence."""


def open_run(path: Path) -> RunFolder:
    """The folder of a run that has read its site. OperatorError when it is none."""
    folder = RunFolder(path.resolve())
    if not path.is_dir():
        what = "that is a file" if path.exists() else "there is no such folder"
        raise OperatorError(what, where=str(path), next_step=_WHICH)
    if not folder.facts.exists():
        found = sorted(one.parent.name for one in path.glob("*/facts.json"))
        hint = f"; the runs in it: {', '.join(found[-3:])}" if found else ""
        raise OperatorError(
            "no site was read in that run (it has no facts.json)", where=str(path), next_step=_WHICH + hint
        )
    return folder


def facts_of(folder: RunFolder) -> Facts:
    """What the run read of its site. OperatorError when the file is damaged or another version's."""
    try:
        return facts_from_json(folder.facts.read_text(encoding="utf-8"))
    except (ValueError, KeyError, TypeError, AttributeError) as problem:
        raise OperatorError(
            f"the facts cannot be read: {problem}",
            where=str(folder.facts),
            next_step="the file is damaged or of another version of this suite; use a run of this version",
        ) from None


def judged(record: Mapping[str, Any]) -> str:
    """What a run's record says was judged: "audit" or "drill", for a replay what it replayed."""
    again = record.get("replay") or {}
    return str(again.get("kind") or record.get("kind") or "")


def kind_of(folder: RunFolder) -> str:
    """The same for a folder; one that was killed before it wrote its record bears its kind in its name."""
    return judged(folder.run()) or ("drill" if "-drill" in folder.id else "audit")


def take_over(source: RunFolder, target: RunFolder) -> None:
    """Copy what was observed: facts, results of commands, drills with their screens; claims stay with their run."""
    for path in [source.facts, source.path / "drills.jsonl", *sorted(source.path.glob("commands*.jsonl"))]:
        if path.exists():
            shutil.copyfile(path, target.path / path.name)
    if (source.path / "artefacts").is_dir():
        shutil.copytree(source.path / "artefacts", target.path / "artefacts")
