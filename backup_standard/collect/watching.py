"""What would let somebody notice a failed backup: errors in the journal of each node, and notification settings.

Backups write to the journal under the name of the process that runs them: pvescheduler (scheduled), pvedaemon (by the
API or the web interface), pvesh and vzdump (by hand on the node); upstream: PVE/VZDump.pm. There may be no syslog file.
"""

from __future__ import annotations

import datetime as dt
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any
from zoneinfo import ZoneInfo

from backup_standard.collect import node_commands, shapes
from backup_standard.collect.reader import Reader
from backup_standard.hosts import Host
from backup_standard.model import Gap, Node
from backup_standard.model.watching import JournalLine, NotificationMatcher, Notifications, NotificationTarget

_ONLY_OWN = "not seeing messages"
"""What journalctl says to an account that may not read the system's journal, and goes on as if nothing were there."""
_UNITS = ("pvescheduler", "pvedaemon", "cron")
_PAGE, _PAGES = 5000, 20
_LINE = re.compile(r"(\w{3} +\d+ [\d:]{8}) \S+ ([\w.-]+)(?:\[\d+\])?: (.*)")


def read_journal(host: Host, node: str, since: int) -> tuple[JournalLine, ...] | Gap:
    """The errors of backups in a node's journal since then, over SSH."""
    fact = f"the journal of node {node}"
    read = host.run(node_commands.MISHAPS, f"@{since}")
    if read.rc:
        said = (read.stderr.strip().splitlines() or [""])[-1]
        return Gap(fact, f"journalctl ended with {read.rc}: {said}", "root, or the group systemd-journal, on the node")
    if _ONLY_OWN in read.stderr:
        return Gap(fact, "the account may read only its own lines of it", "root, or the group systemd-journal, there")
    return tuple(_lines(read.stdout))


def _lines(text: str) -> Iterator[JournalLine]:
    for line in text.splitlines():
        if not line.startswith("{"):
            continue
        entry = json.loads(line)
        message = entry.get("MESSAGE")
        if isinstance(message, list):  # bytes that are no UTF-8 (upstream: systemd's JSON format)
            message = bytes(message).decode("utf-8", "replace")
        when = int(entry["__REALTIME_TIMESTAMP"]) // 1_000_000
        yield JournalLine(when, str(entry.get("SYSLOG_IDENTIFIER", "")), str(message or ""))


def ask_journal(reader: Reader, node: Node, since: int) -> tuple[JournalLine, ...] | Gap:
    """The same through the API, for a node without SSH; runs by ``vzdump`` on its command line are not among them.

    Those of cron are: sites from before 7.1 may still have jobs in vzdump.cron.
    """

    def read() -> tuple[JournalLine, ...]:
        return tuple(line for unit in _UNITS for line in _syslog(reader, node, unit, since))

    return reader.attempt(f"the journal of node {node.name}", read)


def _syslog(reader: Reader, node: Node, unit: str, since: int) -> Iterator[JournalLine]:
    zone = ZoneInfo(node.timezone or "UTC")
    day = dt.datetime.fromtimestamp(since, tz=zone).strftime("%Y-%m-%d")
    for page in range(_PAGES):
        answer = reader.rows(f"/nodes/{node.name}/syslog", service=unit, since=day, start=page * _PAGE, limit=_PAGE)
        for raw in answer:
            match = _LINE.fullmatch(str(raw.get("t", "")))
            if match and match[3].startswith("ERROR:"):
                yield JournalLine(_moment(match[1], node.now, zone), match[2], match[3])
        if len(answer) < _PAGE:
            return


def _moment(stamp: str, now: int, zone: ZoneInfo) -> int:
    """A stamp without a year: the latest such moment that is not in the future."""
    this_year = dt.datetime.fromtimestamp(now + 86400, tz=zone)
    found = dt.datetime.strptime(f"{this_year.year} {stamp}", "%Y %b %d %H:%M:%S").replace(tzinfo=zone)
    if found > this_year:
        found = found.replace(year=found.year - 1)
    return int(found.timestamp())


def read_notifications(reader: Reader) -> Notifications | Gap:
    """Targets and matchers. A gap on releases before 8.1, which have none, and for a token without the right.

    The API's refusal names no privilege (recorded); it is Mapping.Audit on /mapping/notifications.
    """
    fact, base = "who gets notifications", "/cluster/notifications"

    def read() -> Notifications:
        targets, matchers = reader.rows(f"{base}/targets"), reader.rows(f"{base}/matchers")
        return Notifications(tuple(map(_target, targets)), tuple(map(_matcher, matchers)))

    refused = reader.attempt(fact, read)
    if isinstance(refused, Gap):
        path = "/mapping/notifications"
        grant = f"Mapping.Audit on {path}: {reader.pve.grant('Mapping.Audit', path)}"
        return replace(refused, need=grant if refused.need else "")
    return refused


def _target(raw: Mapping[str, Any]) -> NotificationTarget:
    return NotificationTarget(str(raw["name"]), str(raw.get("type", "")), shapes.truth(raw.get("disable", 0)))


def _matcher(raw: Mapping[str, Any]) -> NotificationMatcher:
    severities = raw.get("match-severity") or []
    listed = severities if isinstance(severities, list) else [severities]
    narrow = bool(raw.get("match-field") or raw.get("match-calendar") or shapes.truth(raw.get("invert-match", 0)))
    targets = raw.get("target") or []
    return NotificationMatcher(
        name=str(raw["name"]),
        targets=tuple(map(str, targets if isinstance(targets, list) else [targets])),
        severities=tuple(word for one in listed for word in shapes.words(one)),
        is_narrow=narrow,
        disabled=shapes.truth(raw.get("disable", 0)),
    )
