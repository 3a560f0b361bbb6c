"""Backup tasks of the last nights, and the logs of those that scheduled runs may have been."""

from __future__ import annotations

import datetime as dt
from collections import defaultdict
from collections.abc import Mapping
from typing import Any

from backup_standard.collect import shapes
from backup_standard.collect.reader import Reader
from backup_standard.collect.rights import Completeness
from backup_standard.collect.shapeless import upid
from backup_standard.model import BackupJob, Gap, Node, Task

Json = Mapping[str, Any]
NIGHTS = 16
_FAILED_LOGS = 200
"""Logs read of tasks that did not end well, at most, newest first."""
_PAGE = 500
_PAGES = 40
_LOGS_EACH = 3
"""Logs read of each guest (or, for tasks of several guests, of each such job): the last scheduled run is among them."""


def look_back(moment: dt.datetime) -> int:
    """The beginning (epoch seconds) of the window that tasks and journal are looked at in."""
    return int((moment - dt.timedelta(days=NIGHTS)).timestamp())


def read_tasks(
    reader: Reader,
    nodes: Mapping[str, Node | Gap],
    complete: Completeness,
    moment: dt.datetime,
    jobs: Mapping[str, BackupJob] | Gap,
) -> dict[str, tuple[Task, ...] | Gap]:
    """The vzdump tasks of each node, newest first. A node whose list may be filtered is a gap."""
    since = look_back(moment)
    several = 1 if isinstance(jobs, Gap) else max(1, sum(len(job.includes) != 1 for job in jobs.values()))

    def listed(name: str) -> list[Json] | Gap:
        node, fact = nodes[name], f"the tasks of node {name}"
        if isinstance(node, Node) and not node.online:
            return Gap(fact, f"node {name} is offline", f"node {name} online")
        hidden = complete.tasks.get(name)
        if hidden is not None:
            return hidden
        return reader.attempt(fact, lambda: _listed(reader, name, since))

    lists = dict(zip(nodes, reader.each(listed, nodes), strict=True))
    wanted = [upid for one in lists.values() if not isinstance(one, Gap) for upid in _worth_reading(one, several)]
    logs = dict(zip(wanted, reader.each(lambda upid: _log(reader, upid), wanted), strict=True))
    return {
        name: one if isinstance(one, Gap) else tuple(shapes.task(raw, logs.get(str(raw["upid"]))) for raw in one)
        for name, one in lists.items()
    }


def _log(reader: Reader, upid: str) -> tuple[str, ...] | Gap:
    def read() -> tuple[str, ...]:
        lines = reader.log(upid)
        if not lines:  # an empty log is told in one line (upstream: PVE/Tools.pm dump_logfile)
            raise ValueError("it has no line")
        return lines

    return reader.attempt(f"the log of task {upid}", read)


def _listed(reader: Reader, node: str, since: int) -> list[Json]:
    """Every task since then, running ones too, newest first (upstream: a page holds 50 unless told otherwise).

    Each was tried in the shape of a task. ValueError where the list has no end.
    """
    listed: dict[str, Json] = {}
    for page in range(_PAGES):
        answer = reader.rows(
            f"/nodes/{node}/tasks", typefilter="vzdump", source="all", since=since, start=page * _PAGE, limit=_PAGE
        )
        listed |= {upid(raw["upid"]): raw for raw in answer}
        if len(answer) < _PAGE:
            return sorted(listed.values(), key=lambda raw: shapes.task(raw, None).starttime, reverse=True)
    raise ValueError(f"the list of tasks has no end after {_PAGES} pages of {_PAGE}")


def _worth_reading(listed: list[Json], several: int) -> list[str]:
    """Those that did not end well, and the newest few of each guest that the scheduler may have started.

    The scheduler is root@pam without a token (upstream).
    """
    taken: dict[str, int] = defaultdict(int)
    wanted = [str(raw["upid"]) for raw in listed if _went_wrong(raw)][:_FAILED_LOGS]
    for raw in listed:
        guest = str(raw.get("id", ""))
        if raw["user"] != "root@pam" or raw.get("tokenid"):
            continue
        if taken[guest] < (_LOGS_EACH if guest else _LOGS_EACH * several):
            taken[guest] += 1
            wanted.append(str(raw["upid"]))
    return list(dict.fromkeys(wanted))


def _went_wrong(raw: Json) -> bool:
    """Whether a task ended, and not with OK."""
    return bool(raw.get("endtime")) and str(raw.get("status", "")) not in {"OK", "RUNNING"}


CHANGING = frozenset(
    {"qmcreate", "qmrestore", "qmtemplate", "qmconfig", "qmmove", "move_volume", "resize", "qmrollback", "vzcreate",
     "vzrestore", "vztemplate", "vzrollback"}
)  # fmt: skip
"""Types of tasks after which a guest is another (upstream: PVE/API2/Qemu.pm, PVE/API2/LXC.pm)."""


def read_changes(reader: Reader, guests: Mapping[int, str]) -> dict[int, tuple[Task, ...] | Gap]:
    """The finished tasks that changed each guest (given with its node), newest first, as far as the node remembers."""

    def read(vmid: int) -> tuple[Task, ...] | Gap:
        path = f"/nodes/{guests[vmid]}/tasks"

        def ended() -> tuple[Task, ...]:
            answer = reader.rows(path, vmid=vmid, source="all", limit=_PAGE)
            return tuple(shapes.task(raw, None) for raw in answer if raw["type"] in CHANGING and raw.get("endtime"))

        return reader.attempt(f"the tasks of guest {vmid}", ended)

    return dict(zip(guests, reader.each(read, guests), strict=True))
