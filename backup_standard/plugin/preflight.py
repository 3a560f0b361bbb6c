"""Before the first rule: which privileges and logins the audit lacks, and which rules stay open for that."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator

import pytest

from backup_standard.model import Facts
from backup_standard.plugin.session import is_worker, run_of
from backup_standard.standard.lacking import lacks

_WIDTH = 116


@pytest.hookimpl(tryfirst=True)  # pytest prints the first answer last
def pytest_report_header(config: pytest.Config) -> list[str]:
    """The table, below whose site it is; nothing where nothing is missing."""
    run = run_of(config)
    if run is None or run.is_drill or run.site_read is None or is_worker(config):
        return []
    return list(_table(run.site.facts))


def _table(facts: Facts) -> Iterator[str]:
    missing = lacks({"fact": gap.fact, "reason": gap.reason, "need": gap.need} for gap in facts.gaps)
    if missing:
        yield "missing, with what it would show and the rules that stay open:"
    for one in missing:
        yield f"  {one.what}: {one.shows}"
        rules = ", ".join(one.rules)
        yield from textwrap.wrap(rules, _WIDTH, initial_indent="    ", subsequent_indent="    ", break_on_hyphens=False)
        yield f"    $ {one.cure}" if one.cure.startswith("pveum ") else f"    {one.cure}"
