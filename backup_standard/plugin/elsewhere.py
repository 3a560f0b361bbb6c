"""Command lines that make pytest look for its root outside the project, where the suite's options do not exist.

pytest takes the value of an option it does not know yet for a test path. ``--inventory /elsewhere/acme.yaml`` so moves
its root folder away, before the project's ``conftest.py`` is read; ``--inventory=/elsewhere/acme.yaml`` does not.
This module is the installed entry point: it is loaded always, and does nothing but explain that.
"""

from __future__ import annotations

from itertools import pairwise

import pytest

_OPTIONS = ("--inventory", "--replay", "--run-dir")


def pytest_load_initial_conftests(early_config: pytest.Config, args: list[str]) -> None:
    """Raise a UsageError with the command line that works."""
    if early_config.pluginmanager.has_plugin("backup_standard.plugin.options"):
        return
    conftest = early_config.invocation_params.dir / "conftest.py"
    moved = early_config.rootpath != conftest.parent and conftest.exists()
    for option, value in pairwise(args):
        if moved and option in _OPTIONS:
            raise pytest.UsageError(f"{option}: write {option}={value} (with an equals sign) for a path outside here")
