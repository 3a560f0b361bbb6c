"""The report's part about drills: one table of all, then each with its phases, its proofs and its screen."""

from __future__ import annotations

import base64
import datetime as dt
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from backup_standard.evidence.verdicts import Verdict
from backup_standard.quantities import say_duration, say_size
from backup_standard.report.fragments import badge, moment, pairs, table, text

Json = Mapping[str, Any]
_PNG = b"\x89PNG\r\n\x1a\n"
_BAR = 640
"""Width of a drill's time bar, in its own units."""


def judged(drills: Iterable[Json], rows: Iterable[Verdict]) -> list[Json]:
    """The drills by VMID, each failed where any row of its guest is red: a service may fail after every step passed."""
    red = {row.subject for row in rows if row.is_red}
    found = [{**one, "outcome": "failed"} if _guest(one) in red else one for one in drills]
    return sorted(found, key=lambda one: int(one.get("guest") or 0))


def overview(drills: Sequence[Json], folder: Path, zone: str) -> str:
    """One line for each drill."""
    lines = [
        (
            f'<a href="#drill-{_id(one)}"><b>{text(_guest(one))}</b></a>',
            _archive(one, zone),
            text(one.get("temporary_vmid", "")),
            _phases_in_short(one.get("phases", ())),
            text(_speed(one)),
            text(_recovery(one)),
            badge(_outcome(one)),
            _thumbnail(one, folder),
        )
        for one in drills
    ]
    heads = ("Guest", "Archive", "Restored as", "Phases", "Data", "Recovery time", "Outcome", "Screen")
    return table(heads, lines, "drills") if lines else ""


def details(drills: Iterable[Json], folder: Path, zone: str) -> str:
    """Each drill in full."""
    return "".join(_detail(one, folder, zone) for one in drills)


def _detail(drill: Json, folder: Path, zone: str) -> str:
    proofs = [
        ("Node", drill.get("node")),
        ("Began", moment(drill.get("started"), zone)),
        ("Ended", moment(drill.get("finished"), zone)),
        ("Archive", (drill.get("archive") or {}).get("volid")),
        ("Isolation", _isolation(drill)),
        ("Changed for the drill", drill.get("neutralised") or "nothing"),
        ("Age of the data", _data_age(drill)),
        ("Production differs from the archive", drill.get("drift") or "in nothing that was compared"),
        ("Not proven", drill.get("not_proven") or "nothing"),
        ("Production guests", _production(drill)),
    ]
    return (
        f'<article class="drill" id="drill-{_id(drill)}"><h3>{badge(_outcome(drill))} {text(_guest(drill))}'
        f" <small>restored as {text(drill.get('temporary_vmid', ''))}</small></h3>"
        f"{_bar(drill.get('phases', ()))}{_phases(drill)}"
        f'<div class="beside">{pairs(proofs)}{_screen(drill, folder)}</div></article>'
    )


def _isolation(drill: Json) -> Any:
    """What proved that the copy could not reach production."""
    isolation = drill.get("isolation") or {}
    return isolation.get("proven") or isolation or "not proven"


def _production(drill: Json) -> str:
    """Whether production was the same before and after."""
    before, after = drill.get("production_before") or {}, drill.get("production_after") or {}
    if not before or not after:
        return "not compared"
    changed = sorted(vmid for vmid in before.keys() | after.keys() if before.get(vmid) != after.get(vmid))
    if changed:
        return f"changed: {', '.join(changed)}"
    return f"{len(before)} compared before and after: configuration, status and disks unchanged"


def _observed(phase: Json) -> str:
    """What a phase saw, sizes in words."""
    seen = dict(phase.get("observed") or {})
    if isinstance(seen.get("bytes"), int | float):
        seen["data"] = say_size(seen.pop("bytes"))
    if isinstance(seen.get("mb_per_s"), int | float):
        seen["speed"] = f"{seen.pop('mb_per_s'):.0f} MB/s"
    return pairs(seen, "observed")


def _phases(drill: Json) -> str:
    phases = drill.get("phases") or ()
    lines = [
        (
            text(one.get("name", "")),
            text(say_duration(float(one.get("seconds") or 0))),
            badge("pass" if one.get("ok") else "fail"),
            _observed(one),
            text(one.get("message", "")),
        )
        for one in phases
    ]
    return table(("Phase", "Time", "Outcome", "Observed", "Message"), lines, "phases") if lines else ""


