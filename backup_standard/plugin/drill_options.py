"""The options of drills, and what they come to for a run."""

from __future__ import annotations

import secrets

import pytest

from backup_standard.drill.choices import NEWEST, OLDEST, RANDOM, Choices
from backup_standard.plugin.session import Run, is_worker, run_of

NEVER, FAILED = "never", "failed"


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the options of drills to the suite's group."""
    group = parser.getgroup("backup standard")
    group.addoption(
        "--plan", action="store_true",
        help="drills: say what would be done, with space, memory, time and what is against it; touches nothing",
    )  # fmt: skip
    group.addoption(
        "--restore-point", choices=(NEWEST, RANDOM, OLDEST), default=NEWEST,
        help="drills: which archive of each guest is restored (default: %(default)s, which is what RST-01 asks for)",
    )  # fmt: skip
    group.addoption(
        "--restore-seed", type=int, metavar="NUMBER",
        help="drills: draw the same random restore points as the run that recorded this number",
    )  # fmt: skip
    group.addoption(
        "--keep-restored", choices=(NEVER, FAILED), default=NEVER,
        help="drills: leave the copy of a failed drill standing, and say how to reach and to remove it",
    )  # fmt: skip
    group.addoption(
        "--no-gateway", action="store_true",
        help="drills: make no gateway on the node, look at the copies through their guest agents alone; what that "
        "cannot show is unknown",
    )  # fmt: skip


CHOICES_KEY = pytest.StashKey[Choices]()
"""What was chosen for this run of drills."""


def _choices_of(config: pytest.Config, run: Run) -> Choices:
    """What was chosen: in a worker or a replay what the run's folder says, else the options, which are kept there."""
    if run.replay_of:
        return Choices.read(run.replay_of.path)
    if is_worker(config):
        return Choices.read(run.folder.path)
    seed = config.getoption("--restore-seed")
    chosen = Choices(
        restore_point=config.getoption("--restore-point"),
        seed=secrets.randbelow(10**6) if seed is None else int(seed),
        keep_failed=config.getoption("--keep-restored") == FAILED,
        gateway=not config.getoption("--no-gateway") and (run.inventory.drill is None or run.inventory.drill.gateway),
    )
    chosen.write(run.folder.path)
    return chosen


@pytest.hookimpl(tryfirst=True)
def pytest_configure(config: pytest.Config) -> None:
    """A plan needs no workers, which pytest-xdist would start before there is one."""
    if config.getoption("--plan"):
        config.option.dist, config.option.tx, config.option.numprocesses = "no", [], None


@pytest.hookimpl(tryfirst=True)
def pytest_sessionstart(session: pytest.Session) -> None:
    """Settle what was chosen, before pytest-xdist starts workers, which read it."""
    run = run_of(session.config)
    if run and run.is_drill:
        session.config.stash[CHOICES_KEY] = _choices_of(session.config, run)
