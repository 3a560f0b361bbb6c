"""The service's own door: a unix socket through which ``python -m lab fault`` asks for a fault."""

from __future__ import annotations

import contextlib
import json
import socket
import threading
from pathlib import Path

from lab.hypervisor import AgentError, AgentSilent, HypervisorError
from lab.vm.errors import LabError
from lab.vm.faults import Faults

EXPECTED = (LabError, HypervisorError, AgentError, AgentSilent, OSError)


class Control:
    """Answers requests, one at a time, in a thread of its own."""

    def __init__(self, faults: Faults, path: Path) -> None:
        self._faults = faults
        self._server = socket.socket(socket.AF_UNIX)
        self._server.bind(str(path))
        path.chmod(0o600)
        self._server.listen(4)
        threading.Thread(target=self._serve, name="control", daemon=True).start()

    def _serve(self) -> None:
        while True:
            try:
                link, _ = self._server.accept()
            except OSError:
                return
            with link, contextlib.suppress(OSError):
                link.settimeout(10)
                request = json.loads(link.makefile("rb").readline() or b"{}")
                link.settimeout(180)
                link.sendall(json.dumps(self._answer(request)).encode() + b"\n")

    def _answer(self, request: dict[str, str]) -> dict[str, str]:
        try:
            vmid = request.get("vmid")
            return {"done": self._faults.cause(request.get("fault", ""), int(vmid) if vmid else None)}
        except EXPECTED as error:
            return {"error": str(error)}

    def close(self) -> None:
        """Answer no more."""
        self._server.close()


def ask(path: Path, fault: str, vmid: int | None) -> str:
    """Ask the running service for a fault; returns what it says. LabError when it could not be caused."""
    with socket.socket(socket.AF_UNIX) as link:
        link.settimeout(180)
        try:
            link.connect(str(path))
            link.sendall(json.dumps({"fault": fault, "vmid": vmid}).encode() + b"\n")
            answer = json.loads(link.makefile("rb").readline() or b'{"error": "no answer"}')
        except OSError as error:
            raise LabError(
                f"the lab does not answer on {path} ({error}); is it up? Try: python -m lab status"
            ) from error
    if "error" in answer:
        raise LabError(f"{fault}: {answer['error']}")
    return str(answer["done"])
