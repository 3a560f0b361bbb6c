"""Tasks: a UPID, a status that is asked for until it is final, a log that says why."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from backup_standard.errors import ApiError, ConnectionFailed, OperatorError, TaskFailed
from backup_standard.pve.refusals import FIRST_PROXY_FAILURE
from backup_standard.waiting import NotReady, until

TAIL = 15
"""Lines of a failed task's log that its error shows."""
_PAGE = 5000
_OLD_DEFAULT = 50
"""Lines that ``limit=0`` meant before PVE 7.3 (upstream: PVE/Tools.pm dump_logfile)."""
_LONGEST_PAUSE = 2.0


class Reads(Protocol):
    """The reading half of the API client."""

    def get(self, path: str, /, **params: Any) -> Any:
        """The ``data`` of the answer."""
        ...


@dataclass(frozen=True)
class TaskResult:
    """A task that ended well: ``status`` is "OK" or "WARNINGS: n"; ``seconds`` as the node's clock counts them."""

    upid: str
    status: str
    seconds: float
    log: tuple[str, ...]

    @property
    def warned(self) -> bool:
        """Whether it ended with warnings."""
        return self.status != "OK"


def node_of(upid: str) -> str:
    """The node of a UPID (``UPID:NODE:PID:PSTART:STARTTIME:TYPE:ID:USER:``). ValueError for anything else."""
    parts = upid.split(":")
    if len(parts) != 9 or parts[0] != "UPID" or not parts[1]:  # noqa: PLR2004 - the fields above
        raise ValueError(f"{upid!r} is not a UPID")
    return parts[1]


def task_path(upid: str) -> str:
    """The API path of a task."""
    return f"/nodes/{node_of(upid)}/tasks/{upid}"


def read_log(reads: Reads, upid: str) -> tuple[str, ...]:
    """Every line of a task's log."""
    path = f"{task_path(upid)}/log"
    lines = [str(line["t"]) for line in reads.get(path, limit=0)]
    page = len(lines)
    while page in {_OLD_DEFAULT, _PAGE} and not lines[-1].startswith("TASK "):
        more = [str(line["t"]) for line in reads.get(path, start=len(lines), limit=_PAGE)]
        page = len(more)
        lines += more
    return tuple(lines)


def wait_for(
    reads: Reads, upid: str, *, timeout: float, tick: Callable[[Mapping[str, Any], float], None] | None = None
) -> TaskResult:
    """Wait for a task's end. ``tick`` gets each status seen and the seconds waited.

    TaskFailed when it ends otherwise than OK or with warnings, and when it has not ended within ``timeout`` seconds.
    A connection that breaks meanwhile is tried again until the time is over: a task does not end with it.
    """
    path = f"{task_path(upid)}/status"

    def look() -> Mapping[str, Any]:
        try:
            status: Mapping[str, Any] = reads.get(path)
        except ConnectionFailed as problem:
            return {"status": "unknown", "problem": problem.what}
        except ApiError as problem:
            if problem.status < FIRST_PROXY_FAILURE:
                raise
            return {"status": "unknown", "problem": problem.what}
        return status

    try:
        final = until(
            look,
            ready=lambda status: status["status"] == "stopped",
            timeout=timeout,
            what=f"end of task {upid}",
            longest_pause=_LONGEST_PAUSE,
            tick=tick,
        )
    except NotReady as problem:
        raise TaskFailed(str(problem), upid=upid, log_tail=_tail(reads, upid)) from None
    return _judged(reads, upid, final)


def _judged(reads: Reads, upid: str, final: Mapping[str, Any]) -> TaskResult:
    status = str(final.get("exitstatus", "unexpected status"))
    if status != "OK" and not status.startswith("WARNINGS"):
        tail = _tail(reads, upid)
        shown = "".join(f"\n  | {line}" for line in tail)
        raise TaskFailed(f"task {upid} ended with: {status}{shown}", upid=upid, log_tail=tail)
    log = read_log(reads, upid)
    seconds = float(final.get("endtime") or 0) - float(final.get("starttime") or 0)
    return TaskResult(upid, status, max(seconds, 0.0), log)


def _tail(reads: Reads, upid: str) -> tuple[str, ...]:
    try:
        return read_log(reads, upid)[-TAIL:]
    except OperatorError as problem:
        return (f"(its log could not be read: {problem.what})",)
