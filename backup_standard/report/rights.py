"""What the run lacked of rights and logins, as a table of the report."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from backup_standard.report.fragments import table, text
from backup_standard.standard.lacking import lacks


def missing(run: Mapping[str, Any]) -> str:
    """The table, empty where nothing was missing."""
    lines = [
        (text(one.what), text(one.shows), text(", ".join(one.rules)), f"<code>{text(one.cure)}</code>")
        for one in lacks(run.get("gaps") or ())
    ]
    return table(("Missing", "What it shows", "Rules that stay open", "What gives it"), lines, "plain") if lines else ""