def _bar(phases: Iterable[Json]) -> str:
    """The phases to scale, as a drawing that needs no style of its own."""
    spans = [(str(one.get("name", "")), max(0.0, float(one.get("seconds") or 0))) for one in phases]
    total = sum(seconds for _, seconds in spans)
    if not total:
        return ""
    pieces, left = [], 0.0
    for index, (name, seconds) in enumerate(spans):
        width = _BAR * seconds / total
        label = f"{name} {say_duration(seconds)}"
        pieces.append(
            f'<rect class="phase-{index % 8}" x="{left:.1f}" y="0" width="{width:.1f}" height="18"><title>{text(label)}'
            "</title></rect>"
        )
        if width > 8 * len(name):
            pieces.append(f'<text x="{left + 4:.1f}" y="13">{text(name)}</text>')
        left += width
    label = f"time of the phases, {say_duration(total)} in all"
    return f'<svg class="bar" viewBox="0 0 {_BAR} 18" role="img" aria-label="{text(label)}">{"".join(pieces)}</svg>'


def _phases_in_short(phases: Iterable[Json]) -> str:
    shown = [
        f'<span class="{"" if one.get("ok") else "bad"}">{text(one.get("name", ""))} '
        f"{text(say_duration(float(one.get('seconds') or 0)))}</span>"
        for one in phases
    ]
    return f'<div class="short">{"".join(shown)}</div>' if shown else '<span class="none">none</span>'


def _archive(drill: Json, zone: str) -> str:
    archive = drill.get("archive") or {}
    made = archive.get("ctime")
    when = dt.datetime.fromtimestamp(made, tz=ZoneInfo(zone)).strftime("%Y-%m-%d %H:%M") if made else "none"
    size = say_size(archive["size"]) if archive.get("size") else "size not shown"
    return f"{text(when)}<br><small>{text(size)}</small>"


def _speed(drill: Json) -> str:
    if not drill.get("bytes"):
        return "none"
    speed = f" at {float(drill['mb_per_s']):.0f} MB/s" if drill.get("mb_per_s") else ""
    return f"{say_size(drill['bytes'])}{speed}"


def _recovery(drill: Json) -> str:
    if not drill.get("recovery_seconds"):
        return "not measured"
    took, target = float(drill["recovery_seconds"]), float(drill.get("rto_seconds") or 0)
    if not target:
        return f"{say_duration(took)} (no RTO declared)"
    return f"{say_duration(took)} (RTO {say_duration(target)} {'met' if took <= target else 'missed'})"


def _data_age(drill: Json) -> str:
    """The measured RPO."""
    age = drill.get("data_age_seconds")
    return (
        f"{say_duration(float(age))} at the drill, by its heartbeat" if age is not None else "not told by a heartbeat"
    )


def _outcome(drill: Json) -> str:
    return {"passed": "pass", "failed": "fail"}.get(str(drill.get("outcome")), str(drill.get("outcome", "unknown")))


def _guest(drill: Json) -> str:
    kind = "CT" if drill.get("kind") == "lxc" else "VM"
    return f"{kind} {drill.get('vmid', drill.get('guest', '?'))} ({drill.get('name') or drill.get('role') or '?'})"


def _id(drill: Json) -> str:
    return text(drill.get("temporary_vmid", "unknown"))


def _thumbnail(drill: Json, folder: Path) -> str:
    picture = _picture(drill, folder)
    if not picture:
        return f'<span class="none">{text(drill.get("screenshot_reason") or "none")}</span>'
    label = f"screen of {_guest(drill)}, shown larger below"
    return f'<a href="#screen-{_id(drill)}"><img class="thumbnail" src="{picture}" alt="{text(label)}"></a>'


def _screen(drill: Json, folder: Path) -> str:
    picture = _picture(drill, folder)
    if not picture:
        return (
            f'<p class="none">No picture of the screen: {text(drill.get("screenshot_reason") or "none was taken")}</p>'
        )
    return (
        f'<figure id="screen-{_id(drill)}"><a href="#screen-{_id(drill)}" class="enlarge">'
        f'<img src="{picture}" alt="console screen of {text(_guest(drill))} after it booted"></a>'
        f"<figcaption>Console of {text(_guest(drill))} after it booted from its own disk, restored as "
        f'{_id(drill)}{_blurred(drill)} <a class="close" href="#drill-{_id(drill)}">close</a></figcaption></figure>'
    )


def _blurred(drill: Json) -> str:
    return f" ({text(drill['screenshot_reason'])})" if drill.get("screenshot_reason") else ""


def _picture(drill: Json, folder: Path) -> str:
    """The screenshot as a data URI; empty when there is none, when it is no PNG, or when it lies outside the folder."""
    name = drill.get("screenshot")
    path = (folder / str(name)).resolve() if name else None
    if path is None or not path.is_relative_to(folder.resolve()) or not path.is_file():
        return ""
    content = path.read_bytes()
    return f"data:image/png;base64,{base64.b64encode(content).decode()}" if content.startswith(_PNG) else ""
