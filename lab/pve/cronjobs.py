"""The jobs of vzdump.cron, which sites from before 7.1 still hold: the API lists them, cron runs them.

Upstream: PVE/VZDump/Common.pm parse_vzdump_cron_config, PVE/API2/Backup.pm (``dow`` and ``starttime`` become a schedule
as they do where jobs are made). Derived, not recorded. A line that is not understood, such as one with an option that
this release does not know, is no job.
"""

from __future__ import annotations

import hashlib
import re
import shlex
from collections.abc import Iterator
from typing import Any

from lab.pve.formats import split_list
from lab.pve.site import Site

FILE = "/etc/pve/vzdump.cron"
WEEK = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_LINE = re.compile(r"(\d+)\s+(\d+)\s+\*\s+\*\s+(\S+)\s+root\s+(?:/\S+/)?(#)?vzdump(?:\s+(.*))?")


def of(site: Site) -> dict[str, dict[str, Any]]:
    """Give the jobs by id: the file's SHA-1 and a number."""
    try:
        content = site.hypervisor.node.read(FILE)
    except FileNotFoundError:
        return {}
    digest = hashlib.sha1(content, usedforsecurity=False).hexdigest()
    found = list(_jobs(site, content.decode("utf-8", "replace")))
    return {f"{digest}:{number}": job for number, job in enumerate(found, 1)}


def _jobs(site: Site, text: str) -> Iterator[dict[str, Any]]:
    for line in text.splitlines():
        if (found := _LINE.fullmatch(line)) and (days := _days(found[3])):
            options = _options(site, found[5] or "")
            if options is not None:
                start = f"{int(found[2]):02d}:{int(found[1]):02d}"
                when = {"dow": ",".join(days), "starttime": start, "schedule": schedule(start, ",".join(days))}
                yield {**options, **when, "enabled": "" if found[4] else 1}


def schedule(start: str, days: str | None) -> str:
    """Give the calendar event of a start time and a list of days; nothing is padded."""
    return start if days in {None, ",".join(WEEK)} else f"{','.join(split_list(str(days)))} {start}"


def _days(text: str) -> list[str]:
    """Give cron's days in the order of the week; none when they are not understood."""
    names = dict(zip("1234567", WEEK, strict=True)) | {"0": "sun"} | {day: day for day in WEEK}
    chosen: set[str] = set()
    for part in [",".join(WEEK)] if text == "*" else [text]:
        for day in part.lower().split(","):
            first, dash, last = day.partition("-")
            if dash and {first, last} <= set(WEEK):
                chosen |= set(WEEK[WEEK.index(first) : WEEK.index(last) + 1])
            elif day in names:
                chosen.add(names[day])
            else:
                return []
    return [day for day in WEEK if day in chosen]


def _options(site: Site, text: str) -> dict[str, Any] | None:
    """Give the options of a command line as text, switches as 1 or 0; None where one is not known or not right."""
    schema, found, vmids = site.schema, dict[str, Any](), list[str]()
    known = schema.routes["POST /nodes/{node}/vzdump"].parameters
    try:
        words = shlex.split(text)
    except ValueError:
        return None
    while words:
        word = words.pop(0)
        if not word.startswith("-"):
            vmids.append(word)
            continue
        name, equals, value = word.lstrip("-").partition("=")
        if not equals:
            value = words.pop(0) if words and not words[0].startswith("-") else "1"
        if name not in known or schema.convert(known[name], value, name)[1]:
            return None
        found[name] = int(value) if known[name].get("type") == "boolean" else value
    return {**found, **({"vmid": ",".join(vmids)} if vmids else {})}
