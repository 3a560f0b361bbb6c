"""How fast drills are against the lab's control plane in memory, with a delay for each restore and boot.

    python benchmarks/drill.py
    python benchmarks/drill.py --restore 10 --boot 15

One drill against the same calls made raw (recorded, then sent again in their order, a task asked for every 20 ms);
four drills with ``pytest drills -n 4`` against the longer of all restores together and the slowest drill, and against
the raw calls one guest after another with a look every second. Prints Markdown; nothing here asserts on a time.
"""

from __future__ import annotations

import argparse
import datetime as dt
import json
import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

import paramiko  # noqa: E402 - the project need not be installed
import requests  # noqa: E402

from backup_standard.collect import collect  # noqa: E402
from backup_standard.drill import assembly  # noqa: E402
from backup_standard.drill.engine import STEPS, TEARDOWN, Drill  # noqa: E402
from backup_standard.drill.plan import plan_drills  # noqa: E402
from backup_standard.inventory.loader import load  # noqa: E402
from lab.pve.dispatch import Answer, Request, answer  # noqa: E402
from lab.pve.site import Site  # noqa: E402
from lab.waiting import pause  # noqa: E402
from tests import labsite  # noqa: E402
from tests.drillground import NOON, write_inventory  # noqa: E402

GUESTS = {100: 101, 200: 201, 210: 211, 220: 221}
RAW_LOOK, NAIVE_LOOK = 0.02, 1.0
"""Seconds between two looks at a task or a booting guest."""


@dataclass
class Bench:
    """A site with delays, and what was asked of it."""

    lab: labsite.LabSite
    file: Path
    asked: list[tuple[str, Any]] = field(default_factory=list)

    def slow_down(self, restore: float, boot: float) -> None:
        """Let every restore and every boot of a copy take its time."""
        extract = self.lab.hypervisor.extract_archive

        def slowly(path: str, volids: Any, progress: Any) -> Any:
            pause(restore)
            return extract(path, volids, progress)

        self.lab.hypervisor.extract_archive = slowly  # type: ignore[method-assign]
        self.lab.hypervisor.faults.boot_seconds.update(dict.fromkeys(GUESTS.values(), boot))

    def listen(self) -> None:
        """Record requests with the drill's token, and commands on the node."""
        run = self.lab.ssh._run  # noqa: SLF001 - the lab has no other ear

        def answered(site: Site, request: Request) -> Answer:
            if "drill@" in request.authorization:
                self.asked.append(("api", request))
            return answer(site, request)

        def ran(channel: paramiko.Channel, account: str, line: str) -> None:
            self.asked.append(("node", line))
            run(channel, account, line)

        self.lab.server.answer = answered
        self.lab.ssh._run = ran  # type: ignore[method-assign]  # noqa: SLF001


@contextmanager
def site(restore: float, boot: float) -> Iterator[Bench]:
    """A site in memory; ends with the block."""
    with tempfile.TemporaryDirectory() as folder:
        os.environ["XDG_STATE_HOME"] = folder
        with labsite.running(Path(folder) / "backup-standard-lab", now=NOON) as lab:
            file = write_inventory(Path(folder) / "lab.yaml", lab)
            file.write_text(file.read_text().replace("boot_timeout: 10s", "boot_timeout: 300s"))
            bench = Bench(lab, file)
            bench.slow_down(restore, boot)
            bench.listen()
            yield bench


def one_drill(bench: Bench, vmid: int) -> float:
    """Seconds of a drill by the engine alone."""
    inventory = load(bench.file).inventory
    facts = collect(inventory, progress=lambda _text: None)
    plan = plan_drills(inventory, facts).of(vmid)
    tools = assembly.tools(
        inventory, facts, node=plan.node, folder=bench.file.parent / f"r/run-{vmid}", run=f"run-{vmid}",
        listener=lambda _event: None,
    )  # fmt: skip
    bench.asked.clear()
    started = time.monotonic()
    with Drill(plan, tools) as drill:
        for step in (*STEPS, TEARDOWN):
            done = drill.step(step)
            if not done.ok:
                raise SystemExit(f"the drill itself fails at {step}: {done.message}")
    seconds = time.monotonic() - started
    tools.close()
    return seconds


