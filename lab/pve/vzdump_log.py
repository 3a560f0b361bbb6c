"""The wording of backup task logs: sizes, rates and the lines one guest's backup leaves.

Worded as recorded task logs are. A backup that runs and the seeded history of nights both speak through this module.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from zoneinfo import ZoneInfo

_UNITS = ("B", "KiB", "MiB", "GiB", "TiB")
_OPTION_ORDER = (
    "quiet",
    "mode",
    "notes-template",
    "storage",
    "compress",
    "node",
    "protected",
    "remove",
    "prune-backups",
)


def human(count: float, digits: int = 1) -> str:
    """Write bytes with a binary unit: ``2.0 GiB``; plain bytes have no fraction."""
    index = 0
    while count >= 1024 and index < len(_UNITS) - 1:
        count /= 1024
        index += 1
    return f"{count:.{digits}f} {_UNITS[index]}" if index else f"{int(count)} B"


def disk_size(count: int) -> str:
    """Write a disk's size as configurations do: the largest unit that divides it, ``2G``, ``2517K``."""
    for unit in ("", "K", "M", "G", "T"):
        if count % 1024 or unit == "T" or count == 0:
            return f"{count}{unit}"
        count //= 1024
    raise AssertionError("unreachable: T ends the loop")


def file_size(count: int) -> str:
    """Write an archive's size as task logs do: ``93MB``, ``9.12GB``."""
    if count < 1024**2:
        return f"{count // 1024}KB"
    return f"{count // 1024**2}MB" if count < 1024**3 else f"{count / 1024**3:.2f}GB"


def clock(seconds: int) -> str:
    """Write a duration: ``00:03:25``."""
    return f"{seconds // 3600:02d}:{seconds // 60 % 60:02d}:{seconds % 60:02d}"


def moment(when: float, zone: ZoneInfo) -> str:
    """Write a moment in the node's zone: ``2026-11-23 02:00:03``."""
    return datetime.fromtimestamp(when, zone).strftime("%Y-%m-%d %H:%M:%S")


def command(vmids: Sequence[int], options: Mapping[str, object]) -> str:
    """Write the command line a job's log opens with. Upstream's option order is random; this one is fixed."""
    words = ["vzdump", *map(str, vmids)]
    ordered = sorted(options, key=lambda key: (_OPTION_ORDER.index(key) if key in _OPTION_ORDER else 99, key))
    for key in ordered:
        text = str(options[key])
        plain = text and all(sign.isalnum() or sign in "-_./:+@%" for sign in text)
        words += [f"--{key}", text if plain else "'" + text.replace("'", "'\\''") + "'"]
    return " ".join(words)


def progress(done: int, total: int, seconds: int, read: float, write: float) -> str:
    """Write a progress line; ``read`` and ``write`` are bytes per second since the line before."""
    percent = 100 if total == 0 else int(done * 100 / total)
    return (
        f"INFO: {percent:3d}% ({human(done)} of {human(total)}) in {seconds}s, "
        f"read: {human(read)}/s, write: {human(write)}/s"
    )


def transferred(total: int, seconds: int) -> str:
    """Write the line that ends the data of a guest."""
    return f"INFO: transferred {human(total, 2)} in {seconds} seconds ({human(total / max(seconds, 1))}/s)"


@dataclass(frozen=True)
class Disk:
    """A disk as a log names it."""

    key: str
    volid: str
    size: int


@dataclass(frozen=True)
class Story:
    """One guest's successful backup, to be told line by line. Times in seconds since the epoch, sizes in bytes."""

    kind: str
    vmid: int
    name: str
    running: bool
    disks: Sequence[Disk]
    archive: str
    archive_bytes: int
    stored_bytes: int
    task_uuid: str
    start: int
    seconds: int
    retention: str
    removed: Sequence[str] = ()
    notes: bool = True


