"""A run's folder: everything a run leaves, and all that its report is made from.

``inventory.yaml`` (a copy: its secrets are references) · ``facts.json`` · ``plan.json`` · ``verdicts.jsonl`` ·
``drills.jsonl`` · ``claims.jsonl`` · ``commands*.jsonl`` · ``artefacts/`` · ``report.html`` · ``run.json``.
"""

from __future__ import annotations

import datetime as dt
import json
import os
import shutil
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from backup_standard.evidence.canonical import canonical, plain
from backup_standard.evidence.verdicts import Planned, Verdict

Json = dict[str, Any]


@dataclass(frozen=True)
class RunFolder:
    """Reads and writes one run's folder; ``path`` ends in the run's id."""

    path: Path

    @classmethod
    def create(cls, base: Path, client: str, kind: str, started: dt.datetime) -> RunFolder:
        """A new folder ``BASE/CLIENT/20261124T031500Z-KIND``; a second run in the same second gets a number."""
        stamp = f"{started.astimezone(dt.UTC):%Y%m%dT%H%M%SZ}-{kind}"
        for number in range(1, 1000):
            path = base / client / (stamp if number == 1 else f"{stamp}-{number}")
            try:
                path.mkdir(parents=True)
            except FileExistsError:
                continue
            return cls(path)
        raise FileExistsError(str(base / client / stamp))

    @property
    def id(self) -> str:
        """The run's id."""
        return self.path.name

    @property
    def facts(self) -> Path:
        """Where the facts are."""
        return self.path / "facts.json"

    @property
    def report(self) -> Path:
        """Where the report is."""
        return self.path / "report.html"

    @property
    def inventory(self) -> Path:
        """Where the copy of the inventory is."""
        return self.path / "inventory.yaml"

    def keep_inventory(self, source: Path) -> None:
        """Copy the inventory as it was for this run."""
        shutil.copyfile(source, self.inventory)

    def write_plan(self, rows: Iterable[Planned], not_covered: Sequence[Mapping[str, Any]] = ()) -> None:
        """Write the plan; every process of a run may, all write the same."""
        self.write("plan.json", {"rows": [row.to_json() for row in rows], "not_covered": list(not_covered)})

    def plan(self) -> list[Planned]:
        """The planned rows, empty when none were planned."""
        return [Planned(**row) for row in self._read("plan.json").get("rows", [])]

    def not_covered(self) -> list[Json]:
        """The guests that nothing was planned for: ``vmid``, ``guest``, ``reason``."""
        return list(self._read("plan.json").get("not_covered", []))

    def add_verdict(self, verdict: Verdict) -> None:
        """Append a verdict as it happens."""
        with (self.path / "verdicts.jsonl").open("a", encoding="utf-8") as lines:
            lines.write(canonical(verdict.to_json()) + "\n")

    def verdicts(self) -> list[Verdict]:
        """Every verdict so far, in the order in which they came."""
        return [Verdict.from_json(line) for line in self.lines("verdicts.jsonl")]

    def drills(self) -> list[Json]:
        """The records of the drills of this run."""
        return self.lines("drills.jsonl")

    def write_run(self, record: Mapping[str, Any]) -> None:
        """Write the run's own record."""
        self.write("run.json", record)

    def run(self) -> Json:
        """The run's own record, empty before it was written."""
        return self._read("run.json")

    def lines(self, name: str) -> list[Json]:
        """The objects of a file with one JSON object a line; a last line cut short by a crash is left out."""
        path = self.path / name
        found: list[Json] = []
        for line in path.read_text(encoding="utf-8").splitlines() if path.exists() else []:
            try:
                found.append(json.loads(line))
            except json.JSONDecodeError:
                break
        return found

    def write(self, name: str, value: object) -> None:
        """Write a JSON file as a whole or not at all."""
        text = json.dumps(plain(value), indent=1, sort_keys=True, ensure_ascii=False, allow_nan=False) + "\n"
        self.write_text(name, text)

    def write_text(self, name: str, text: str) -> None:
        """Write a text file as a whole or not at all."""
        scratch = self.path / f".{name}.{os.getpid()}"
        scratch.write_text(text, encoding="utf-8")
        scratch.replace(self.path / name)

    def earlier_audits(self) -> tuple[dt.datetime, ...]:
        """When earlier audits of the same client ended, oldest first; only those of all rules that came to an end."""
        found = []
        for path in self.path.parent.glob("*-audit*"):
            try:
                record = RunFolder(path).run() if path != self.path else {}
            except ValueError:  # cut short by a crash: no audit
                record = {}
            if record.get("kind") == "audit" and record.get("partial") is False and record.get("finished"):
                found.append(dt.datetime.fromisoformat(record["finished"]))
        return tuple(sorted(found))

    def unfinished_runs(self) -> tuple[RunFolder, ...]:
        """Runs of the same client that began before and have not ended, oldest first.

        They were killed, or still run elsewhere; either way they prove nothing.
        """
        earlier = [path for path in sorted(self.path.parent.glob("*Z-*")) if path.is_dir() and path.name < self.id]
        return tuple(RunFolder(path) for path in earlier if not (path / "run.json").exists())

    def unfinished(self) -> tuple[str, ...]:
        """Those runs, each in words."""
        return tuple(run.progress() for run in self.unfinished_runs())

    def progress(self) -> str:
        """How far the run came, as far as its folder can be read."""
        try:
            planned, judged = len(self.plan()), len({verdict.item for verdict in self.verdicts()})
        except (ValueError, TypeError, KeyError):  # cut short by a crash
            return f"{self.id}: its plan cannot be read"
        if not planned:
            return f"{self.id}: nothing was planned yet"
        return f"{self.id}: {judged} of {planned} planned rows were judged"

    def _read(self, name: str) -> Json:
        path = self.path / name
        return dict(json.loads(path.read_text(encoding="utf-8"))) if path.exists() else {}

    def remove(self) -> None:
        """Delete the folder: nothing came of the run."""
        shutil.rmtree(self.path, ignore_errors=True)
