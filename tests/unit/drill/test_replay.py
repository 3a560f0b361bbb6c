"""A drill told again from its record: how each step ended, also where the record is cut short."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, cast

import pytest

from backup_standard.drill.plan import DrillPlan
from backup_standard.drill.replay import ReplayedDrill
from backup_standard.errors import NotRun, OperatorError


class Plan:
    """As much of a plan as a replay asks for."""

    vmid = 210


def step(name: str, outcome: str = "ok", **more: Any) -> dict[str, Any]:
    return {"name": name, "outcome": outcome, "seconds": 1.0, "observed": {}, "message": "", **more}


def command(host: str, said: str) -> str:
    line = {"host": host, "command": "hostname", "rc": 0, "stdout": said, "stderr": "", "seconds": 0.1}
    return json.dumps(line) + "\n"


def replayed(folder: Path, *steps: dict[str, Any]) -> ReplayedDrill:
    record = {"guest": 210, "temporary_vmid": 211, "steps": steps}
    (folder / "drills.jsonl").write_text(json.dumps(record) + '\n{"guest": 22')
    return ReplayedDrill(cast(DrillPlan, Plan()), folder)


def test_steps_end_as_they_ended(tmp_path: Path) -> None:
    drill = replayed(
        tmp_path,
        step("restore", observed={"restored": "2 GiB"}),
        step("boot", "failed", message="no disk"),
        step("login", "not run", message="boot failed"),
        step("teardown", "error", message="pve1: no answer"),
    )
    assert drill.step("restore").observed == {"restored": "2 GiB"}
    assert (drill.step("boot").ok, drill.step("boot").message) == (False, "no disk")
    with pytest.raises(NotRun, match="login of guest 210 was not run: boot failed"):
        drill.step("login")
    with pytest.raises(OperatorError, match=r"^pve1: no answer$"):
        drill.step("teardown")
    with pytest.raises(NotRun, match="planned, and the run ended before it"):
        drill.step("network")


def test_a_guest_without_a_record_did_not_run(tmp_path: Path) -> None:
    with pytest.raises(NotRun, match="planned, and the run ended before it"):
        ReplayedDrill(cast(DrillPlan, Plan()), tmp_path).step("restore")


def test_hosts_answer_as_they_did_whichever_worker_asked(tmp_path: Path) -> None:
    (tmp_path / "commands-gw0.jsonl").write_text(command("201", "other"))
    (tmp_path / "commands-gw1.jsonl").write_text(command("9000 (agent)", "root") + command("9000", "dns") + '{"ho')
    drill = replayed(tmp_path, step("restore", observed={"temporary_vmid": 9000}), step("boot"), step("login"))
    assert drill.host().check_output("hostname") == "dns"
    assert drill.host_as_root().check_output("hostname") == "root"


def test_a_host_that_nobody_looked_into_is_not_there(tmp_path: Path) -> None:
    (tmp_path / "commands-main.jsonl").write_text(command("211 (agent)", "root"))
    drill = replayed(tmp_path, step("boot"), step("login"))
    assert drill.host_as_root().check_output("hostname") == "root"
    with pytest.raises(NotRun, match="nobody is logged in to the copy of guest 210"):
        drill.host()
