"""The lab's API without a network: requests go straight to its control plane, and a test may bend the answers.

with wire.to(monkeypatch, lab) as line:
    line.bend = lambda asked, answer: answer._replace(body=b"<html>")
"""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple
from urllib.parse import parse_qs, urlsplit

import pytest
import requests
from requests.adapters import HTTPAdapter
from urllib3.exceptions import ProtocolError

from backup_standard.pve import client
from lab.pve.dispatch import Request, answer
from lab.pve.server import BASE
from lab.pve.site import Site


class Asked(NamedTuple):
    """A request: its path, and the route in the API's schema that it belongs to, as ``GET /nodes/{node}/status``."""

    route: str
    path: str
    params: Mapping[str, Any]


class Answered(NamedTuple):
    """An answer as it goes over the wire."""

    status: int
    reason: str
    body: bytes


@dataclass
class Line:
    """The way from the client to a site; ``bend`` changes answers or raises what requests would."""

    site: Site
    bend: Callable[[Asked, Answered], Answered] = lambda _asked, answered: answered
    asked: list[Asked] = field(default_factory=list)
    _told: dict[str, Answered] = field(default_factory=dict)

    def _answer(self, method: str, asked: Asked, authorization: str) -> Answered:
        """What the site says; to the same question always what it said first."""
        key = f"{method} {asked.path} {sorted(asked.params.items())}"
        if key not in self._told:
            told = answer(self.site, Request(method, asked.path, dict(asked.params), authorization=authorization))
            body = b"" if told.body is None else json.dumps(told.body).encode()
            self._told[key] = Answered(told.status, told.reason, body)
        return self._told[key]

    def send(self, request: requests.PreparedRequest) -> requests.Response:
        url = urlsplit(str(request.url))
        path = url.path.removeprefix(BASE)
        params = {name: values[-1] for name, values in parse_qs(url.query, keep_blank_values=True).items()}
        found = self.site.schema.find(str(request.method), path)
        asked = Asked(found[0].key if found else path, path, params)
        self.asked.append(asked)
        bent = self.bend(asked, self._answer(str(request.method), asked, request.headers["Authorization"]))
        response = requests.Response()
        response.status_code, response.reason, response.url = bent.status, bent.reason, str(request.url)
        response.raw, response.request = io.BytesIO(bent.body), request
        return response


def to(monkeypatch: pytest.MonkeyPatch, site: Site) -> Line:
    """Lead every client that is made from now on to that site."""
    line = Line(site)

    class Adapter(HTTPAdapter):
        def __init__(self, _endpoint: object) -> None:
            super().__init__()

        def send(self, request: requests.PreparedRequest, *_: Any, **__: Any) -> requests.Response:
            return line.send(request)

    monkeypatch.setattr(client, "TrustingAdapter", Adapter)
    return line


def reset() -> Exception:
    """What requests raises when the other side drops the connection."""
    return requests.ConnectionError(ProtocolError("Connection aborted.", ConnectionResetError(104, "reset by peer")))
