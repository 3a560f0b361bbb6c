"""Archives of which a drill has passed, by the folders of runs. Strict: what is not plainly there does not count."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from backup_standard.evidence.folder import RunFolder
from backup_standard.evidence.verdicts import Outcome, worst
from backup_standard.model.readings import DrilledArchive

_RESTORED = "RST-01"
_GUEST = re.compile(r"(?:VM|CT|guest) (\d+)\b")


THIS_RUN = "in this run"


def drilled_in(folder: RunFolder, run: str = THIS_RUN) -> tuple[DrilledArchive, ...]:
    """The archives of the drills that a run has passed so far: every step ran and was in order."""
    return tuple(_passed(folder, run))


def _passed(folder: RunFolder, run: str) -> Iterator[DrilledArchive]:
    for record in folder.drills():
        archive = record.get("archive") or {}
        told = (archive.get("volid"), archive.get("ctime"), archive.get("size"), record.get("finished"))
        steps = record.get("steps") or [{}]
        if record.get("outcome") != "passed" or not all(told) or any(step.get("outcome") != "ok" for step in steps):
            continue
        yield DrilledArchive(
            vmid=int(record["guest"]),
            volid=str(archive["volid"]),
            node=str(record["node"]),
            ctime=int(archive["ctime"]),
            size=int(archive["size"]),
            run=run,
            finished=str(record["finished"]),
        )


def drilled_before(folder: RunFolder, client: str, class_: str) -> tuple[DrilledArchive, ...]:
    """The same of earlier runs of the same client, beside this one's folder, newest last.

    A run counts that was a drill of all its guests on the site itself (no replay, no part) and came to its end; a
    drill counts whose row RST-01 passed in it.
    """
    found: list[DrilledArchive] = []
    for path in sorted(folder.path.parent.glob("*-drill*")):
        earlier = RunFolder(path)
        try:
            if path != folder.path and _counts(earlier.run(), client, class_):
                restored = _restored(earlier)
                found += [one for one in drilled_in(earlier, earlier.id) if one.vmid in restored]
        except (ValueError, KeyError, TypeError):  # cut short by a crash, or not ours: no evidence
            continue
    return tuple(found)


def _counts(record: Mapping[str, Any], client: str, class_: str) -> bool:
    return (
        record.get("kind") == "drill"
        and record.get("client") == client
        and record.get("class") == class_
        and record.get("partial") is False
        and bool(record.get("finished"))
    )


def _restored(folder: RunFolder) -> set[int]:
    """The guests whose row RST-01 passed."""
    rows = worst(folder.verdicts()).values()
    passed = [row for row in rows if row.rule == _RESTORED and row.outcome is Outcome.PASS]
    return {int(match[1]) for match in (_GUEST.match(row.subject) for row in passed) if match}
