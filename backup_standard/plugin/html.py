"""The report as pytest-html writes it: our title, our style and our sections, computed from the run's folder."""

from __future__ import annotations

from typing import Any

import pytest

from backup_standard.plugin.session import Run, is_worker, run_of
from backup_standard.report import page


def pytest_configure(config: pytest.Config) -> None:
    """Ask pytest-html for one self-contained file in the run's folder, unless the command line asks for another."""
    run = run_of(config)
    if run is None or is_worker(config) or config.option.collectonly:
        return
    config.option.htmlpath = config.option.htmlpath or str(run.folder.report)
    config.option.self_contained_html = True
    config.option.css = [*config.option.css, str(page.STYLE)]
    config.pluginmanager.register(Page(run), "backup_standard_page")


@pytest.hookimpl(optionalhook=True)
def pytest_metadata(metadata: dict[str, Any], config: pytest.Config) -> None:
    """Keep this machine's environment out of the report: the run's record says what matters of it."""
    if run_of(config):
        metadata.clear()


class Page:
    """Fills pytest-html's page; there only while a site is audited or drilled."""

    def __init__(self, run: Run) -> None:
        self.run = run

    @pytest.hookimpl(optionalhook=True)
    def pytest_html_report_title(self, report: Any) -> None:
        """Say what the page is about."""
        report.title = page.title("drill" if self.run.is_drill else "audit", self.run.inventory)

    @pytest.hookimpl(optionalhook=True)
    def pytest_html_results_table_row(self, cells: list[str]) -> None:
        """Leave pytest-html's own table empty: a line for every rule and subject stands in our sections."""
        cells.clear()

    @pytest.hookimpl(optionalhook=True)
    def pytest_html_results_summary(self, prefix: list[str]) -> None:
        """Put our sections in."""
        prefix.append(page.body(self.run.folder))

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_sessionfinish(self) -> Any:
        """Finish the page once pytest-html has written it."""
        result = yield
        path = self.run.folder.report
        if path.exists():
            self.run.folder.write_text(path.name, page.finished(path.read_text(encoding="utf-8")))
        return result
