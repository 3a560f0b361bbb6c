"""Reads one archive from standard input as an account without rights; tells progress and result as lines of JSON."""

from __future__ import annotations

import json
import os
import resource
import sys
import time
from typing import Any

from backup_standard.onnode import tar, vma
from backup_standard.onnode.pace import Pace
from backup_standard.onnode.stream import Aborted, Damaged, Unproven
from backup_standard.onnode.unpack import Source, Unpacked

NOBODY = 65534
TELL_EVERY = 1.0
"""Seconds between two lines of progress."""
CHECKS = {"vma": vma.check, "tar": tar.check}


class Teller:
    """Writes progress; a far end that is gone ends everything (SIGPIPE)."""

    def __init__(self) -> None:
        self._next = 0.0

    def __call__(self, count: int) -> None:
        """Say how many bytes were read."""
        if time.monotonic() >= self._next:
            self._next = time.monotonic() + TELL_EVERY
            say({"done": count})


def say(message: dict[str, Any]) -> None:
    """Write a line."""
    sys.stdout.write(json.dumps(message) + "\n")
    sys.stdout.flush()


def give_up_rights() -> None:
    """Become nobody where we are root, and be unable to write any file."""
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    if os.geteuid() == 0:
        os.chdir("/")
        os.setgroups([])
        os.setgid(NOBODY)
        os.setuid(NOBODY)


def read(form: str, compression: str, source: Source) -> dict[str, Any]:
    """The result: exactly one of intact, problem, unproven and aborted says something."""
    found: dict[str, Any] = {"intact": False, "problem": "", "unproven": "", "aborted": ""}
    unpacked = None
    try:
        unpacked = Unpacked(source, compression)
        found.update(CHECKS[form](unpacked.stream))
        found["checksummed"] = unpacked.checksummed
        found["intact"] = True
    except Damaged as damage:
        found["problem"] = str(damage)
    except Unproven as reason:
        found["unproven"] = str(reason)
    except Aborted as reason:
        found["aborted"] = str(reason)
    finally:
        if unpacked:
            unpacked.close()
    return found


def main(arguments: list[str]) -> None:
    """FORM COMPRESSION BYTES_PER_SECOND SECONDS PRESSURE_FILE LIMIT PATIENCE."""
    form, compression, rate, deadline, pressure, limit, patience = arguments
    give_up_rights()
    pace = Pace(float(rate), float(deadline), pressure, float(limit), float(patience))
    source = Source(0, pace, Teller())
    began = time.monotonic()
    found = read(form, compression, source)
    found["read"], found["ended"], found["sha256"] = source.count, source.ended, source.sha256
    found["seconds"], found["pressure_watched"] = round(time.monotonic() - began, 3), pace.watched
    say({"result": found})
