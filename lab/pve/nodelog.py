"""Routes of the node's log: syslog and journal (upstream: PVE/Tools.pm dump_journal, and mini-journalreader)."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime
from fnmatch import fnmatchcase

from lab.pve.call import Call
from lab.pve.nodes import run
from lab.pve.site import Site


def syslog(call: Call) -> object:
    """GET /nodes/{node}/syslog: numbered lines from ``start``, 50 by default; ``total`` counts all."""
    argv = ["journalctl", "--no-pager", "--output=short"]
    argv += [f"--{key}={call.params[key]}" for key in ("since", "until") if key in call.params]
    if "service" in call.params:
        argv.append(f"--unit={call.params['service']}")
    lines = run(call.site, *argv).splitlines()
    start, limit = call.params.get("start", 0), call.params.get("limit", 50)
    call.total = len(lines) or None
    end = start + limit if limit else len(lines)
    return [{"n": number, "t": text} for number, text in enumerate(lines[start:end], start + 1)]


def journal(call: Call) -> object:
    """GET /nodes/{node}/journal: plain lines between the cursors of the first and the last of them."""
    params = call.params
    argv = ["journalctl", "--no-pager", "--output=json"]
    argv += [f"--{key}=@{params[key]}" for key in ("since", "until") if key in params]
    if "unit" in params:
        argv.append(f"--unit={params['unit']}")
    if params.get("priority"):
        argv.append(f"--priority={params['priority']}")
    entries = [json.loads(line) for line in run(call.site, *argv).splitlines() if line.startswith("{")]
    if wanted := params.get("service"):
        entries = [entry for entry in entries if fnmatchcase(str(entry.get("SYSLOG_IDENTIFIER", "")), wanted)]
    if "lastentries" in params:
        entries = entries[-params["lastentries"] :] if params["lastentries"] else []
    if not entries:
        return []
    return [entries[0]["__CURSOR"], *(_line(call.site, entry) for entry in entries), entries[-1]["__CURSOR"]]


def _line(site: Site, entry: Mapping[str, object]) -> str:
    when = datetime.fromtimestamp(int(str(entry["__REALTIME_TIMESTAMP"])) / 1_000_000, site.zone)
    name = entry.get("SYSLOG_IDENTIFIER", "unknown")
    pid = f"[{entry['_PID']}]" if "_PID" in entry else ""
    return f"{when:%b %d %H:%M:%S} {entry.get('_HOSTNAME', site.node)} {name}{pid}: {entry.get('MESSAGE', '')}"