def tell(story: Story, zone: ZoneInfo) -> Iterator[tuple[int, str]]:
    """Give the lines of a successful backup with the moments they were written."""
    begin = [
        f"INFO: Starting Backup of VM {story.vmid} ({story.kind})",
        f"INFO: Backup started at {moment(story.start, zone)}",
        f"INFO: status = {'running' if story.running else 'stopped'}",
    ]
    body = _qemu(story) if story.kind == "qemu" else _container(story)
    ready = story.start + max(story.seconds - 1, 0)
    end = [f"INFO: archive file size: {file_size(story.archive_bytes)}"]
    if story.notes:
        end.append("INFO: adding notes to backup")
    end.append(f"INFO: prune older backups with retention: {story.retention}")
    end += [f"INFO: removing backup '{volid}'" for volid in story.removed]
    end.append(
        f"INFO: pruned {len(story.removed)} backup(s)"
        + (" not covered by keep-retention policy" if story.removed else "")
    )
    yield from ((story.start, line) for line in begin)
    yield from body
    yield from ((ready, line) for line in end)
    done = story.start + story.seconds
    yield done, f"INFO: Finished Backup of VM {story.vmid} ({clock(story.seconds)})"
    yield done, f"INFO: Backup finished at {moment(done, zone)}"


def _qemu(story: Story) -> Iterator[tuple[int, str]]:
    include = [f"INFO: include disk '{disk.key}' '{disk.volid}' {disk_size(disk.size)}" for disk in story.disks]
    name, mode = f"INFO: VM Name: {story.name}", f"INFO: backup mode: {'snapshot' if story.running else 'stop'}"
    ionice = "INFO: ionice priority: 7"
    head = [name, *include, mode, ionice] if story.running else [mode, ionice, name, *include]
    head.append(f"INFO: creating vzdump archive '{story.archive}'")
    if story.running:
        head += [
            "INFO: issuing guest-agent 'fs-freeze' command",
            "INFO: starting backup via QMP command",
            "INFO: issuing guest-agent 'fs-thaw' command",
        ]
    else:
        head += ["INFO: starting kvm to execute backup task", "INFO: starting backup via QMP command"]
    head.append(f"INFO: started backup task '{story.task_uuid}'")
    if story.running:
        head.append("INFO: resuming VM again")
    total = sum(disk.size for disk in story.disks)
    copying = max(story.seconds - 2, 1)
    tail = [progress(total, total, copying, total / copying, story.stored_bytes / copying)]
    if (zero := total - story.stored_bytes) > 0:
        tail.append(sparse(zero, total))
    tail.append(transferred(total, copying))
    if not story.running:
        tail.append("INFO: stopping kvm after backup task")
    yield from ((story.start, line) for line in head)
    yield from ((story.start + copying, line) for line in tail)


def sparse(zero: int, total: int) -> str:
    """Give the line about bytes of disk that were zeros."""
    return f"INFO: backup is sparse: {human(zero, 2)} ({int(zero * 100 / total)}%) total zero data"


def _container(story: Story) -> Iterator[tuple[int, str]]:
    """Tell a container's backup. Derived from upstream's PVE/VZDump/LXC.pm, not recorded."""
    yield from ((story.start, line) for line in container_head(story.name, story.archive, downgrade=True))
    seconds = max(story.seconds - 2, 1)
    yield story.start + seconds, container_written(story.stored_bytes, seconds)


def container_head(name: str, archive: str, *, downgrade: bool) -> list[str]:
    """Give the lines before a container's data; without storage snapshots "snapshot" becomes "suspend" (derived)."""
    mount = "INFO: including mount point rootfs ('/') in backup"
    lines = [f"INFO: CT Name: {name}", mount]
    if downgrade:
        lines += [
            "INFO: mode failure - some volumes do not support snapshots",
            "INFO: trying 'suspend' mode instead",
            "INFO: backup mode: suspend",
            "INFO: ionice priority: 7",
            f"INFO: CT Name: {name}",
            mount,
        ]
    else:
        lines = ["INFO: backup mode: stop", "INFO: ionice priority: 7", *lines]
    return [*lines, f"INFO: creating vzdump archive '{archive}'"]


def container_written(count: int, seconds: int) -> str:
    """Give the line tar prints when it is done (derived)."""
    short = human(count).replace(" ", "")
    rate = human(count / max(seconds, 1)).replace(" ", "")
    return f"INFO: Total bytes written: {count} ({short}, {rate}/s)"


def guest_log(lines: Sequence[tuple[int, str]], zone: ZoneInfo) -> str:
    """Give the log kept beside an archive: dated lines, without those that only the task's log has."""
    only_task = ("INFO: Backup started at", "INFO: Backup finished at", "INFO: Failed at")
    return "".join(f"{moment(when, zone)} {line}\n" for when, line in lines if not line.startswith(only_task))
