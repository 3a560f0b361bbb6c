"""A run from its beginning: read the inventory, make the run's folder, read the site once in the controller."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path

import pytest

from backup_standard.audit import next_runs
from backup_standard.audit.site import Site
from backup_standard.errors import OperatorError
from backup_standard.evidence import recorded
from backup_standard.evidence.folder import RunFolder
from backup_standard.evidence.proven import drilled_before
from backup_standard.evidence.verdicts import Verdict
from backup_standard.evidence.wording import shown
from backup_standard.inventory.loader import load
from backup_standard.inventory.schema import Inventory
from backup_standard.model.codec import facts_from_json, facts_to_json
from backup_standard.model.facts import Facts
from backup_standard.plugin import deep, options

RUN_FOLDER, ARGUMENTS = "backup_standard_run_folder", "backup_standard_arguments"
"""The keys under which workers of pytest-xdist find the run's folder and what to collect."""


@dataclass
class Run:
    """The run that this pytest session is; ``site`` is there from the start of the session on.

    ``replay_of`` is the run that is judged again: then no site is read or written.
    ``leftovers`` and ``not_covered`` are filled by the drills: what remained on the site, in words, and the guests that
    no drill was planned for, as ``vmid``, ``guest``, ``reason``.
    """

    inventory: Inventory
    folder: RunFolder
    started: dt.datetime
    is_drill: bool = False
    is_part: bool = False
    replay_of: RunFolder | None = None
    site_read: Site | None = None
    verdicts: list[Verdict] = field(default_factory=list)
    leftovers: list[str] = field(default_factory=list)
    not_covered: list[dict[str, object]] = field(default_factory=list)

    @property
    def site(self) -> Site:
        """The site, once it has been read."""
        if self.site_read is None:
            raise RuntimeError("the site is read at the start of the session, and it has not started")
        return self.site_read

    @cached_property
    def dated(self) -> Facts:
        """The site's facts with the coming runs of every job, worked out once."""
        return next_runs.dated(self.site.facts)


RUN_KEY = pytest.StashKey[Run]()


def run_of(config: pytest.Config) -> Run | None:
    """The run of this session, None when pytest was started without an inventory."""
    return config.stash.get(RUN_KEY, None)


def is_worker(config: pytest.Config) -> bool:
    """Whether this process is a worker of pytest-xdist."""
    return hasattr(config, "workerinput")


def as_usage_error(error: OperatorError) -> pytest.UsageError:
    """The error as pytest ends a session with: its message alone, exit status 4."""
    return pytest.UsageError(str(error))


@pytest.hookimpl(tryfirst=True)
def pytest_configure(config: pytest.Config) -> None:
    """Begin a run where an inventory is given; otherwise see that none is needed."""
    config.addinivalue_line(
        "markers", "rule(id, level, tag): a rule of the standard; level must or should; tag minimum, standard or added"
    )
    path, replayed = options.inventory_path(config), options.replay_path(config)
    if path is None:
        options.refuse_without_inventory(config)
        return
    try:
        earlier = recorded.open_run(replayed) if replayed else None
        inventory = load(path).inventory
    except OperatorError as error:
        raise as_usage_error(error) from None
    if is_worker(config):
        told = config.workerinput  # type: ignore[attr-defined]
        folder, config.args = RunFolder(Path(told[RUN_FOLDER])), list(told[ARGUMENTS])
        drill = options.is_drill(config)
        config.stash[RUN_KEY] = Run(inventory, folder, dt.datetime.now(dt.UTC), is_drill=drill, replay_of=earlier)
    else:
        config.stash[RUN_KEY] = _begin(config, path, inventory, earlier)


def _folders_of(earlier: RunFolder | None, *, drilled: bool) -> list[str]:
    """Whose rules are judged where the command line names none: those of the run that is replayed, else the audit's."""
    items = [row.item for row in earlier.plan()] if earlier else []
    both = (options.AUDIT_FOLDER, options.DRILL_FOLDER)
    planned = [folder for folder in both if any(item.startswith(f"{folder}/") for item in items)]
    return planned or [options.DRILL_FOLDER if drilled else options.AUDIT_FOLDER]