class Raw:
    """Sends recorded calls again, in their order: what a script would do that knows nothing but the calls."""

    def __init__(self, bench: Bench, look: float) -> None:
        self.bench, self.look, self.new = bench, look, dict[str, str]()
        self.session = requests.Session()
        self.session.trust_env = False
        self.session.verify = str(bench.lab.ca)
        self.node = paramiko.SSHClient()
        self.node.load_host_keys(str(bench.lab.folder / "known_hosts"))
        key = str(bench.lab.folder / "id_ed25519")
        self.node.connect("127.0.0.1", bench.lab.ssh.port, "root", key_filename=key, look_for_keys=False)

    def run(self, asked: list[tuple[str, Any]]) -> float:
        """Seconds for the calls of one drill; repeated looks, logins and the picture are left out."""
        started, last = time.monotonic(), ""
        for kind, what in _once(asked):
            text = what if kind == "node" else f"{what.method} {what.path}"
            if kind == "node" and "socat" not in what:
                self._command(what)
            elif kind == "api" and not (text == last and "/status" in text) and "vncproxy" not in text:
                self._request(what)
            last = text
        return time.monotonic() - started

    def _command(self, line: str) -> None:
        _in, out, _err = self.node.exec_command(line)
        out.channel.recv_exit_status()

    def _request(self, request: Request) -> None:
        path = self._today(request.path)
        where = "data" if request.method in {"POST", "PUT"} else "params"
        params = {key: self._today(value) if isinstance(value, str) else value for key, value in request.params.items()}
        while True:
            got = self.session.request(
                request.method, self.bench.lab.server.url + path, timeout=60,
                headers={"Authorization": request.authorization}, **{where: params},
            )  # fmt: skip
            data = got.json().get("data") if got.content else None
            waits = isinstance(data, dict) and "/tasks/" in path and data.get("status") == "running"
            if not waits and not (path.endswith("/agent/ping") and not got.ok):
                break
            pause(self.look)
        if isinstance(data, str) and data.startswith("UPID:"):
            self.new[data.split(":")[5] + data.split(":")[6]] = data
        if isinstance(data, dict) and "pid" in data and path.endswith("/exec"):
            self.new["pid"] = str(data["pid"])

    def _today(self, text: str) -> str:
        """A UPID of the recording becomes that of this time."""
        found = re.search(r"UPID(?:%3A|:)[^/]+", text)
        if not found:
            return text
        parts = found[0].replace("%3A", ":").split(":")
        return text.replace(found[0], self.new.get(parts[5] + parts[6], found[0]))


def _once(asked: list[tuple[str, Any]]) -> list[tuple[str, Any]]:
    """Without the pings that no agent answered yet, and the look at the guest before each of them."""
    pings = [place for place, (kind, what) in enumerate(asked) if kind == "api" and what.path.endswith("/agent/ping")]
    vain = {place - step for place in pings[:-1] for step in (0, 1)}
    return [one for place, one in enumerate(asked) if place not in vain]


def four_drills(bench: Bench) -> tuple[float, float, float, float]:
    """``pytest drills -n 4``: its wall seconds, those of the drills alone, the sum of restores, the slowest drill."""
    command = [sys.executable, "-m", "pytest", "drills", f"--inventory={bench.file}", "-n", "4", "-q",
               f"--run-dir={bench.file.parent / 'runs'}", "-p", "no:cacheprovider",
               "-k", " or ".join(map(str, GUESTS))]  # fmt: skip
    started = time.monotonic()
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    wall = time.monotonic() - started
    if done.returncode:
        raise SystemExit(done.stdout[-3000:])
    (lines,) = (bench.file.parent / "runs").glob("*/*/drills.jsonl")
    records = [json.loads(line) for line in lines.read_text().splitlines()]
    phases = [{phase["name"]: phase["seconds"] for phase in record["phases"]} for record in records]
    times = [[dt.datetime.fromisoformat(record[key]) for record in records] for key in ("started", "finished")]
    drills = (max(times[1]) - min(times[0])).total_seconds()
    return wall, drills, sum(one["restore"] for one in phases), max(sum(one.values()) for one in phases)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--restore", type=float, default=5.0, help="seconds of a restore (default: %(default)s)")
    parser.add_argument("--boot", type=float, default=10.0, help="seconds of a boot (default: %(default)s)")
    options = parser.parse_args()
    with site(options.restore, options.boot) as bench:
        drill = one_drill(bench, 210)
        asked = list(bench.asked)
        raw = Raw(bench, RAW_LOOK).run(asked)
        naive = Raw(bench, NAIVE_LOOK).run(asked) * len(GUESTS)
    with site(options.restore, options.boot) as bench:
        wall, drills, restores, slowest = four_drills(bench)
    bound = max(restores, slowest)
    print("| what | s | against | s | ratio |\n|---|---|---|---|---|")
    for what, seconds, against, other in (
        ("one drill", drill, "the same calls, raw", raw),
        ("four drills, -n 4", drills, "the longer of all restores and the slowest drill", bound),
        ("the same with pytest's start and reading", wall, "the same", bound),
        ("the same with pytest's start and reading", wall, "raw, one after another, a look every second", naive),
    ):
        print(f"| {what} | {seconds:.1f} | {against} | {other:.1f} | {seconds / other:.2f} |")


if __name__ == "__main__":
    main()
