"""Command-line options, and which tests a command line means."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import pytest

from backup_standard.evidence.folder import RunFolder

AUDIT_FOLDER, DRILL_FOLDER = "tests_infra", "drills"
_HOW_TO_GET_AN_INVENTORY = (
    "{folder} needs a site to look at: pytest{argument} --inventory inventories/NAME.yaml "
    "(copy inventories/example.yaml and fill it in; inventories/lab.yaml is the embedded lab, "
    "started with python -m lab up)"
)


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the suite's options, all in one group."""
    group = parser.getgroup("backup standard", "audit a Proxmox VE site's backups and drill their restore")
    group.addoption(
        "--inventory",
        metavar="FILE",
        help="the client's inventory (inventories/*.yaml); alone it audits, with the folder drills it drills; "
        "write --inventory=FILE for a file outside the project",
    )
    group.addoption(
        "--replay",
        metavar="RUN",
        help="judge again what an earlier run read, with no site: RUN is its folder, as reports/CLIENT/RUN; without "
        "--inventory by that run's own copy of the inventory; a replay is never evidence",
    )
    group.addoption(
        "--run-dir",
        metavar="DIR",
        default="reports",
        help="where the folders of runs go, as DIR/CLIENT/RUN (default: %(default)s)",
    )


def inventory_path(config: pytest.Config) -> Path | None:
    """The inventory given on the command line, else the copy in the run that is replayed."""
    given, replayed = config.getoption("--inventory"), replay_path(config)
    if given:
        return Path(given)
    return RunFolder(replayed).inventory if replayed else None


def replay_path(config: pytest.Config) -> Path | None:
    """The folder of the run to judge again."""
    given = config.getoption("--replay")
    return Path(given) if given else None


def is_drill(config: pytest.Config) -> bool:
    """Whether the command line names the drills."""
    return any(_is_within(config, argument, DRILL_FOLDER) for argument in config.args)


def is_audit(config: pytest.Config) -> bool:
    """Whether the command line names the audit's rules."""
    return any(_is_within(config, argument, AUDIT_FOLDER) for argument in config.args)


def is_part(config: pytest.Config) -> bool:
    """Whether the command line asks for less than a whole folder."""
    narrowed = config.getoption("keyword") or config.getoption("markexpr") or config.getoption("deselect")
    return bool(narrowed) or any("::" in one or one.endswith(".py") for one in config.args)


def choose_by_default(config: pytest.Config, folders: Iterable[str]) -> None:
    """Make ``pytest --inventory FILE`` mean the rules of these folders."""
    if config.args_source is not pytest.Config.ArgsSource.ARGS:
        config.args = [str(config.rootpath / folder) for folder in folders]
        config.args_source = pytest.Config.ArgsSource.ARGS


def refuse_without_inventory(config: pytest.Config) -> None:
    """Raise a UsageError where the command line names rules or drills and no site."""
    for folder in (AUDIT_FOLDER, DRILL_FOLDER):
        if any(_is_within(config, argument, folder) for argument in config.args):
            raise pytest.UsageError(how_to_get_an_inventory(folder))


def how_to_get_an_inventory(folder: str) -> str:
    """The sentence for a command line without an inventory."""
    argument = f" {folder}" if folder == DRILL_FOLDER else ""
    return _HOW_TO_GET_AN_INVENTORY.format(folder=folder, argument=argument)


def _is_within(config: pytest.Config, argument: str, name: str) -> bool:
    path = (config.invocation_params.dir / argument.split("::", 1)[0]).resolve()
    return path.is_relative_to((config.rootpath / name).resolve())
