"""How fast an audit is against the lab's control plane, with a delay added to every answer; prints a table in Markdown.

    python benchmarks/audit.py                     # 1, 50 and 500 guests on 1 and 5 nodes, 20 ms
    python benchmarks/audit.py --sites 50x5 --delay 0.02

For each site: the calls and the wall time of the reading alone, that time against the critical path of its own calls,
then the whole ``pytest --inventory`` (reading, rules, report), with its peak memory, alone and with ``-n 2``. The site
runs in a process of its own; nothing here asserts on a time.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import mean
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from backup_standard.collect import collect  # noqa: E402 - the project need not be installed
from backup_standard.collect.reader import CONNECTIONS  # noqa: E402
from backup_standard.inventory.loader import parse  # noqa: E402
from backup_standard.inventory.schema import Inventory  # noqa: E402
from lab import certificates  # noqa: E402
from lab.manysite import Shape, build  # noqa: E402
from lab.pve.dispatch import Answer, Request, answer  # noqa: E402
from lab.pve.seed_access import Secrets  # noqa: E402
from lab.pve.server import TlsFiles, serve  # noqa: E402
from lab.pve.site import Site  # noqa: E402
from lab.waiting import pause  # noqa: E402

SITES = ("1x1", "50x1", "500x1", "1x5", "50x5", "500x5")
SECRETS = Secrets("a" * 32, "b" * 32, "c" * 8)
CHAIN = ("GET /version", "GET /nodes", "GET /nodes/{node}/status", "GET /nodes/{node}/time")
"""Calls that wait for each other before the planned runs can be asked for, which then wait for each other as well."""


def main() -> None:
    """Measure every site that is asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sites", nargs="*", default=SITES, metavar="GUESTSxNODES")
    parser.add_argument(
        "--delay", type=float, default=0.02, help="seconds added to every answer (default: %(default)s)"
    )
    parser.add_argument("--reading", action="store_true", help="measure the reading alone, without runs of pytest")
    parser.add_argument("--serve", metavar="FOLDER", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.serve:
        serve_site(options.sites[0], options.delay, Path(options.serve))
        return
    heads = ["guests", "nodes", "calls", "per guest", "reading s", "critical path s", "ratio"]
    heads += [f"{run} {what}" for run in ("pytest", "-n 2") for what in ("s", "CPU s", "MB")]
    print("| " + " | ".join(heads) + " |")
    print("|---" * len(heads) + "|")
    for shape in options.sites:
        print(measured(shape, options.delay, reading_alone=options.reading), flush=True)


# --- the site, in a process of its own ----------------------------------------------------------------------------


def serve_site(text: str, delay: float, folder: Path) -> None:
    """Serve a site until the standard input ends; each line there is answered with what was asked since the last."""
    site = build(shaped(text), SECRETS)
    certificates.make(folder / "ca.pem", folder / "api.pem", folder / "api.key")
    (folder / "token").write_text(SECRETS.audit_token)
    took: list[tuple[str, float]] = []
    lock = threading.Lock()

    def slowly(asked: Site, request: Request) -> Answer:
        began = time.perf_counter()
        pause(delay)
        told = answer(asked, request)
        found = site.schema.find(request.method, request.path)
        with lock:
            took.append((found[0].key if found else request.path, time.perf_counter() - began))
        return told

    with serve(site, tls=TlsFiles(folder / "api.pem", folder / "api.key")) as server:
        server.answer = slowly
        print(server.port, flush=True)
        for _ in sys.stdin:
            print(json.dumps(took), flush=True)
            took.clear()


def shaped(text: str) -> Shape:
    """``50x5`` as fifty guests on five nodes."""
    guests, _, nodes = text.partition("x")
    return Shape(guests=int(guests), nodes=int(nodes))


@dataclass
class Served:
    """A site that is served, and the inventory that its operator would write: API alone, every guest mandatory."""

    process: subprocess.Popen[str]
    folder: Path
    shape: Shape
    port: int

    def took(self) -> list[tuple[str, float]]:
        """Route and seconds of each call since this was asked last."""
        assert self.process.stdin, self.process.stdout
        self.process.stdin.write("\n")
        self.process.stdin.flush()
        assert self.process.stdout
        found: list[tuple[str, float]] = json.loads(self.process.stdout.readline())
        return found

    def inventory(self) -> tuple[Path, Inventory]:
        """The file and what it says."""
        path = self.folder / "bench.yaml"
        lines = [
            "client: bench",
            "class: lab",
            "site: {name: bench, timezone: Europe/Berlin}",
            f'api: {{url: "https://127.0.0.1:{self.port}", ca: {self.folder}/ca.pem,',
            f'  audit_token: {{id: "audit@pve!suite", secret: "file:{self.folder}/token"}}}}',
            "policy: {storage: backup-hdd}",
            "not_deployed: {golden-template: none, docker-host: none, dns: none, monitoring: none}",
            "guests:",
            *(f"  {vmid}: {{role: client-data}}" for vmid in self.shape.vmids()),
        ]
        path.write_text("\n".join(lines))
        return path, parse(path.read_text(), path).inventory


@contextmanager
def served(text: str, delay: float) -> Iterator[Served]:
    """A site in a process of its own."""
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, __file__, "--serve", folder, "--delay", str(delay), "--sites", text]
        process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        assert process.stdout
        try:
            yield Served(process, Path(folder), shaped(text), int(process.stdout.readline()))
        finally:
            assert process.stdin
            process.stdin.close()
            process.wait(30)


# --- measuring ----------------------------------------------------------------------------------------------------


def measured(text: str, delay: float, *, reading_alone: bool = False) -> str:
    """One row of the table."""
    with served(text, delay) as site:
        path, inventory = site.inventory()
        site.took()
        began = time.perf_counter()
        collect(inventory)
        reading = time.perf_counter() - began
        calls = site.took()
        path_of_calls = critical_path(calls)
        alone, several = [() if reading_alone else whole(path, *options) for options in ((), ("-n", "2"))]
    shape = site.shape
    figures: list[Any] = [
        shape.guests, shape.nodes, len(calls), f"{len(calls) / shape.guests:.1f}",
        f"{reading:.2f}", f"{path_of_calls:.2f}",
        f"{reading / path_of_calls:.2f}", *alone, *several,
    ]  # fmt: skip
    return "| " + " | ".join(map(str, figures)) + " |"


def critical_path(calls: list[tuple[str, float]]) -> float:
    """Seconds below which these calls cannot be done: those that wait for each other, or all over few connections."""
    took = defaultdict(list)
    for route, seconds in calls:
        took[route].append(seconds)
    chain = sum(mean(took[route]) for route in CHAIN) + sum(took["GET /cluster/jobs/schedule-analyze"])
    return max(chain, sum(seconds for _, seconds in calls) / CONNECTIONS)


def whole(inventory: Path, *options: str) -> tuple[str, str, str]:
    """A whole run of pytest: seconds, seconds of processor time, and the megabytes of its largest process."""
    runs = inventory.parent / "runs"
    command = [sys.executable, "-m", "pytest", "-q", f"--inventory={inventory}", f"--run-dir={runs}", *options]
    began = time.perf_counter()
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    _, _, usage = os.wait4(process.pid, 0)
    process.returncode = 0  # it has been waited for
    processor = usage.ru_utime + usage.ru_stime
    return f"{time.perf_counter() - began:.1f}", f"{processor:.1f}", f"{usage.ru_maxrss / 1024:.0f}"


if __name__ == "__main__":
    main()
