"""Drills under pytest: which guests, the fixtures that drill rules ask for, sweeps before and after, live progress."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from types import FrameType
from typing import Any, NoReturn

import pytest

from backup_standard.drill import assembly, preview, reap
from backup_standard.drill.choices import Choices
from backup_standard.drill.course import Tools
from backup_standard.drill.engine import Drill
from backup_standard.drill.plan import DrillPlan, NotCovered, Plan, plan_drills
from backup_standard.drill.progress import Event, Listener, Tail, Throttle, to_file
from backup_standard.drill.replay import ReplayedDrill
from backup_standard.errors import OperatorError
from backup_standard.evidence.folder import RunFolder
from backup_standard.evidence.wording import shown
from backup_standard.hosts import Recorder
from backup_standard.plugin.drill_choice import MARKERS, chooses, chosen
from backup_standard.plugin.drill_groups import Standing
from backup_standard.plugin.drill_options import CHOICES_KEY
from backup_standard.plugin.proofs import DRILL_KEY
from backup_standard.plugin.session import Run, as_usage_error, is_worker, run_of
from backup_standard.plugin.subjects import Missing, NoSubject

PLAN_KEY = pytest.StashKey[Plan]()
TAIL_PAUSE = 0.5
"""Seconds between two looks for progress of other processes."""


@dataclass(frozen=True)
class DrilledGuest:
    """The subject of drill rules."""

    vmid: int
    name: str
    kind: str = "qemu"

    def __str__(self) -> str:
        return f"{'CT' if self.kind == 'lxc' else 'VM'} {self.vmid} ({self.name})"


def pytest_configure(config: pytest.Config) -> None:
    """Register the markers that choose guests, and make a polite kill an orderly end."""
    for line in MARKERS.values():
        config.addinivalue_line("markers", line)
    if _drilling(config) and threading.current_thread() is threading.main_thread():
        for polite in (signal.SIGTERM, signal.SIGHUP):
            signal.signal(polite, _interrupt)


def _interrupt(_number: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt("terminated")


@pytest.hookimpl(trylast=True)
def pytest_sessionstart(session: pytest.Session) -> None:
    """Plan the drills; in the controller also clean up after earlier runs, say the plan, and show progress."""
    run = _drilling(session.config)
    if run is None:
        return
    choices = session.config.stash[CHOICES_KEY]
    plan = plan_drills(run.inventory, run.site.facts, choices)
    if run.replay_of:
        plan = _as_drilled(plan, run.replay_of)
    session.config.stash[PLAN_KEY] = plan
    run.not_covered = [
        {"vmid": one.vmid, "guest": f"guest {one.vmid} ({one.name})", "reason": one.reason} for one in plan.not_covered
    ]
    if run.replay_of or is_worker(session.config) or session.config.option.collectonly:
        return
    terminal = _terminal(session.config)
    if session.config.getoption("--plan"):
        _show_plan(run, plan, choices, terminal.write_line)
    _clean_up_first(run, terminal)
    for line in plan.lines():
        terminal.write_line(line)
    if session.config.pluginmanager.has_plugin("dsession"):
        session.config.pluginmanager.register(_Watch(run, terminal), "backup_standard_drill_watch")


def _clean_up_first(run: Run, terminal: Any) -> None:
    """Remove what earlier runs left; a usage error where the inventory does not say how to drill."""
    try:
        assembly.drill_ground(run.inventory)
        swept = reap.sweep(run.inventory, run.folder.path.parent, do_it=True, say=terminal.write_line)
    except OperatorError as problem:
        run.folder.remove()
        raise as_usage_error(problem) from None
    run.leftovers += swept.left


def _show_plan(run: Run, plan: Plan, choices: Choices, say: Callable[[str], None]) -> NoReturn:
    """Say what a run of drills would do, and end: 0 when each could begin now, 1 when something is against one."""
    try:
        earlier = run.folder.path.parent
        ready = preview.show(run.inventory, run.dated, plan, choices=choices, folder=earlier, say=say)
    except OperatorError as problem:
        raise as_usage_error(problem) from None
    finally:
        run.folder.remove()
    pytest.exit("a plan alone: nothing was touched", returncode=0 if ready else 1)


def _as_drilled(plan: Plan, earlier: RunFolder) -> Plan:
    """The part of a plan that an earlier run planned too; a guest that was left out then stays left out."""
    subjects = {row.subject for row in earlier.plan()}
    drills = tuple(one for one in plan.drills if str(DrilledGuest(one.vmid, one.name, one.kind)) in subjects)
    others = (NotCovered(one.vmid, one.name, "that run did not drill it") for one in plan.drills if one not in drills)
    return Plan(drills, (*plan.not_covered, *others))


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Give drill rules the guests to drill; a services module only those it is about."""
    plan = metafunc.config.stash.get(PLAN_KEY, None)
    if plan is None or "drill" not in metafunc.fixturenames:
        return
    guests: list[Any] = [DrilledGuest(one.vmid, one.name, one.kind) for one in chosen(metafunc.definition, plan.drills)]
    ids = [str(guest.vmid) for guest in guests]
    if not guests and not chooses(metafunc.definition):
        guests, ids = [Missing(NoSubject("no guest of this site can be drilled"))], ["no-subject"]
    metafunc.parametrize("drill", guests, ids=ids, indirect=True, scope="session")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out services modules that no drilled guest is meant by."""
    if PLAN_KEY in config.stash:
        items[:] = [item for item in items if not _has_no_guest(item)]


def _has_no_guest(item: pytest.Item) -> bool:
    skip = item.get_closest_marker("skip")
    return chooses(item) and skip is not None and "empty" in str(skip.kwargs.get("reason"))


@pytest.fixture(scope="session")
def drill(request: pytest.FixtureRequest, standing_drills: Standing) -> Iterator[Drill | ReplayedDrill]:
    """The drill of one guest: steps run when they are asked for; in the end the temporary guest is gone."""
    subject, run = request.param, _drilling(request.config)
    if isinstance(subject, Missing):
        raise subject.reason
    if run is None:
        raise pytest.UsageError("drills need --inventory FILE")
    plan = request.config.stash[PLAN_KEY].of(subject.vmid)
    if run.replay_of:
        yield ReplayedDrill(plan, run.replay_of.path)
        return

    def tools_of(one: DrillPlan) -> Tools:
        return assembly.tools(
            run.inventory, run.dated, node=one.node, folder=run.folder.path, run=run.folder.id,
            listener=_listener(request.config, run), choices=request.config.stash[CHOICES_KEY],
        )  # fmt: skip

    if plan.group:
        started = standing_drills.drill(plan, request.config.stash[PLAN_KEY], tools_of)
        request.config.stash[DRILL_KEY] = started
        yield started
        return
    with closing(tools_of(plan)) as tools, Drill(plan, tools) as started:
        request.config.stash[DRILL_KEY] = started
        yield started


@pytest.fixture
def restored_guest(drill: Drill | ReplayedDrill, pytestconfig: pytest.Config) -> Any:
    """The restored guest as a testinfra host, over SSH as the account that the inventory names."""
    return drill.host(_recorder(pytestconfig))


@pytest.fixture
def restored_guest_as_root(drill: Drill | ReplayedDrill, pytestconfig: pytest.Config) -> Any:
    """The restored guest as a testinfra host over its guest agent: commands run as root."""
    return drill.host_as_root(_recorder(pytestconfig))


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    """Sweep up what killed workers left: the last net, in the controller, before the verdicts are reckoned up."""
    run = _drilling(session.config)
    if run is None or is_worker(session.config) or session.config.option.collectonly or run.site_read is None:
        return
    if run.replay_of:
        return
    terminal = _terminal(session.config)
    try:
        swept = reap.sweep(
            run.inventory, run.folder.path.parent, do_it=True, say=terminal.write_line, own_run=run.folder.id
        )
    except OperatorError as problem:
        run.leftovers.append(f"whether anything is left could not be seen: {problem}")
    else:
        run.leftovers += swept.left


class _Watch:
    """Shows the progress that workers write down, in the controller."""

    def __init__(self, run: Run, terminal: Any) -> None:
        self._tail, self._terminal = Tail(run.folder.path), terminal
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._show, name="drill progress", daemon=True)
        self._thread.start()

    def _show(self) -> None:
        while not self._end.wait(TAIL_PAUSE):
            self._say()

    def _say(self) -> None:
        for event in self._tail.new():
            _write(self._terminal, event)

    @pytest.hookimpl(tryfirst=True)
    def pytest_sessionfinish(self) -> None:
        """Show what is left to show."""
        self._end.set()
        self._thread.join(5)
        self._say()


def _drilling(config: pytest.Config) -> Run | None:
    run = run_of(config)
    return run if run and run.is_drill else None


def _terminal(config: pytest.Config) -> Any:
    return config.pluginmanager.get_plugin("terminalreporter")


def _write(terminal: Any, event: Event) -> None:
    """A line of its own, also where pytest has begun one of letters."""
    if terminal._tw.width_of_current_line:  # noqa: SLF001 - pytest has no other way to ask
        terminal.write_line("")
    terminal.write_line(shown(str(event)))


def _listener(config: pytest.Config, run: Run) -> Listener:
    if is_worker(config):
        return Throttle(to_file(run.folder.path))
    terminal: Any = _terminal(config)
    capture: Any = config.pluginmanager.get_plugin("capturemanager")

    def show(event: Event) -> None:
        with capture.global_and_fixture_disabled():
            _write(terminal, event)

    return Throttle(show)


def _recorder(config: pytest.Config) -> Recorder | None:
    run = run_of(config)
    worker = config.workerinput["workerid"] if hasattr(config, "workerinput") else "main"
    return Recorder(run.folder.path / f"commands-{worker}.jsonl") if run else None
