"""A site of made-up answers, for what the lab has not: several nodes, nodes that are off, old releases."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from backup_standard.collect.reader import Reader
from backup_standard.errors import ApiError
from backup_standard.inventory.schema import Inventory, Token
from backup_standard.pve.refusals import grant
from backup_standard.pve.tasks import read_log

TOKEN = Token(id="audit@pve!suite", secret="env:X")
ALL = {"/": {"VM.Audit": 1, "Datastore.Audit": 1, "Sys.Audit": 1}}
Route = Any | Callable[[dict[str, Any]], Any]


class StubPve:
    """Answers paths from a table; a callable gets the parameters, an exception is raised."""

    def __init__(self, routes: dict[str, Route]) -> None:
        self.routes, self.asked, self.token = routes, [], TOKEN

    def get(self, path: str, /, **params: Any) -> Any:
        self.asked.append((path, params))
        if path not in self.routes:
            raise ApiError(f"no answer prepared for {path}", status=501)
        answer = self.routes[path]
        answer = answer(params) if callable(answer) else answer
        if isinstance(answer, Exception):
            raise answer
        return answer

    def again(self) -> StubPve:
        return self

    def log(self, upid: str) -> tuple[str, ...]:
        return read_log(self, upid)

    def grant(self, privilege: str, path: str) -> str:
        return grant(privilege, path, self.token.id)

    def close(self) -> None:
        self.routes = {}


def reader(routes: dict[str, Route]) -> Reader:
    return Reader(StubPve(routes))


def permissions(params: dict[str, Any]) -> dict[str, Any]:
    """The rights of a token that may audit everything."""
    return {params["path"]: ALL["/"]} if "path" in params else ALL


def node(name: str, zone: str = "Europe/Berlin") -> dict[str, Route]:
    return {
        f"/nodes/{name}/status": {
            "pveversion": "pve-manager/9.2.11/f6997e698c7933ea",
            "current-kernel": {"release": "6.18.44-pve"},
        },
        f"/nodes/{name}/time": lambda _params: {"timezone": zone, "time": int(time.time())},
        f"/nodes/{name}/storage": [],
        f"/nodes/{name}/tasks": [],
        f"/nodes/{name}/syslog": [],
        f"/nodes/{name}/vzdump/defaults": {"storage": "local", "compress": "0"},
    }


def site(*names: str, **more: Route) -> dict[str, Route]:
    """A site with these nodes, online and empty."""
    routes: dict[str, Route] = {
        "/version": {"release": "9.2"},
        "/nodes": [{"node": name, "status": "online"} for name in names],
        "/access/permissions": permissions,
        "/cluster/resources": [],
        "/cluster/backup": [],
        "/storage": [],
        "/cluster/nextid": lambda params: str(params["vmid"]),
    }
    for name in names:
        routes |= node(name)
    return routes | more


def inventory(**changes: Any) -> Inventory:
    return Inventory.model_validate(
        {
            "client": "x",
            "site": {"name": "x", "timezone": "Europe/Berlin"},
            "api": {"url": "https://x:8006", "audit_token": TOKEN},
            "policy": {"storage": "backup-hdd"},
            "guests": {},
            **changes,
        }
    )
