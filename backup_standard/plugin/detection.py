"""``--detection FILE``: what these very rules made of seeded violations goes into the run, for its report."""

from __future__ import annotations

from pathlib import Path

import pytest

from backup_standard.errors import OperatorError
from backup_standard.evidence import detection
from backup_standard.plugin.session import as_usage_error, is_worker, run_of


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the option to the suite's group."""
    parser.getgroup("backup standard").addoption(
        "--detection",
        metavar="FILE",
        help="show in the report what these rules detect: a table made by pytest tests/lab -k violations "
        "--keep-detection FILE with the same version of them",
    )


@pytest.hookimpl(trylast=True)
def pytest_configure(config: pytest.Config) -> None:
    """Take the table into the run's folder; one that other rules made is refused."""
    run, given = run_of(config), config.getoption("--detection")
    if run is None or not given or is_worker(config):
        return
    try:
        table = detection.checked(config.invocation_params.dir / given, Path(config.rootpath))
    except OperatorError as error:
        run.folder.remove()
        raise as_usage_error(error) from None
    run.folder.write_text(detection.NAME, table)
