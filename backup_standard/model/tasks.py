"""Tasks: runs on a node, with a UPID, an exit status and a log."""

from __future__ import annotations

from dataclasses import dataclass

from backup_standard.errors import Unknown
from backup_standard.model.gaps import Gap


@dataclass(frozen=True)
class Task:
    """One task; times in epoch seconds; ``status`` is the exit status ("OK", "job errors", "WARNINGS: 1").

    ``log`` is None where it was not read; ``unread`` says why where it should have been.
    """

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
    unread: Gap | None = None

    def without_log(self) -> Unknown:
        """What a rule raises that needs the log and has none."""
        need = f"Sys.Audit on /nodes/{self.node}"
        return (self.unread or Gap(f"the log of {self}", "it was not read", need)).as_error()

    def __str__(self) -> str:
        return f"task {self.upid}"