def _begin(config: pytest.Config, path: Path, inventory: Inventory, earlier: RunFolder | None) -> Run:
    """Make the run's folder and settle pytest's own options for it."""
    drilled = earlier is not None and recorded.kind_of(earlier) == "drill"
    options.choose_by_default(config, _folders_of(earlier, drilled=drilled))
    started, drill, part = dt.datetime.now(dt.UTC), options.is_drill(config), options.is_part(config)
    if earlier and drill and not drilled:
        raise pytest.UsageError(
            f"{earlier.path}: that run was an audit and holds no drills; leave out the folder drills"
        )
    base = config.invocation_params.dir / Path(config.getoption("--run-dir")).expanduser()
    kind = recorded.REPLAY if earlier else "drill" if drill else "audit"
    folder = RunFolder.create(base, inventory.client, kind, started)
    folder.keep_inventory(path)
    if earlier:
        recorded.take_over(earlier, folder)
        part = part or (drill and bool(earlier.run().get("partial")))
    if config.option.reportchars == "fE":  # pytest's default; our own summary says more
        config.option.reportchars = ""
    if config.option.maxworkerrestart is None:
        config.option.maxworkerrestart = "0"  # a worker started again would restore again
    leftovers = list(earlier.run().get("leftovers") or ()) if earlier and drill else []
    return Run(inventory, folder, started, is_drill=drill, is_part=part, replay_of=earlier, leftovers=leftovers)


@pytest.hookimpl(tryfirst=True)
def pytest_sessionstart(session: pytest.Session) -> None:
    """Read the site, or in a worker what the controller read."""
    run = run_of(session.config)
    if run is None:
        return
    if is_worker(session.config):
        facts = facts_from_json(run.folder.facts.read_text(encoding="utf-8"))
    else:
        facts = _read(session.config, run)
    run.site_read = Site(run.inventory, facts)


def _read(config: pytest.Config, run: Run) -> Facts:
    """Read the site with progress on the terminal, and keep the facts in the run's folder; or what was read then."""
    try:
        if run.replay_of:
            return recorded.facts_of(run.folder)
        say, commands = _progress(config), run.folder.path / "commands.jsonl"
        facts = read_site(run.inventory, say, commands)
        drilled = drilled_before(run.folder, run.inventory.client, run.inventory.class_)
        facts = replace(facts, looked_at=run.folder.earlier_audits(), drilled=drilled)
        facts = deep.with_readings(config, run.inventory, facts, say, commands)
    except OperatorError as error:
        run.folder.remove()
        raise as_usage_error(error) from None
    run.folder.write_text(run.folder.facts.name, facts_to_json(facts))
    return facts


def read_site(inventory: Inventory, progress: Callable[[str], None], commands: Path) -> Facts:
    """Read a site through its API and over SSH; every command on a node is noted in the file ``commands``."""
    from backup_standard.collect import collect  # noqa: PLC0415 - HTTP and SSH load only when a site is read
    from backup_standard.hosts import Recorder  # noqa: PLC0415

    return collect(inventory, progress=progress, recorder=Recorder(commands))


def _progress(config: pytest.Config) -> Callable[[str], None]:
    """Write a line to the terminal as the reading goes on."""
    terminal = config.pluginmanager.get_plugin("terminalreporter")

    def say(text: str) -> None:
        if terminal and config.option.verbose >= 0:
            terminal.write_line(shown(text))

    return say


@pytest.hookimpl(trylast=True)
def pytest_unconfigure(config: pytest.Config) -> None:
    """Leave no folder behind of a run that was only listed."""
    run = run_of(config)
    if run and config.option.collectonly and not is_worker(config):
        run.folder.remove()
