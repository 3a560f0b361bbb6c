"""Writes a waiver or an attestation into an inventory: everything else, comments too, stays as it is written."""

from __future__ import annotations

import copy
import datetime as dt
import io
import os
import re
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Literal

from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from backup_standard.errors import InventoryError, OperatorError
from backup_standard.inventory.document import parse_document
from backup_standard.inventory.loader import Loaded, parse

Section = Literal["waivers", "attestations"]
Entry = Mapping[str, str | dt.date]

_KEY_THEN_ITEM = re.compile(r"^( *)[^\s#-][^\n]*:[ ]*(?:#[^\n]*)?\n(?: *#[^\n]*\n|[ \t]*\n)*( *)- ", re.MULTILINE)
_KEY_THEN_KEY = re.compile(r"^( *)[^\s#-][^\n]*:[ ]*(?:#[^\n]*)?\n(?: *#[^\n]*\n|[ \t]*\n)*( +)[^\s#-]", re.MULTILINE)


def add(loaded: Loaded, section: Section, entry: Entry) -> tuple[Loaded, Mapping[str, Any] | None]:
    """Write the entry into the file; returns the inventory as written and the entry that the new one replaces, if any.

    An entry of the same rule and subject is replaced. The text is checked before it is written, and written as a whole
    or not at all. InventoryError when the file cannot be read or written, OperatorError when nothing could be added
    without changing something else.
    """
    path = loaded.path.resolve()
    with path.open(encoding="utf-8", newline="") as file:
        text = file.read()
    before = parse_document(text, name=str(loaded.path)).data
    wanted, replaced = _with_entry(before, section, entry)
    for changed in _candidates(text.replace("\r\n", "\n"), section, entry):
        if _means(changed, wanted):
            break
    else:
        raise OperatorError(
            "the entry cannot be added without changing something else in the file",
            where=str(loaded.path),
            next_step=f"add it by hand:\n{_fragment(YAML(), section, entry)}",
        )
    again = parse(changed, loaded.path)
    _write(path, changed.replace("\n", "\r\n") if "\r\n" in text else changed)
    return again, replaced


def _with_entry(data: Any, section: Section, entry: Entry) -> tuple[Any, Mapping[str, Any] | None]:
    """The inventory's data as it shall be, and the entry that had the same rule and subject."""
    wanted = copy.deepcopy(data)
    entries = wanted.setdefault(section, [])
    place = _place(entries, entry)
    if place is None:
        entries.append(dict(entry))
        return wanted, None
    replaced, entries[place] = entries[place], dict(entry)
    return wanted, replaced


def _place(entries: Any, entry: Entry) -> int | None:
    """Where an entry of that rule and subject stands."""
    same = (number for number, one in enumerate(entries) if all(one[key] == entry[key] for key in ("rule", "subject")))
    return next(same, None)


def _candidates(text: str, section: Section, entry: Entry) -> Iterator[str]:
    """The text with the entry in it: as a section of its own at the end, or in its place in the file."""
    yaml = _yaml_like(text)
    if not re.search(rf"^{section}\s*:", text, re.MULTILINE):
        yield f"{text.rstrip()}\n\n{_fragment(yaml, section, entry)}"
    data = yaml.load(text)
    entries = data.setdefault(section, [])
    if not entries and hasattr(entries, "fa"):
        entries.fa.set_block_style()
    place = _place(entries, entry)
    if place is None:
        entries.append(dict(entry))
    else:
        entries[place].update(entry)
    yield _dumped(yaml, data)


def _yaml_like(text: str) -> YAML:
    """A reader and writer that keeps comments, quotes and anchors, and indents as the text does."""
    yaml = YAML()
    yaml.preserve_quotes = True
    yaml.width = 10**6
    key, item = _KEY_THEN_KEY.search(text), _KEY_THEN_ITEM.search(text)
    mapping = len(key[2]) - len(key[1]) if key else 2
    offset = len(item[2]) - len(item[1]) if item else 2
    yaml.indent(mapping=max(mapping, 1), sequence=max(offset, 0) + 2, offset=max(offset, 0))
    return yaml


def _fragment(yaml: YAML, section: Section, entry: Entry) -> str:
    return _dumped(yaml, {section: [dict(entry)]})


def _dumped(yaml: YAML, data: Any) -> str:
    stream = io.StringIO()
    yaml.dump(data, stream)
    return stream.getvalue()


def _means(text: str, wanted: Any) -> bool:
    try:
        return bool(parse_document(text, name="the new text").data == wanted)
    except (InventoryError, YAMLError):
        return False


def _write(path: Path, text: str) -> None:
    """Replace the file's content as a whole, with its permissions."""
    scratch = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with scratch.open("w", encoding="utf-8", newline="") as file:
            file.write(text)
        shutil.copymode(path, scratch)
        scratch.replace(path)
    except OSError as problem:
        scratch.unlink(missing_ok=True)
        raise InventoryError(f"the file cannot be written: {problem.strerror}", where=str(path)) from None
