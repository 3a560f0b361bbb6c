"""A drill told again from its record and the recorded commands: every row as it was, and no site touched."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from backup_standard.drill.agent_door import BY_AGENT
from backup_standard.drill.lines import read_lines
from backup_standard.drill.plan import DrillPlan
from backup_standard.drill.posix import POSIX
from backup_standard.drill.record import FILENAME, Outcome, StepResult, require_run
from backup_standard.drill.windows import WINDOWS
from backup_standard.errors import NotRun
from backup_standard.hosts import Recorder, replay_host

_NOBODY = "nobody is logged in to the copy of guest {vmid}"


class ReplayedDrill:
    """Answers like :class:`~backup_standard.drill.engine.Drill`, from the folder of a run."""

    def __init__(self, plan: DrillPlan, folder: Path) -> None:
        self.plan, self._folder = plan, folder
        self._record = _records(folder).get(plan.vmid, {})
        self._steps = {step["name"]: _result(step) for step in self._record.get("steps", ())}

    def step(self, name: str) -> StepResult:
        """The result of a step. NotRun where it was not run then, OperatorError where it ended in an error."""
        result = self._steps.get(name)
        if result is None:
            raise NotRun("planned, and the run ended before it")
        return require_run(result, self.plan.vmid)

    def host(self, _recorder: Recorder | None = None) -> Any:
        """The restored guest as a testinfra host that answers as it answered over SSH."""
        self.step("login")
        through_agent = str(self._steps["login"].observed.get("method", "")) == BY_AGENT
        return self._host(f"{self._vmid} (agent)" if through_agent else str(self._vmid))

    def host_as_root(self, _recorder: Recorder | None = None) -> Any:
        """The same over its guest agent."""
        self.step("boot")
        return self._host(f"{self._vmid} (agent)")

    def _host(self, name: str) -> Any:
        recording = _recording_of(name, self._folder)
        if recording is None:
            raise NotRun(_NOBODY.format(vmid=self.plan.vmid))
        system = WINDOWS if self._record.get("system") == WINDOWS.name else POSIX
        return replay_host(recording, name, system.literal)

    @property
    def _vmid(self) -> int:
        """The VMID that was looked into: the temporary one, or that of its clone."""
        restore = self._steps.get("restore")
        seen = restore.observed.get("temporary_vmid") if restore else None
        return int(seen or self._record["temporary_vmid"])


def _records(folder: Path) -> dict[int, Mapping[str, Any]]:
    """The records of a run's drills by guest."""
    return {int(record["guest"]): record for record in read_lines(folder / FILENAME)}


def _result(step: Mapping[str, Any]) -> StepResult:
    return StepResult(**{**step, "outcome": Outcome(step["outcome"])})


def _recording_of(name: str, folder: Path) -> Path | None:
    """The file with the commands of that host: all rows of a guest run in one process."""
    for path in sorted(folder.glob("commands*.jsonl")):
        if any(noted["host"] == name for noted in read_lines(path)):
            return path
    return None
