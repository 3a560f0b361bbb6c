"""What of an answer must be as recorded: status, reason, error shape, data shape, and the values that are state."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from tests.contract.recordings import Recorded

TEXTS = [
    (r"UPID:[^: ]+:[0-9A-F]{8}:[0-9A-F]{8,9}:[0-9A-F]{8}:([^:]+:[^:]*:[^: ]+:)", r"UPID:\1"),
    (r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}", "<uuid>"),
    (r"(?i)\b(?:[0-9a-f]{2}:){5}[0-9a-f]{2}\b", "<mac>"),
    (r"\b[0-9a-f]{40}\b", "<digest>"),
    (r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d", "<time>"),
    (r"\w{3} \w{3} [ \d]\d \d\d:\d\d:\d\d \d{4}", "<time>"),
    (r"\d{4}_\d\d_\d\d-\d\d_\d\d_\d\d", "<stamp>"),
    (r"vzdumptmp\d+", "vzdumptmp<pid>"),
    (r"\b\d+(?:\.\d+)? ?(?:[KMGT]i?)?B(?:/s)?(?![a-z])", "<size>"),
    (r"\b\d+(?:\.\d+)? (?:seconds|sec|bytes)\b", "<amount>"),
    (r"\b\d+(?:\.\d+)?%", "<percent>"),
    (r"\(\d\d:\d\d:\d\d\)", "<duration>"),
    (r"(?<=CFG: size: )\d+", "<size>"),
    (r"(?<=ctime=)\d+", "<time>"),
    (r"\(\d+ < \d+\)", "(<n> < <n>)"),
    (r"(?<=missing cluster )\d+", "<n>"),
    (r"(?<=bash: line 1: )+ *\d+ ", " <pid> "),
    (r"^ *\d+ (?=Trace|Done)", "<pid> "),
]
"""Variable parts of texts and what stands for them."""
NOISE = re.compile(
    r"^(INFO: +<percent> \(|progress <percent>|transferred |kvm: |drive-.*transferred|total bytes read|space reduction"
    r"|Attempt to call undefined import method)"
)
"""Log lines that tell of progress, or of the machine the recording was made on."""
MEASURED = {
    "avail", "blockstat", "cpu", "disk", "diskread", "diskwrite",
    "endtime", "free", "freemem", "mem", "memhost", "netin", "netout", "pid", "pressurecpufull",
    "pressurecpusome", "pressureiofull", "pressureiosome", "pressurememoryfull",
    "pressurememorysome", "pstart", "snaptime", "starttime", "uptime", "used", "used_fraction",
    "ticket", "CSRFPreventionToken", "running-qemu",
    "last_update", "statistics", "ssl_fingerprint", "total",
    "proxmox-support", "ballooninfo", "nics",
}  # fmt: skip
"""Keys whose values are measured or made up anew: only their type is compared."""
MACHINE = re.compile(r"\[(node|storage)/[^.]*\.(maxdisk|maxmem|maxcpu)$|(:backup/|:import/).*\]\.size$|^data\.size$")
"""Sizes of the machine that a list of resources tells, and those of archives: here there is less in them."""
IDENTITY = ("volid", "upid", "subdir", "id", "userid", "roleid", "tokenid", "iface", "vmid", "storage", "key", "name",
            "poolid", "realm", "n", "node", "service")  # fmt: skip
SLACK = 5
"""Seconds by which an archive may be older or younger: the second guest of a job waits for the first."""
SHAPE_ONLY = re.compile(
    r"^(/nodes/[^/]+/(status|tasks|syslog|journal|services|disks/list|time|dns|version|subscription)|/cluster/(log|tasks)"
    r"|/nodes/[^/]+/qemu/\d+/agent/(get-(fsinfo|memory-blocks|osinfo|vcpus|users|time|timezone)|info"
    r"|network-get-interfaces))$"
)
"""Answers about the machine itself: what it has differs, the shape must not."""


@dataclass(frozen=True)
class Difference:
    """One thing that is not as recorded; ``where`` reads like "data.0.vmid"."""

    where: str
    what: str

    def __str__(self) -> str:
        """Both in one line."""
        return f"{self.where}: {self.what}"


@dataclass(frozen=True)
class Got:
    """An answer of the lab; ``body`` is None when there was none."""

    status: int
    reason: str
    body: Any


@lru_cache(maxsize=100_000)
def plain(text: str) -> str:
    """A text without its variable parts; the options of a command line in alphabetical order."""
    for pattern, stands in TEXTS:
        text = re.sub(pattern, stands, text)
    if text.startswith("INFO: starting new backup job"):
        command, *options = text.split(" --")
        text = " --".join([command, *sorted(options)])
    return text.strip()


def compare(recorded: Recorded, got: Got) -> Iterator[Difference]:
    """Everything that differs."""
    if got.status != recorded.status:
        yield Difference("status", f"{got.status} {got.reason!r}, recorded {recorded.status} {recorded.reason!r}")
        return
    if plain(got.reason) != plain(recorded.reason):
        yield Difference("reason", f"{got.reason!r}, recorded {recorded.reason!r}")
    if not isinstance(recorded.body, dict) or not isinstance(got.body, dict):
        if (recorded.body is None) != (got.body is None):
            yield Difference("body", f"{got.body!r}, recorded {recorded.body!r}")
        return
    yield from _keys("", recorded.body, got.body)
    for key in ("message", "errors"):
        if key in recorded.body and key in got.body:
            yield from values(key, recorded.body[key], got.body[key])
    yield from _data(recorded, got.body.get("data"))


def _data(recorded: Recorded, got: Any) -> Iterator[Difference]:
    if recorded.path.endswith("/log") and "/tasks/" in recorded.path:
        yield from _log(recorded.data, got)
    elif SHAPE_ONLY.match(recorded.path):
        yield from shape("data", recorded.data, got)
    else:
        yield from values("data", recorded.data, got)


def _log(recorded: list[dict[str, Any]], got: list[dict[str, Any]]) -> Iterator[Difference]:
    texts = [[plain(str(line["t"])) for line in lines] for lines in (recorded, got)]
    was, now = ([line for line in lines if not NOISE.match(line)] for lines in texts)
    if was != now:
        at = next(
            (i for i, pair in enumerate(zip(was, now, strict=False)) if pair[0] != pair[1]), min(map(len, (was, now)))
        )
        yield Difference("log", f"from line {at}: {now[at : at + 3]}, recorded {was[at : at + 3]}")
    if got and any(not isinstance(line["n"], int) for line in got):
        yield Difference("log", "n is not a number")


def _kind(value: Any) -> str:
    if isinstance(value, bool):
        return "boolean"
    if isinstance(value, int | float):
        return "number"
    return {str: "string", list: "list", dict: "object"}.get(type(value), "null")


def _keys(where: str, recorded: Mapping[str, Any], got: Mapping[str, Any]) -> Iterator[Difference]:
    if missing := recorded.keys() - got.keys():
        yield Difference(where, f"lacks {sorted(missing)}")
    if more := got.keys() - recorded.keys():
        yield Difference(where, f"has {sorted(more)} more")


def values(where: str, recorded: Any, got: Any) -> Iterator[Difference]:
    """Where values differ, measured ones aside."""
    if _kind(recorded) != _kind(got):
        yield Difference(where, f"{_kind(got)} {got!r:.80}, recorded {_kind(recorded)} {recorded!r:.80}")
    elif where.rpartition(".")[2] in MEASURED or MACHINE.search(where):
        return
    elif isinstance(recorded, dict):
        yield from _keys(where, recorded, got)
        for key in sorted(recorded.keys() & got.keys()):
            yield from values(f"{where}.{key}", recorded[key], got[key])
    elif isinstance(recorded, list):
        yield from _lists(where, recorded, got)
    elif where.endswith(".ctime") and abs(recorded - got) <= SLACK:
        return
    elif _scalar(recorded) != _scalar(got):
        yield Difference(where, f"{got!r}, recorded {recorded!r}")


def _scalar(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    text = plain(value)
    return ",".join(sorted(text.split(","))) if re.fullmatch(r"[\w.-]+(,[\w.-]+)+", text) else text


def _identity(item: Any) -> str:
    if not isinstance(item, dict):
        return str(_scalar(item))
    return "/".join(plain(str(item[key])) for key in IDENTITY if key in item and not isinstance(item[key], dict))[:120]


def _lists(where: str, recorded: list[Any], got: list[Any]) -> Iterator[Difference]:
    was, now = sorted(recorded, key=_order), sorted(got, key=_order)
    names = [[_identity(item) for item in items] for items in (was, now)]
    if names[0] != names[1]:
        lacks, more = (Counter(names[0]) - Counter(names[1])), (Counter(names[1]) - Counter(names[0]))
        yield Difference(where, f"lacks {sorted(lacks.elements())}, has more {sorted(more.elements())}")
        yield from shape(where, recorded, got)
        return
    for name, one, other in zip(names[0], was, now, strict=True):
        yield from values(f"{where}.[{name}]" if isinstance(one, dict) else where, one, other)


def _order(item: Any) -> tuple[str, str]:
    if not isinstance(item, dict):
        return _identity(item), ""
    return _identity(item), str(item.get("volid", ""))


def shape(where: str, recorded: Any, got: Any) -> Iterator[Difference]:
    """Where types and keys differ; of lists the union of their items counts."""
    if _kind(recorded) != _kind(got):
        yield Difference(where, f"{_kind(got)} {got!r:.80}, recorded {_kind(recorded)} {recorded!r:.80}")
    elif isinstance(recorded, dict):
        yield from _keys(where, recorded, got)
        for key in sorted(recorded.keys() & got.keys()):
            yield from shape(f"{where}.{key}", recorded[key], got[key])
    elif isinstance(recorded, list) and recorded and got:
        yield from shape(f"{where}[]", _union(recorded), _union(got))


def _union(items: list[Any]) -> Any:
    if not all(isinstance(item, dict) for item in items):
        return items[0]
    return {key: value for item in items for key, value in item.items()}
