"""``find``, ``head`` and ``tail`` over the files of a scripted machine, as far as audits use them."""

from __future__ import annotations

import posixpath
from collections.abc import Iterator, Mapping, Sequence

from lab.hypervisor import CommandResult
from lab.scripted.files import Entry
from lab.scripted.options import take
from lab.scripted.shell import Context, Program, not_scripted

_ESCAPES = {"t": "\t", "n": "\n", "0": "\0", "\\": "\\"}


def _find(context: Context, arguments: list[str]) -> CommandResult:
    """``find PATH… [-mindepth N] -maxdepth N -printf FORMAT``."""
    words = list(arguments)
    least, most, template = take(words, {"-mindepth"}), take(words, {"-maxdepth"}), take(words, {"-printf"})
    if not most.isdigit() or not template or any(word.startswith("-") for word in words):
        raise not_scripted(["find", *arguments])
    out, err = "", ""
    for start in words:
        try:
            for inner, entry in _below(context, start, int(most)):
                if int(least or 0) <= len(inner.split("/")) * bool(inner):
                    out += _printed(template, _fields(context, start, inner, entry))
        except OSError as error:
            err += f"find: \u2018{start}\u2019: {error.strerror}\n"
    return CommandResult(1 if err else 0, out, err)


def _below(context: Context, start: str, most: int, inner: str = "") -> Iterator[tuple[str, Entry]]:
    """Give a place itself (as "") and what is in it, at most so many levels deep."""
    files = context.host.files
    path = posixpath.join(start, inner).rstrip("/") or "/"
    entry = files.entry(path)
    yield inner, entry
    if entry.folder and most:
        for name, _child in files.children(path):
            yield from _below(context, start, most - 1, posixpath.join(inner, name))


def _fields(context: Context, start: str, inner: str, entry: Entry) -> Mapping[str, object]:
    path = f"{start.rstrip('/')}/{inner}"
    device = context.host.files.place(path.rstrip("/") or "/")[1].device
    return {
        "H": start,
        "P": inner,
        "p": path if inner else start,
        "y": "d" if entry.folder else "f",
        "s": len(entry.data),
        "T@": f"{entry.mtime:.10f}",
        "D": device,
        "f": inner.rsplit("/", 1)[-1] or start,
    }


def _printed(template: str, fields: Mapping[str, object]) -> str:
    out, rest = "", template
    while rest:
        if rest[0] == "\\" and rest[1:2] in _ESCAPES:
            out, rest = out + _ESCAPES[rest[1]], rest[2:]
        elif rest[0] == "%":
            key = next((name for name in fields if rest[1:].startswith(name)), None)
            if key is None:
                raise not_scripted(["find", "-printf", template])
            out, rest = out + str(fields[key]), rest[1 + len(key) :]
        else:
            out, rest = out + rest[0], rest[1:]
    return out


def _parts(name: str, *, last: bool) -> Program:
    """Return ``head -v -c BYTES FILE…`` or ``tail -v -n LINES FILE…``."""

    def program(context: Context, arguments: list[str]) -> CommandResult:
        words = [word for word in arguments if word not in {"-v", "--"}]
        count = take(words, {"-n"} if last else {"-c"})
        if "-v" not in arguments or not count.isdigit() or any(word.startswith("-") for word in words):
            raise not_scripted([name, *arguments])
        return _shown(context, name, words, int(count), last=last)

    return program


def _shown(context: Context, name: str, paths: Sequence[str], count: int, *, last: bool) -> CommandResult:
    out, err = b"", ""
    for path in paths:
        try:
            data = context.host.files.read(path)
        except OSError as error:
            err += f"{name}: cannot open '{path}' for reading: {error.strerror}\n"
            continue
        part = b"".join(data.splitlines(keepends=True)[-count:]) if last else data[:count]
        out += (b"\n" if out else b"") + f"==> {path} <==\n".encode() + part
    return CommandResult(1 if err else 0, out.decode("utf-8", "surrogateescape"), err)


PROGRAMS: Mapping[str, Program] = {"find": _find, "head": _parts("head", last=False), "tail": _parts("tail", last=True)}
