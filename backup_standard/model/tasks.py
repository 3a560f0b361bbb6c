"""Tasks: runs on a node, with a UPID, an exit status and a log."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Task:
    """One task; times in epoch seconds; ``status`` is the exit status ("OK", "job errors", "WARNINGS: 1")."""

    upid: str
    node: str
    type: str
    id: str
    user: str
    starttime: int
    endtime: int | None = None
    status: str = ""
    tokenid: str | None = None
    log: tuple[str, ...] | None = None

    def __str__(self) -> str:
        return f"task {self.upid}"
