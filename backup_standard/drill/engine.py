"""A drill from end to end: its steps in order, later ones not run after a failure, the teardown always."""

from __future__ import annotations

import datetime as dt
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Self

from backup_standard.drill import keeping, production, screen, steps, teardown
from backup_standard.drill.agent_door import AgentSession
from backup_standard.drill.course import FINDINGS, Course, Observed, Tools, Unproven, Wrong
from backup_standard.drill.door import SshSession
from backup_standard.drill.plan import DrillPlan
from backup_standard.drill.record import DrillRecord, Outcome, StepResult, require_run
from backup_standard.drill.remains import Remains
from backup_standard.errors import ConnectionFailed, NotRun, OperatorError
from backup_standard.hosts import Recorder, agent_host

Step = Callable[[Course], Observed]

STEPS: Mapping[str, Step] = {
    "restore": steps.restore,
    "boot": steps.power_up,
    "login": steps.log_in,
    "network": steps.check_network,
    "services": steps.check_services,
    "data": steps.check_data,
}
"""The steps before the teardown, in their order; ``data`` only where the inventory declares some."""

GATE = "services"
"""The step that a guest of a group must have passed before the next is brought up."""
AFTER_THE_NETWORK = ("services", "data")
TEARDOWN = "teardown"
SCREENS = "artefacts"


