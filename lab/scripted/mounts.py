"""``findmnt``, ``df`` and ``mountpoint`` over the mounts of a scripted machine."""

from __future__ import annotations

import json

from lab.hypervisor import CommandResult
from lab.scripted.options import columns_of, options_of, take
from lab.scripted.shell import Context, fail, not_scripted, ok

Row = dict[str, object]


def _mount_row(context: Context, point: str) -> Row:
    mounted = context.host.files.mounts[point]
    usage = context.host.files.usage(point)
    options = mounted.options.replace("rw", "ro", 1) if mounted.readonly else mounted.options
    own = "ro" if mounted.readonly else "rw"
    return {
        "target": point,
        "source": mounted.source,
        "fstype": mounted.fstype,
        "options": options,
        "fsroot": "/",
        "vfs-options": mounted.options.split(",errors")[0],
        "fs-options": own,
        "maj:min": f"{mounted.device >> 8}:{mounted.device & 255}",
        "size": usage.total,
        "used": usage.used,
        "avail": usage.avail,
        "use%": f"{100 * usage.used // max(1, usage.total)}%",
        "propagation": "shared",
        "uuid": None,
        "label": None,
    }


def findmnt(context: Context, arguments: list[str]) -> CommandResult:
    """``findmnt [-J] [-T PATH | -M PATH | WHAT] [-o COLUMNS]``."""
    words = list(arguments)
    place, point = take(words, {"-T", "--target"}), take(words, {"-M", "--mountpoint"})
    flags = {"-J", "--json", "-n", "--noheadings", "-b", "--bytes", "-r", "--raw", "-v", "-l", "--list"}
    options = options_of(words, {"-o", "--output"}, flags)
    if options is None or len(options.words) > 1:
        raise not_scripted(["findmnt", *arguments])
    files, points = context.host.files, list(context.host.files.mounts)
    point = point or (options.words[0] if options.words else "")
    if place:
        if not files.exists(place):
            return fail(1)
        points = [files.place(place)[0]]
    elif point:
        points = [known for known in points if point in {known, files.mounts[known].source}]
    if not points:
        return fail(1)
    columns = columns_of(options.values, "TARGET,SOURCE,FSTYPE,OPTIONS")
    rows = [_mount_row(context, known) for known in points]
    if unknown := [column for column in columns if column not in rows[0]]:
        raise not_scripted(["findmnt", "-o", *unknown])
    shown = [{column: row[column] for column in columns} for row in rows]
    if {"-J", "--json"} & options.flags:
        return ok(json.dumps({"filesystems": shown}, indent=3) + "\n")
    head = [] if {"-n", "--noheadings"} & options.flags else [" ".join(column.upper() for column in columns)]
    return ok("".join(f"{line}\n" for line in [*head, *(" ".join(map(str, row.values())) for row in shown)]))


def df(context: Context, arguments: list[str]) -> CommandResult:
    """``df -B1 PATH…`` (also ``-P``)."""
    paths = [word for word in arguments if not word.startswith("-")]
    if not paths or not {*arguments} - {*paths} <= {"-B1", "-P"} or "-B1" not in arguments:
        raise not_scripted(["df", *arguments])
    lines = ["Filesystem 1B-blocks Used Available Use% Mounted on"]
    for path in paths:
        if not context.host.files.exists(path):
            return fail(1, f"df: {path}: No such file or directory")
        usage = context.host.files.usage(path)
        source = context.host.files.mounts[usage.mountpoint].source
        percent = 100 * usage.used // max(1, usage.total)
        lines.append(f"{source} {usage.total} {usage.used} {usage.avail} {percent}% {usage.mountpoint}")
    return ok("\n".join(lines) + "\n")


def mountpoint(context: Context, arguments: list[str]) -> CommandResult:
    """``mountpoint [-q] PATH``."""
    quiet, path = "-q" in arguments, arguments[-1] if arguments else ""
    mounted = path in context.host.files.mounts
    text = f"{path} is {'' if mounted else 'not '}a mountpoint\n"
    return CommandResult(0 if mounted else 32, "" if quiet else text, "")
