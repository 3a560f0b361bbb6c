"""Tasks: work that outlives its request, with a UPID, a log and an exit status (upstream: PVE/RESTEnvironment.pm)."""

from __future__ import annotations

import itertools
import logging
import re
import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from lab.hypervisor import HypervisorError
from lab.pve.call import ApiError, Call

if TYPE_CHECKING:
    from lab.pve.site import Site

logger = logging.getLogger(__name__)
UPID = re.compile(
    r"UPID:(?P<node>[a-zA-Z0-9]([a-zA-Z0-9-]*[a-zA-Z0-9])?):(?P<pid>[0-9A-Fa-f]{8}):(?P<pstart>[0-9A-Fa-f]{8,9})"
    r":(?P<starttime>[0-9A-Fa-f]{8}):(?P<type>[^:\s]+):(?P<id>[^:\s]*):(?P<user>[^:\s]+):",
)


class TaskError(Exception):
    """Ends a task with "TASK ERROR: text"."""


@dataclass
class Task:
    """One task, running or finished. ``endtime`` is None while it runs; times are seconds since the epoch."""

    upid: str
    node: str
    pid: int
    pstart: int
    starttime: int
    type: str
    id: str
    user: str
    endtime: int | None = None
    status: str = ""
    log: list[str] = field(default_factory=list)
    cancelled: threading.Event = field(default_factory=threading.Event, repr=False)
    finished: threading.Event = field(default_factory=threading.Event, repr=False)

    @property
    def userid(self) -> str:
        """The user without the token's name."""
        return self.user.partition("!")[0]

    @property
    def tokenid(self) -> str:
        """The token's name, or ''."""
        return self.user.partition("!")[2]

    @property
    def verdict(self) -> str:
        """The class of the exit status: ok, warning, error or unknown (upstream: upid_normalize_status_type)."""
        if self.status == "OK":
            return "ok"
        if re.fullmatch(r"WARNINGS: \d+", self.status):
            return "warning"
        return "unknown" if self.status == "unexpected status" else "error"


class TaskLog:
    """What a worker writes its log with; every line is also the point where a cancelled task stops."""

    def __init__(self, task: Task) -> None:
        """The log of one task."""
        self.task = task
        self.warnings = 0

    def __call__(self, line: str) -> None:
        """Add a line (or several); raises TaskError when the task was cancelled."""
        self.check()
        self.task.log.extend(line.split("\n"))

    def quiet(self, line: str) -> None:
        """Add a line even when the task was cancelled; for the last words of a clean-up."""
        self.task.log.extend(line.split("\n"))

    def warning(self, text: str) -> None:
        """Add a line that counts as a warning ("WARN: text"); the task then ends as "WARNINGS: n"."""
        self.warnings += 1
        self(f"WARN: {text}")

    def check(self) -> None:
        """Raise TaskError("interrupted by signal") when somebody stopped the task."""
        if self.task.cancelled.is_set():
            message = "interrupted by signal"
            raise TaskError(message)


Worker = Callable[[TaskLog], None]


class TaskStore:
    """All tasks of the node, oldest first."""

    def __init__(self, site: Site) -> None:
        """An empty store."""
        self.site = site
        self._tasks: dict[str, Task] = {}
        self._lock = threading.Lock()
        self._pids = itertools.count(1200)

    def start(self, call: Call | str, kind: str, ident: str | int, worker: Worker) -> str:
        """Run ``worker`` in a thread and return the UPID at once; ``call`` may be a user id ("root@pam")."""
        user, daemon = (call, "pvescheduler") if isinstance(call, str) else (call.user, "pvedaemon")
        task = self.make(user, kind, str(ident), self.site.now())
        self.adopt(task)
        threading.Thread(target=self._run, args=(task, worker, daemon), name=f"{kind}:{ident}", daemon=True).start()
        return task.upid

    def make(self, user: str, kind: str, ident: str, starttime: int) -> Task:
        """A task with a UPID of its own, not yet in the store."""
        pid = next(self._pids)
        pstart = max(1, starttime - 1_700_000_000) * 100 % 0xFFFFFFFF
        upid = f"UPID:{self.site.node}:{pid:08X}:{pstart:08X}:{starttime:08X}:{kind}:{ident}:{user}:"
        return Task(upid, self.site.node, pid, pstart, starttime, kind, ident, user)

    def add_history(
        self, user: str, kind: str, ident: str, *, span: tuple[int, int], status: str, log: Iterable[str]
    ) -> str:
        """Record a task of the past (``span``: start and end); the closing "TASK …" line is added here."""
        starttime, endtime = span
        task = self.make(user, kind, ident, starttime)
        task.log = [*log, closing_line(status)]
        task.endtime, task.status = endtime, status
        task.finished.set()
        self.adopt(task)
        return task.upid

    def adopt(self, task: Task) -> None:
        """Take in a task made elsewhere, such as one of the past."""
        with self._lock:
            self._tasks[task.upid] = task

    def get(self, upid: str) -> Task | None:
        """The task of a UPID."""
        with self._lock:
            return self._tasks.get(upid)

    def all(self) -> list[Task]:
        """All tasks, the latest start first."""
        with self._lock:
            tasks = sorted(self._tasks.values(), key=lambda task: task.starttime)
        return tasks[::-1]

    def wait(self, upid: str, timeout: float = 60.0) -> Task:
        """Wait for the end of a task (tests and the scheduler); TimeoutError when it does not come."""
        task = self._tasks[upid]
        if not task.finished.wait(timeout):
            message = f"{upid} still runs after {timeout:g} s"
            raise TimeoutError(message)
        return task

    def stop(self, upid: str) -> None:
        """Ask a running task to end."""
        if (task := self.get(upid)) is not None:
            task.cancelled.set()

    def _counts_warnings(self, task: Task) -> bool:
        """Whether warnings show in the exit status; a backup's did not before 8 (derived)."""
        return task.type != "vzdump" or self.site.major >= 8

    def _journal(self, daemon: str, line: str) -> None:
        try:
            self.site.hypervisor.node.journal(daemon, line)
        except (HypervisorError, OSError) as error:
            logger.warning("journal of the node: %s", error)

    def _run(self, task: Task, worker: Worker, daemon: str) -> None:
        log = TaskLog(task)
        self._journal(daemon, f"<{task.user}> starting task {task.upid}")
        try:
            worker(log)
            status = f"WARNINGS: {log.warnings}" if log.warnings and self._counts_warnings(task) else "OK"
        except (TaskError, HypervisorError) as error:
            status = str(error)
        except ApiError as error:
            status = f"{error.status} {error.text}" if error.status != 500 else error.text
        except Exception as error:
            logger.exception("task %s", task.upid)
            status = f"{type(error).__name__}: {error}"
        status = status.strip().replace("\n", " ") or "unexpected status"
        task.log.append(closing_line(status))
        task.status, task.endtime = status, max(self.site.now(), task.starttime)
        if daemon != "pvescheduler":  # its child is gone by then, so nobody writes the end
            self._journal(daemon, f"<{task.user}> end task {task.upid} {status}")
        task.finished.set()


def closing_line(status: str) -> str:
    """The last line of a task's log."""
    if status == "OK":
        return "TASK OK"
    return f"TASK {status}" if re.fullmatch(r"WARNINGS: \d+", status) else f"TASK ERROR: {status}"
