"""Reads archives from end to end on their nodes: one stream, low priority, limited bandwidth, nothing left behind.

The archive is read with one command of the table, the only one that may need privileges, and piped into a small reader
(:mod:`backup_standard.onnode`) that is sent along and drops whatever rights it has.
"""

from __future__ import annotations

import datetime as dt
import json
import shlex
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from importlib import resources
from typing import Any

from backup_standard.collect import node_commands
from backup_standard.errors import ConnectionFailed
from backup_standard.hosts import Output, SshClient
from backup_standard.hosts.backend import Notes
from backup_standard.hosts.streaming import run_lines
from backup_standard.hosts.sudo import as_root
from backup_standard.model import Archive, Gap
from backup_standard.model.archives import STANDARD_NAME
from backup_standard.model.readings import ArchiveReading

READER = "backup_standard.onnode"
_MODULES = ("", ".stream", ".pace", ".unpack", ".vma", ".tar", ".main")
"""In the order in which they import each other."""
_START = f"""
import os, sys, types
for name, text in MODULES:
    module = sys.modules[name] = types.ModuleType(name)
    exec(compile(text, name, "exec", dont_inherit=True), module.__dict__)
    if name != {READER!r}:
        setattr(sys.modules[{READER!r}], name.rpartition(".")[2], module)
sys.modules[{READER + ".main"!r}].main(sys.argv[1:])
os._exit(0)
"""
LOW = "nice -n 19 ionice -c 3"
PRESSURE = "/proc/pressure/io"
_BAD_DISK = "Input/output error"
SILENCE = 180.0
"""Seconds without a word from the reader, which speaks every second unless the disk hangs or it waits for others."""


@dataclass(frozen=True)
class Limits:
    """``bandwidth`` in bytes per second; ``pressure`` in percent, and the seconds for which more is borne."""

    bandwidth: float = 60 * 2**20
    pressure: float = 40.0
    patience: float = 60.0


@dataclass
class Task:
    """One archive to read. ``deadline`` in seconds from now; ``watch`` may raise :class:`Stop` while it is read."""

    archive: Archive
    path: str
    size: int
    limits: Limits
    deadline: float
    tell: Callable[[int], None]
    watch: Callable[[], None]
    result: dict[str, Any] = field(default_factory=dict)

    @property
    def fact(self) -> str:
        """What is read, in words."""
        return f"whether {self.archive} is intact"

    def hear(self, line: str) -> None:
        """Take one line of the reader."""
        said = json.loads(line)
        self.result = said.get("result", self.result)
        if "done" in said:
            self.tell(int(said["done"]))
        self.watch()


class Stop(Exception):
    """Reading must end now; the text says why."""


def reader() -> str:
    """The reader as one text that Python runs with -c."""
    folder = resources.files(READER)
    names = [(READER + module, (module[1:] or "__init__") + ".py") for module in _MODULES]
    texts = [(name, (folder / file).read_text(encoding="utf-8")) for name, file in names]
    return f"MODULES = {texts!r}\n{_START}"


def path_of(folder: str, archive: Archive) -> str:
    """Where an archive lies. ValueError for anything that is not plainly an archive right in a dump folder."""
    name = archive.filename
    plain = folder.startswith("/") and not {"", ".", ".."} & set(folder[1:].split("/")) and folder.isprintable()
    if not plain or STANDARD_NAME.fullmatch(name) is None or archive.compression == "bzip2":
        raise ValueError(f"{name} in {folder} is not read: that is no archive of a guest")
    return f"{folder}/{name}"


def command(task: Task, *, sudo: bool = False) -> str:
    """The command line; ``sudo``: the one command in it that needs privileges gets them so."""
    form = "vma" if ".vma" in task.archive.filename else "tar"
    limits = task.limits
    words = (
        form, task.archive.compression, f"{limits.bandwidth:.0f}", f"{task.deadline:.0f}", PRESSURE,
        f"{limits.pressure:g}", f"{limits.patience:g}",
    )  # fmt: skip
    source = node_commands.ARCHIVE_DATA % shlex.quote(task.path)
    privileged = as_root(source) if sudo else f"env LC_ALL=C.UTF-8 {source}"
    return f"{LOW} {privileged} | {LOW} python3 -I -c {shlex.quote(reader())} {' '.join(words)}"


def read(client: SshClient, task: Task, recorder: Notes | None = None) -> ArchiveReading | Gap:
    """Read one archive. A gap where it could not be read as a whole; broken where the reading was begun and ended."""
    line = command(task, sudo=client.account.sudo)
    began = time.monotonic()
    try:
        output = run_lines(client, line, task.hear, silence=SILENCE)
        if recorder:
            told = line.replace(shlex.quote(reader()), "READER")
            recorder.note(task.archive.node, told, output, time.monotonic() - began)
        return _without_reading(task, output) or _reading(task, output)
    except Stop as reason:
        return Gap(task.fact, f"aborted: {reason}", broken=True)
    except ConnectionFailed as problem:
        return Gap(task.fact, problem.said, broken=True)
    except (ValueError, LookupError, AttributeError, TypeError) as problem:
        misread = f"the reader on the node answered in a form that is not understood: {problem}"
        return Gap(task.fact, misread, broken=True)


def _without_reading(task: Task, output: Output) -> Gap | None:
    """Why there is no reading of all that the node can give; None where there is one."""
    said, found = _last_words(output), task.result
    if not found:
        reason = f"the reader on the node ended with {output.rc}: {said}"
        return Gap(task.fact, reason, "python3 on the node", broken=True)
    if found["aborted"]:
        return Gap(task.fact, f"aborted: {found['aborted']}", broken=True)
    if found["unproven"]:
        return Gap(task.fact, str(found["unproven"]), "the tool that unpacks it")
    if said and _BAD_DISK not in said and found["ended"] and int(found["read"]) < task.size:
        return Gap(task.fact, said, f"leave to read it: {node_commands.ARCHIVE_DATA % task.path}")
    return None


def _reading(task: Task, output: Output) -> ArchiveReading:
    found = task.result
    problem = _problem(task, _last_words(output))
    if not problem and found["intact"] is not True:
        raise ValueError("neither intact nor damaged")
    return ArchiveReading(
        volid=task.archive.volid, node=task.archive.node, ctime=task.archive.ctime, size=task.size,
        read=int(found["read"]), at=dt.datetime.now(dt.UTC).replace(microsecond=0), seconds=float(found["seconds"]),
        sha256="" if problem else str(found["sha256"]), problem=problem,
        checksummed=bool(found.get("checksummed")),
        disks={str(name): int(size) for name, size in found.get("disks", {}).items()},
        members=int(found.get("members", 0)),
    )  # fmt: skip


def _problem(task: Task, said: str) -> str:
    """What is wrong with the archive; "" when nothing is."""
    read, problem = int(task.result["read"]), str(task.result["problem"])
    if _BAD_DISK in said:
        return f"the disk cannot read it, at or behind byte {read} of the file: {said}"
    if task.result["ended"] and read != task.size:
        return f"{read} bytes were read, and the file had {task.size}" + (f"; {problem}" if problem else "")
    return problem


def _last_words(output: Output) -> str:
    lines = output.stderr.decode("utf-8", "replace").strip().splitlines()
    return lines[-1] if lines else ""
