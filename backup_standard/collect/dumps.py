"""The files of a dump folder, read on the node: names, sizes, times, the first bytes of the newest archives.

The API shows neither sizes (to a token that may only audit) nor what is left of broken backups.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import replace

from backup_standard.collect import node_commands
from backup_standard.hosts import Host
from backup_standard.model import Gap
from backup_standard.model.archives import STANDARD_NAME
from backup_standard.model.dumps import DumpFile, DumpFolder, log_name, newest_of_each

_AT_ONCE = 200
"""File names in one command."""
_HEAD = re.compile(rb"==> ([^\n]+) <==\n(.{0,4})", re.DOTALL)
_FIELDS = 6


def read_dump(host: Host, path: str, folder: str) -> DumpFolder | Gap | None:
    """The folder of a storage at ``path``; None when it is not there. Reads 4 bytes of a few files, writes nothing."""
    top = folder.rstrip("/") + "/"
    found = host.run(node_commands.FILES, path, top, node_commands.ENTRY)
    rows = [line.split("\t") for line in found.stdout.split("\0") if line]
    rows = [row for row in rows if len(row) == _FIELDS]
    of_folder = [row for row in rows if row[0] == top]
    device = next((int(row[5]) for row in rows if row[0] == path and not row[1]), 0)
    if found.rc and (of_folder or "No such file" not in found.stderr):
        return Gap(
            f"the files in {folder}", f"find ended with {found.rc}: {_last_line(found.stderr)}", "readable there"
        )
    if not of_folder:
        return None
    files = {row[1]: _file(row) for row in of_folder if row[1]}
    return DumpFolder(folder.rstrip("/"), device, tuple(_looked_into(host, folder.rstrip("/"), files).values()))


def _last_line(text: str) -> str:
    return (text.strip().splitlines() or ["no reason given"])[-1]


def _file(row: Sequence[str]) -> DumpFile:
    _, name, kind, size, mtime, device = row
    return DumpFile(name, int(size), int(float(mtime)), int(device), folder=kind == "d")


def _looked_into(host: Host, folder: str, files: dict[str, DumpFile]) -> dict[str, DumpFile]:
    """The same files with the first bytes of each guest's newest archive and the end of the log beside it."""
    archives = newest_of_each([name for name, file in files.items() if STANDARD_NAME.fullmatch(name) and file.size])
    logs = [log_name(name) for name in archives if log_name(name) in files]
    for name, head in _heads(host, folder, archives):
        files[name] = replace(files[name], head=head)
    for name, tail in _tails(host, folder, logs):
        files[name] = replace(files[name], tail=tail)
    return dict(sorted(files.items()))


def _heads(host: Host, folder: str, names: Sequence[str]) -> Iterator[tuple[str, str]]:
    for some in _batches(names):
        read = host.run(_several(node_commands.HEADS, len(some)), *(f"{folder}/{name}" for name in some))
        for match in _HEAD.finditer(read.stdout_bytes):
            yield match[1].decode("utf-8", "replace").rsplit("/", 1)[-1], match[2].hex()


def _tails(host: Host, folder: str, names: Sequence[str]) -> Iterator[tuple[str, tuple[str, ...]]]:
    for some in _batches(names):
        read = host.run(_several(node_commands.TAILS, len(some)), *(f"{folder}/{name}" for name in some))
        parts = re.split(r"^==> (.+) <==$", read.stdout, flags=re.MULTILINE)
        for path, text in zip(parts[1::2], parts[2::2], strict=True):
            yield path.rsplit("/", 1)[-1], tuple(line for line in text.splitlines() if line)


def _several(command: str, count: int) -> str:
    """A command whose last argument is repeated."""
    return command + " %s" * (count - 1)


def _batches(names: Sequence[str]) -> Iterator[Sequence[str]]:
    for start in range(0, len(names), _AT_ONCE):
        yield names[start : start + _AT_ONCE]
