"""Facts as JSON and back: what ``facts.json`` of a run holds.

Every dataclass is an object of its fields, a :class:`Gap` is ``{"(gap)": {...}}``, times are ISO 8601
in UTC, sets are sorted lists. Reading it back gives equal facts. What to do with a type is found out once: a large site
has hundreds of thousands of values.
"""

from __future__ import annotations

import dataclasses
import datetime as dt
import json
import types
import typing
from collections.abc import Callable, Mapping
from enum import StrEnum
from functools import cache, partial
from typing import Any, get_args, get_origin

from backup_standard.model.facts import Facts, Gap

FORMAT = 1
"""Raised when an older reader would misread a newer file."""

_GAP = "(gap)"
"""Marks a gap; no job, storage or node can have this name."""

_LAID_OUT = 5
"""Down to this depth each has a line of its own: facts, their parts, a part's entries, what an entry holds."""

Coder = Callable[[Any], Any]


def facts_to_json(facts: Facts) -> str:
    """The facts as JSON text, each archive or task a line, the same text for the same facts."""
    return _laid_out({"format": FORMAT, "facts": _encode(facts)}, 1) + "\n"


def facts_from_json(text: str) -> Facts:
    """The facts in a JSON text. ValueError when it is something else or of a newer format."""
    document = json.loads(text)
    if not isinstance(document, dict) or document.get("format") != FORMAT:
        raise ValueError(f"these are not facts in format {FORMAT}")
    facts: Facts = _decoder(Facts)(document["facts"])
    return facts


def _laid_out(value: Any, depth: int) -> str:
    """JSON in lines down to a depth; the rest is left to the encoder in C, which knows no indentation."""
    if depth >= _LAID_OUT or not value or not isinstance(value, dict | list):
        return json.dumps(value, sort_keys=True, ensure_ascii=False)
    parts = (
        [f"{json.dumps(key, ensure_ascii=False)}: {_laid_out(value[key], depth + 1)}" for key in sorted(value)]
        if isinstance(value, dict)
        else [_laid_out(one, depth + 1) for one in value]
    )
    opening, closing = "{}" if isinstance(value, dict) else "[]"
    line = "\n" + " " * depth
    return f"{opening}{line}{f',{line}'.join(parts)}\n{' ' * (depth - 1)}{closing}"


def _encode(value: Any) -> Any:
    kind: Any = type(value)
    return _encoder(kind)(value)


@cache
def _encoder(kind: Any) -> Coder:
    """How a value of that type is written."""
    if issubclass(kind, Gap):
        return lambda gap: {_GAP: dataclasses.asdict(gap)}
    if dataclasses.is_dataclass(kind):
        names = tuple(one.name for one in dataclasses.fields(kind))
        return lambda value: {name: _encode(getattr(value, name)) for name in names}
    if issubclass(kind, Mapping):
        return lambda value: {str(key): _encode(inner) for key, inner in value.items()}
    if issubclass(kind, frozenset):
        return lambda value: sorted(map(_encode, value))
    if issubclass(kind, tuple):
        return lambda value: [*map(_encode, value)]
    return _moment if issubclass(kind, dt.datetime) else _as_it_is


def _moment(value: dt.datetime) -> str:
    return value.astimezone(dt.UTC).isoformat()


def _as_it_is(value: Any) -> Any:
    return value


@cache
def _decoder(wanted: Any) -> Coder:
    """How a value of that type is read."""
    origin, parts = get_origin(wanted), get_args(wanted)
    if origin in (typing.Union, types.UnionType):
        return _union_decoder(parts)
    if origin is not None:
        return _collection_decoder(origin, parts)
    if dataclasses.is_dataclass(wanted) and isinstance(wanted, type):
        return partial(_decode_dataclass, wanted, dict(_fields_of(wanted)))
    if wanted is dt.datetime:
        return dt.datetime.fromisoformat
    return wanted if isinstance(wanted, type) and issubclass(wanted, StrEnum) else _as_it_is


def _fields_of(wanted: type[Any]) -> typing.Iterator[tuple[str, Coder]]:
    hints = typing.get_type_hints(wanted)
    return ((one.name, _decoder(hints[one.name])) for one in dataclasses.fields(wanted))


def _decode_dataclass(wanted: type[Any], decoders: Mapping[str, Coder], value: Any) -> Any:
    fields = value[_GAP] if wanted is Gap else value
    return wanted(**{name: decoders[name](inner) for name, inner in fields.items() if name in decoders})


def _union_decoder(parts: tuple[Any, ...]) -> Coder:
    (meant,) = [_decoder(part) for part in parts if part not in (type(None), Gap)] or [_decoder(Gap)]
    gap = _decoder(Gap) if Gap in parts else None

    def decode(value: Any) -> Any:
        if value is None:
            return None
        return gap(value) if gap and isinstance(value, dict) and value.keys() == {_GAP} else meant(value)

    return decode


def _collection_decoder(origin: type[Any], parts: tuple[Any, ...]) -> Coder:
    if issubclass(origin, Mapping):
        name_of, inner = parts[0], _decoder(parts[1])
        return lambda value: {name_of(name): inner(one) for name, one in value.items()}
    each = _decoder(parts[0])
    return lambda value: origin(map(each, value))
