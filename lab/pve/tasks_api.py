"""Routes of tasks: list, status, log, stop (upstream: PVE/API2/Tasks.pm)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from lab.pve.call import Call, param_error
from lab.pve.formats import split_list
from lab.pve.tasks import UPID, Task

DEFAULT_LINES = 50


def owns(call: Call, task: Task) -> bool:
    """A token sees what it started itself; a user also what its tokens started."""
    return call.user in {task.user, task.userid}


def list_tasks(call: Call) -> object:
    """GET /nodes/{node}/tasks. ``total`` counts what matched, before start and limit."""
    params = call.params
    source = params.get("source", "archive")
    found = [task for task in call.site.tasks.all() if _wanted_source(task, source) and _matches(call, task)]
    call.total = len(found) or None
    start, limit = params.get("start", 0), params.get("limit", 50)
    return [entry(task) for task in found[start : start + limit]]


def _wanted_source(task: Task, source: str) -> bool:
    return source == "all" or (task.endtime is None) == (source == "active")


def _matches(call: Call, task: Task) -> bool:
    params = call.params
    if not (call.check(f"/nodes/{params['node']}", "Sys.Audit", noerr=True) or owns(call, task)):
        return False
    tests: dict[str, Callable[[Any], bool]] = {
        "userfilter": lambda value: value.lower() in task.userid.lower(),
        "typefilter": lambda value: value == task.type,
        "vmid": lambda value: str(value) == task.id,
        "since": lambda value: task.starttime >= value,
        "until": lambda value: task.starttime <= value,
        "errors": lambda value: not value or task.endtime is None or task.verdict != "ok",
        "statusfilter": lambda value: task.endtime is not None and task.verdict in split_list(value),
    }
    return all(test(params[name]) for name, test in tests.items() if name in params)


def entry(task: Task) -> dict[str, Any]:
    """One task of a list; running ones look different from finished ones, as recorded."""
    shown = _identity(task)
    if task.endtime is None:
        return {**shown, "user": task.user, "status": "RUNNING", "saved": "0"}
    return {**shown, **_user(task), "endtime": task.endtime, "status": task.status}


def _identity(task: Task) -> dict[str, Any]:
    return {
        "upid": task.upid,
        "node": task.node,
        "pid": task.pid,
        "pstart": task.pstart,
        "starttime": task.starttime,
        "type": task.type,
        "id": task.id,
    }


def _user(task: Task) -> dict[str, str]:
    return {"user": task.userid, **({"tokenid": task.tokenid} if task.tokenid else {})}


def _parse(call: Call) -> str:
    upid: str = call.params["upid"]
    if not UPID.fullmatch(upid):
        param_error("upid", "unable to parse worker upid")
    return upid


def _find(call: Call) -> Task:
    upid = _parse(call)
    task = call.site.tasks.get(upid)
    if task is None:
        param_error("upid", "no such task")
    return task


def status(call: Call) -> object:
    """GET /nodes/{node}/tasks/{upid}/status."""
    task = _find(call)
    if not owns(call, task):
        call.check(f"/nodes/{call.params['node']}", "Sys.Audit")
    shown = {**_identity(task), **_user(task)}
    if task.endtime is None:
        return {**shown, "status": "running"}
    return {**shown, "status": "stopped", "exitstatus": task.status}


def log(call: Call) -> object:
    """GET /nodes/{node}/tasks/{upid}/log: 50 lines by default, all with limit=0; an unknown task is one line."""
    found = UPID.fullmatch(_parse(call))
    task = call.site.tasks.get(call.params["upid"])
    owner = found["user"] if found else ""
    if call.user not in {owner, owner.partition("!")[0]}:
        call.check(f"/nodes/{call.params['node']}", "Sys.Audit")
    if task is None:
        call.total = 1
        return [{"n": 1, "t": "unable to open file - No such file or directory"}]
    return page(call, list(task.log))


def page(call: Call, lines: list[str]) -> list[dict[str, Any]]:
    """A part of a log as numbered lines (upstream: PVE/Tools.pm dump_logfile)."""
    start, limit = call.params.get("start", 0), call.params.get("limit", DEFAULT_LINES)
    call.total = len(lines) or 1
    if not lines:
        return [{"n": 1, "t": "no content"}]
    end = start + limit if limit else len(lines)
    return [{"n": number, "t": text} for number, text in enumerate(lines[start:end], start + 1)]


def stop(call: Call) -> object:
    """DELETE /nodes/{node}/tasks/{upid}: stop it and wait for its end, five seconds at most."""
    task = _find(call)
    if not owns(call, task):
        call.check(f"/nodes/{call.params['node']}", "Sys.Modify")
    call.site.tasks.stop(task.upid)
    task.finished.wait(5)
    return None
