"""Facts as JSON and back: what ``facts.json`` of a run holds.

Every dataclass is an object of its fields, a :class:`Gap` is ``{"(gap)": {...}}``, times are ISO 8601
in UTC, sets are sorted lists. Reading it back gives equal facts.
"""

from __future__ import annotations

import dataclasses
import datetime as dt
import json
import types
import typing
from collections.abc import Mapping
from enum import StrEnum
from typing import Any, get_args, get_origin

from backup_standard.model.facts import Facts, Gap

FORMAT = 1
"""Raised when an older reader would misread a newer file."""

_GAP = "(gap)"
"""Marks a gap; no job, storage or node can have this name."""


def facts_to_json(facts: Facts) -> str:
    """The facts as JSON text, indented, the same text for the same facts."""
    document = {"format": FORMAT, "facts": _encode(facts)}
    return json.dumps(document, indent=1, sort_keys=True, ensure_ascii=False) + "\n"


def facts_from_json(text: str) -> Facts:
    """The facts in a JSON text. ValueError when it is something else or of a newer format."""
    document = json.loads(text)
    if not isinstance(document, dict) or document.get("format") != FORMAT:
        raise ValueError(f"these are not facts in format {FORMAT}")
    facts: Facts = _decode(Facts, document["facts"])
    return facts


def _encode(value: Any) -> Any:
    if isinstance(value, Gap):
        return {_GAP: dataclasses.asdict(value)}
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {one.name: _encode(getattr(value, one.name)) for one in dataclasses.fields(value)}
    if isinstance(value, Mapping):
        return {str(key): _encode(inner) for key, inner in value.items()}
    if isinstance(value, frozenset | tuple):
        items = [_encode(inner) for inner in value]
        return sorted(items) if isinstance(value, frozenset) else items
    return value.astimezone(dt.UTC).isoformat() if isinstance(value, dt.datetime) else value


def _decode(wanted: Any, value: Any) -> Any:
    origin, parts = get_origin(wanted), get_args(wanted)
    if origin in (typing.Union, types.UnionType):
        return _decode_union(parts, value)
    if origin is not None:
        return _decode_collection(origin, parts, value)
    if dataclasses.is_dataclass(wanted) and isinstance(wanted, type):
        return _decode_dataclass(wanted, value)
    if wanted is dt.datetime:
        return dt.datetime.fromisoformat(value)
    return wanted(value) if isinstance(wanted, type) and issubclass(wanted, StrEnum) else value


def _decode_dataclass(wanted: type[Any], value: Any) -> Any:
    fields = value[_GAP] if wanted is Gap else value
    hints = typing.get_type_hints(wanted)
    return wanted(**{name: _decode(hints[name], inner) for name, inner in fields.items() if name in hints})


def _decode_union(parts: tuple[Any, ...], value: Any) -> Any:
    if value is None:
        return None
    if Gap in parts and isinstance(value, dict) and set(value) == {_GAP}:
        return _decode(Gap, value)
    (meant,) = [part for part in parts if part not in (type(None), Gap)]
    return _decode(meant, value)


def _decode_collection(origin: Any, parts: tuple[Any, ...], value: Any) -> Any:
    if issubclass(origin, Mapping):
        return {parts[0](key): _decode(parts[1], inner) for key, inner in value.items()}
    return origin(_decode(parts[0], inner) for inner in value)