class Drill:
    """One guest's drill. A step runs when it is first asked for, after those before it; each runs once.

    Used as a context manager: whatever happens inside, the temporary guest is torn down and the record written.
    """

    def __init__(self, plan: DrillPlan, tools: Tools, before: Sequence[Drill] = ()) -> None:
        self.plan, self.tools, self.before = plan, tools, before
        self.record = DrillRecord(
            guest=plan.vmid, name=plan.name, role=plan.role, kind=plan.kind, vmid=plan.vmid,
            temporary_vmid=plan.temporary_vmid, node=plan.node, archive=plan.archive, class_=tools.class_,
            disk_bytes=plan.disk_bytes or None,
            run=tools.run, started=dt.datetime.now(dt.UTC),
            rto_seconds=plan.rto.total_seconds() if plan.rto else None,
            restore_point=plan.point, is_newest=plan.is_newest,
        )  # fmt: skip
        self.course: Course = Course(plan, tools, self.record, before=[one.course for one in before])
        self._steps = _steps_of(plan)
        if "data" not in self._steps:
            self.record.not_proven.append(f"the data: guests.{plan.vmid}.drill.data declares none")
        self.remains: list[Remains] = []
        self._problems: dict[str, OperatorError] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def step(self, name: str) -> StepResult:
        """The result of a step, run now if it was not yet: one that ran to its end, well or badly.

        NotRun when an earlier step failed, ConnectionFailed when API or node were lost during the step.
        """
        if name == TEARDOWN:
            self._tear_down()
        else:
            self._run_up_to(name)
        return require_run(self.record.steps[name], self.plan.vmid, self._problems.get(name))

    def host(self, recorder: Recorder | None = None) -> Any:
        """The restored guest as a testinfra host over the login of the login step (see :meth:`step` for errors).

        After a login through the agent it is the agent's host: nothing else runs commands there.
        """
        self.step("login")
        self._require_sound()
        session = self.course.session
        if isinstance(session, AgentSession):
            return self.host_as_root(recorder)
        if not isinstance(session, SshSession):
            raise NotRun(f"nobody is logged in to the copy of guest {self.plan.vmid}")
        return session.host(str(self.course.vmid), recorder)

    def host_as_root(self, recorder: Recorder | None = None) -> Any:
        """The restored guest as a testinfra host over its guest agent."""
        self.step("boot")
        self._require_sound()
        dialect, name = self.course.dialect, f"{self.course.vmid} (agent)"
        return agent_host(self.course.agent, name, recorder, line=dialect.line, literal=dialect.literal)

    def _require_sound(self) -> None:
        """NotRun when a step before the services failed: then the modules that look at services say nothing either."""
        before = [self.record.steps.get(name) for name in STEPS if name not in AFTER_THE_NETWORK]
        failed = next((step for step in before if step is not None and step.ends_the_drill), None)
        if failed:
            raise NotRun(f"the copy of guest {self.plan.vmid} was not looked into: {failed.name} failed")

    def close(self) -> None:
        """Tear down if that was not done, and write the record; safe to call again."""
        if self.record.finished is not None:
            return
        try:
            self._tear_down()
        finally:
            for name in self._steps:
                if name not in self.record.steps:
                    self._note(name, Outcome.NOT_RUN, 0.0, {}, "it was not asked for")
            self.record.finished = dt.datetime.now(dt.UTC)
            self.record.append_to(self.tools.folder)

    def _run_up_to(self, name: str) -> None:
        if name not in self._steps:
            raise NotRun(f"{name} is no step of this drill: guest {self.plan.vmid} declares no {name}")
        for step, run in self._steps.items():
            if step not in self.record.steps:
                self._run(step, run)
            if step == name:
                return

    def _run(self, name: str, run: Step) -> None:
        failed = next((step for step in self.record.steps.values() if step.ends_the_drill), None)
        why = "the temporary guest is gone already" if TEARDOWN in self.record.steps else ""
        if failed:
            why = failed.message if failed.outcome is Outcome.NOT_RUN else f"{failed.name} failed"
        why = why or self._not_ready()
        if why:
            self._note(name, Outcome.NOT_RUN, 0.0, {}, why)
            return
        clock = self._clock()
        try:
            observed = run(self.course)
        except Unproven as gap:
            self._note(name, Outcome.UNPROVEN, clock(), {}, str(gap))
            self.record.not_proven.append(str(gap))
        except FINDINGS as problem:
            seconds = clock()
            outcome = Outcome.FAILED
            if isinstance(problem, ConnectionFailed):
                outcome, self._problems[name] = Outcome.ERROR, problem
            self._note(name, outcome, seconds, _observed(problem), str(problem))
            self.course.say(name, f"failed: {str(problem).splitlines()[0]}")
        except BaseException as problem:
            seconds = clock()
            message = f"{keeping.INTERRUPTED}{type(problem).__name__} {problem}".rstrip()
            self._note(name, Outcome.FAILED, seconds, {}, message)
            raise
        else:
            self._note(name, Outcome.OK, clock(), observed, "")

    def _clock(self) -> Callable[[], float]:
        """Seconds from now on, without those that the drill waits for its turn."""
        started, waited = time.monotonic(), self.course.waited
        return lambda: time.monotonic() - started - (self.course.waited - waited)

    def _not_ready(self) -> str:
        """Why a guest of a group may not be brought up yet: one before it does not serve."""
        for one in self.before if not self.record.steps else ():
            try:
                ready = one.step(GATE)
            except (NotRun, OperatorError) as problem:
                return f"guest {one.plan.vmid} before it in its group is not ready: {problem}"
            if not ready.ok:
                return f"guest {one.plan.vmid} before it in its group is not ready: {ready.message}"
        return ""

    def _note(self, name: str, outcome: Outcome, seconds: float, observed: Observed, message: str) -> None:
        self.record.steps[name] = StepResult(name, outcome, round(seconds, 3), observed, message)

    def _tear_down(self) -> None:
        if TEARDOWN in self.record.steps:
            return
        standing = [claim for claim in self.tools.claims.standing() if self._is_own(claim.vmid)]
        if not standing:
            self._note(TEARDOWN, Outcome.NOT_RUN, 0.0, {}, "nothing was restored, so there is nothing to delete")
            return
        started = time.monotonic()
        self._take_screen()
        if self.course.session:
            self.course.session.close()
        if keeping.is_wanted(self.tools.choices, self.record):
            text = keeping.keep(self.course, standing)
            self._give_memory_back()
            self._note(TEARDOWN, Outcome.FAILED, time.monotonic() - started, {"kept": [c.vmid for c in standing]}, text)
            return
        wrong: list[str] = []
        seen: Observed = {}
        try:
            with self.course.phase(TEARDOWN) as phase:
                tools = self.tools
                torn = teardown.tear_down_all(tools.api, tools.guard, tools.claims, standing, tools.shell)
                self.remains = [remains for remains in torn if remains]
                wrong += [f"left behind: {remains}" for remains in self.remains]
                seen["volumes"] = [proof for remains in torn for proof in remains.proof]
                self.record.production_after = production.snapshot(tools.api, tools.guests)
                wrong += production.differences(self.record.production_before, self.record.production_after)
                phase["deleted"] = [claim.vmid for claim in standing]
        except OperatorError as problem:
            wrong.append(str(problem))
        observed = {
            "deleted": [claim.vmid for claim in standing],
            "production": "as before" if not wrong else "see below",
            **seen,
        }
        self._give_memory_back()
        outcome = Outcome.FAILED if wrong else Outcome.OK
        self._note(TEARDOWN, outcome, time.monotonic() - started, observed, "; ".join(wrong))
        self.course.say(TEARDOWN, "failed" if wrong else "done")

    def _give_memory_back(self) -> None:
        if self.tools.limits:
            self.tools.limits.give_back(self.course.vmid)

    def _is_own(self, vmid: int) -> bool:
        return vmid in {self.plan.temporary_vmid, self.plan.clone_vmid}

    def _take_screen(self) -> None:
        if self.course.restored is None or "boot" not in self.record.steps:
            self.record.screenshot_reason = "the guest was never powered on"
            return
        wanted = self.plan.settings.screen
        if wanted == "no" or self.plan.kind == "lxc":
            self.record.screenshot_reason = screen.NO_SCREEN if wanted == "yes" else screen.LEFT_OUT
            return
        with self.course.phase("screen"):
            taken = screen.capture(
                self.tools.api, self.tools.open_websocket, self.plan.node, self.course.vmid, blur=wanted == "blurred"
            )
        self.record.screenshot_reason = taken.reason
        if taken.png:
            path = self.tools.folder / SCREENS / f"screen-{self.plan.vmid}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(taken.png)
            self.record.screenshot = f"{SCREENS}/{path.name}"


def _steps_of(plan: DrillPlan) -> dict[str, Step]:
    """The steps of one drill: data where some is declared, the whole of a group at its last guest."""
    steps_of: dict[str, Step] = {}
    for name, step in STEPS.items():
        if name != "data" or plan.settings.data:
            steps_of[name] = step
        if name == GATE and plan.group and plan.group.is_last(plan.vmid):
            steps_of["group"] = steps.check_group
    return steps_of


def _observed(problem: BaseException) -> dict[str, Any]:
    return problem.observed if isinstance(problem, Wrong) else {}
