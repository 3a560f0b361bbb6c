"""Sends recorded requests to the lab over HTTPS, in their order, and hands the answers back in recorded names."""

from __future__ import annotations

import http.client
import json
import re
import ssl
import urllib.parse
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from lab.memory import MemoryHypervisor
from lab.pve.server import Server
from lab.pve.site import Site
from tests.contract.comparing import Got
from tests.contract.recorded_site import StillNode
from tests.contract.recorded_state import SECRETS
from tests.contract.recordings import Recorded
from tests.contract.scenes import Scene

TASK_LIMIT = 20.0
"""Seconds after which a task of the lab counts as stuck."""


def _ended(log: list[dict[str, Any]]) -> bool:
    return bool(log) and str(log[-1]["t"]).startswith("TASK ")


@dataclass
class Replay:
    """One recording against one site. ``names``: recorded text → what it is called here; ``pids``: likewise."""

    scene: Scene
    site: Site
    hypervisor: MemoryHypervisor
    server: Server
    trust: ssl.SSLContext
    names: dict[str, str] = field(default_factory=dict)
    pids: dict[int, int] = field(default_factory=dict)
    tokens: dict[str, str] = field(default_factory=dict)
    _connection: http.client.HTTPSConnection | None = None

    def run(self, records: tuple[Recorded, ...]) -> Iterator[tuple[Recorded, Got]]:
        """Every record and the lab's answer to it."""
        seen: set[str] = set()
        self.names |= self.scene.aliases
        for record in records:
            if record.name not in seen and (event := self.scene.events.get(record.name)):
                event(self)
            seen.add(record.name)
            self._set_clock(record)
            self._await(record)
            got = self.send(record)
            self._learn(record, got)
            yield record, got
        if self._connection:
            self._connection.close()

    def _set_clock(self, record: Recorded) -> None:
        if isinstance(record.data, str) and record.data.startswith("UPID:"):
            self.set_clock(int(record.data.split(":")[4], 16))

    def _await(self, record: Recorded) -> None:
        """Where the recording shows a task at its end, let it come to its end."""
        found = re.search(r"/tasks/(UPID:[^/]+)/(status|log)$", record.path)
        if found and found[1] in self.names and record.status == 200:
            ended = record.data["status"] == "stopped" if found[2] == "status" else _ended(record.data)
            if ended:
                self.wait(found[1])

    def set_clock(self, moment: int) -> None:
        """Put the node's clock on a moment (seconds since the epoch), never back."""
        node = self.hypervisor.node
        assert isinstance(node, StillNode)
        node.moment = max(node.moment, moment)

    def named(self, text: str) -> str:
        """A text with the names things have here."""
        for recorded, here in self.names.items():
            text = text.replace(recorded, here)
        return text

    def recorded(self, text: str) -> str:
        """A text with the names of the recording."""
        for recorded, here in self.names.items():
            text = text.replace(here, recorded)
        return text

    def send(self, record: Recorded) -> Got:
        """Send one request as it was recorded."""
        params = {key: self._param(key, value) for key, value in record.params.items()}
        path, body, headers = self.named(record.path), None, self._headers(record)
        if record.method in {"GET", "DELETE"} and params:
            path += f"?{urllib.parse.urlencode(params, doseq=True)}"
        elif record.body_kind == "json":
            body, headers["Content-Type"] = json.dumps(params), "application/json"
        elif params:
            body, headers["Content-Type"] = (
                urllib.parse.urlencode(params, doseq=True),
                "application/x-www-form-urlencoded",
            )
        return self._answer(record.method, f"/api2/json{path}", body, headers)

    def _param(self, key: str, value: Any) -> Any:
        if key == "pid":
            return self.pids.get(int(value), value)
        return self.named(value) if isinstance(value, str) else value

    def _headers(self, record: Recorded) -> dict[str, str]:
        if record.auth in SECRETS:
            return {"Authorization": f"PVEAPIToken={SECRETS[record.auth]}={SECRETS[record.auth]}"}
        if record.auth.startswith("raw:"):
            proof = record.auth.removeprefix("raw:")
            made = self.tokens.get(proof.partition("=")[2].partition("=")[0])
            return {"Authorization": f"{proof.rpartition('=')[0]}={made}" if made else proof}
        if record.auth != "ticket":
            return {}
        ticket = urllib.parse.quote(self.site.access.ticket("root@pam"), safe="")
        headers = {"Cookie": f"PVEAuthCookie={ticket}"}
        if "without csrf" not in record.name:
            headers["CSRFPreventionToken"] = self.site.access.csrf("root@pam")
        return headers

    def _answer(self, method: str, path: str, body: str | None, headers: dict[str, str]) -> Got:
        if self._connection is None:
            self._connection = http.client.HTTPSConnection(
                self.server.host, self.server.port, timeout=30, context=self.trust
            )
        self._connection.request(method, path, body, headers)
        response = self._connection.getresponse()
        text = self.recorded(response.read().decode())
        if response.will_close:
            self._connection.close()
        return Got(response.status, response.reason, json.loads(text) if text else None)

    def _learn(self, record: Recorded, got: Got) -> None:
        """Note what things are called here, and wait for the task that was started."""
        if got.status != 200 or not isinstance(got.body, dict):
            return
        was, now = record.data, got.body.get("data")
        if isinstance(was, str) and was.startswith("UPID:") and isinstance(now, str) and now.startswith("UPID:"):
            self.names[was] = now
            if record.name not in self.scene.unawaited:
                self.site.tasks.wait(now, TASK_LIMIT)
        elif isinstance(was, dict) and isinstance(now, dict):
            if "pid" in was and "pid" in now and "/agent/exec" in record.path:
                self.pids[was["pid"]] = now["pid"]
            if "full-tokenid" in was:
                self.tokens[now["full-tokenid"]] = now["value"]

    def wait(self, recorded_upid: str) -> None:
        """Wait for a task by its recorded name."""
        self.site.tasks.wait(self.names[recorded_upid], TASK_LIMIT)
