"""From an HTTP request to a handler and back: identity, route, privileges, parameters, in the order of the real thing.

Upstream: PVE/APIServer/AnyEvent.pm, PVE/HTTPServer.pm auth_handler, rest_handler. Nothing here knows a web framework.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar
from urllib.parse import unquote

from lab.hypervisor import HypervisorError
from lab.pve.call import ApiError, Call
from lab.pve.console import Stream
from lab.pve.privileges import check_permissions
from lab.pve.routes import ROUTES, WEBSOCKETS
from lab.pve.site import Site

logger = logging.getLogger(__name__)
T = TypeVar("T")
OPEN = {"GET /access/domains", "GET /access/ticket", "POST /access/ticket"}
"""Routes that need no proof of identity."""


@dataclass
class Request:
    """What of an HTTP request matters. ``path`` is below /api2/json; the credentials are raw."""

    method: str
    path: str
    params: dict[str, Any] = field(default_factory=dict)
    authorization: str = ""
    ticket: str = ""
    csrf: str = ""
    client: str = "127.0.0.1"


@dataclass
class Answer:
    """Status, reason phrase and JSON body (None: no body)."""

    status: int
    reason: str
    body: dict[str, Any] | None


def _refuse(reason: str) -> ApiError:
    return ApiError(401, reason, empty=True)


def authenticate(site: Site, request: Request) -> tuple[str, bool]:
    """The user and whether it came with a ticket; raises the 401 with empty body."""
    scheme, equals, token = request.authorization.partition("=")
    if equals and scheme == "PVEAPIToken":
        user = site.access.token_user(token)
        if user is None:
            raise _refuse("Authentication failed!")
        return user, False
    if not request.ticket:
        raise _refuse("No ticket")
    user = site.access.ticket_user(unquote(request.ticket))
    if user is None:
        raise _refuse("permission denied - invalid PVE ticket")
    if request.method != "GET" and not site.access.csrf_good(user, request.csrf):
        raise _refuse("Permission denied - invalid csrf token")
    return user, True


def make_call(site: Site, request: Request) -> Call:
    """Everything that comes before the handler."""
    open_route = f"{request.method} {request.path}" in OPEN
    user, ticket = ("", False) if open_route and not request.authorization else authenticate(site, request)
    found = site.schema.find(request.method, request.path)
    if found is None or (found[0].key not in ROUTES and found[0].key not in WEBSOCKETS):
        raise ApiError(501, f"Method '{request.method} {request.path}' not implemented")
    route, variables = found
    raw: dict[str, Any] = {name: unquote(value) for name, value in variables.items()}
    for name, value in request.params.items():
        if name in raw:
            raise ApiError.param({name: f"Duplicate parameter ({name}) found in URI and request."})
        raw[name] = value
    call = Call(site, user, request.method, request.path, raw, ticket, route.key, client=request.client)
    check_permissions(call, route.permissions)
    if "node" in variables:
        call.site = site.resolve_node(raw["node"])
    call.params = site.schema.check(route, raw)
    return call


def answer(site: Site, request: Request) -> Answer:
    """Answer one request; never raises."""
    return _guarded(site, request, lambda: _success(make_call(site, request)))


def open_stream(site: Site, request: Request) -> tuple[Call, Stream] | Answer:
    """The console behind a request for a websocket, or the refusal."""

    def find() -> tuple[Call, Stream]:
        call = make_call(site, request)
        if call.route not in WEBSOCKETS:
            raise ApiError(501, f"Method '{request.method} {request.path}' not implemented")
        return call, WEBSOCKETS[call.route](call)

    return _guarded(site, request, find)


def _success(call: Call) -> Answer:
    handler = ROUTES.get(call.route)
    if handler is None:
        raise ApiError(501, f"Method '{call.method} {call.path}' not implemented")
    body: dict[str, Any] = {"data": handler(call)}
    if call.total is not None:
        body["total"] = call.total
    if call.changes is not None:
        body["changes"] = call.changes
    return Answer(200, "OK", body)


def _guarded(site: Site, request: Request, work: Callable[[], T]) -> T | Answer:
    try:
        return work()
    except ApiError as error:
        return _failure(site, error)
    except HypervisorError as error:
        return _failure(site, ApiError(500, str(error)))
    except Exception as error:
        logger.exception("%s %s", request.method, request.path)
        return _failure(site, ApiError(500, f"{type(error).__name__}: {error}"))


def _failure(site: Site, error: ApiError) -> Answer:
    """The answer to an error; before 8.3 its text stands in the reason phrase alone (derived)."""
    if not error.reason.isascii():
        return Answer(596, "Broken pipe", None)
    if error.empty:
        return Answer(error.status, error.reason, None)
    body: dict[str, Any] = {"data": None}
    if site.major >= 8:
        body["message"] = error.text if error.text.endswith("\n") else error.text + "\n"
    if error.errors:
        body["errors"] = error.errors
    return Answer(error.status, error.reason, body)


def parse_json(text: str) -> Mapping[str, Any]:
    """A JSON request body: an object, or 400-less emptiness as the real thing treats anything else."""
    try:
        value = json.loads(text) if text.strip() else {}
    except ValueError:
        return {}
    return value if isinstance(value, dict) else {}
