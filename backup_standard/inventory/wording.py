"""Pydantic's errors in the words of someone who has to mend the file: what is wrong and what would be right."""

from __future__ import annotations

import difflib
import types
import typing
from collections.abc import Iterable, Mapping
from typing import Any, get_args, get_origin

from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo

from backup_standard.inventory.document import Place
from backup_standard.inventory.schema import Inventory

_SECRET_KEYS = ("secret", "password")


def problems(failure: ValidationError, data: Any) -> list[tuple[Place, str]]:
    """Every error of the failure as (place, text), in the order pydantic found them, without echoes of one cause."""
    found: dict[Place, str] = {}
    echoes: dict[Place, str] = {}
    for error in failure.errors(include_url=False):
        place, key_itself = _place(error["loc"], data)
        echo = error["type"] == "literal_error" and not isinstance(error["input"], str | int)
        text = _key_text(error, place) if key_itself else _text(error, place)
        (echoes if echo else found).setdefault(place, text)
    return list((found | {place: text for place, text in echoes.items() if not _told_within(place, found)}).items())


def _told_within(place: Place, found: Iterable[Place]) -> bool:
    """Whether an error at that place, or of something in it, is told already."""
    return any(other[: len(place)] == place for other in found)


def _place(location: tuple[str | int, ...], data: Any) -> tuple[Place, bool]:
    """Pydantic's location without the names of union branches; True when the key itself is meant."""
    if location and location[-1] == "[key]":
        return location[:-1], True
    place: list[str | int] = []
    here = data
    for step in location:
        branch = isinstance(step, str) and ("[" in step)
        if branch and not (isinstance(here, Mapping) and step in here):
            continue
        place.append(step)
        here = _inside(here, step)
    return tuple(place), False


def _inside(here: Any, step: str | int) -> Any:
    try:
        return here[step]
    except (KeyError, IndexError, TypeError):
        return None


def _key_text(error: Mapping[str, Any], place: Place) -> str:
    if place[0] == "guests":
        return "guests are listed by VMID, a whole number from 100 to 999999999"
    if error["type"] == "literal_error":
        return _not_one_of(place[-1], _literals(_member(_annotation(place[:-1]).annotation, 0)))
    return f"this key is not allowed here: {error['msg']}"


def _text(error: Mapping[str, Any], place: Place) -> str:
    kind, value = error["type"], error.get("input")
    if kind == "extra_forbidden":
        return _unknown_key(place)
    if kind == "missing":
        description = _annotation(place).description
        return "this key is missing" + (f": {description}" if description else "")
    if kind == "value_error":
        return str(error["ctx"]["error"])
    if kind == "literal_error":
        return _not_one_of(value, _literals(_annotation(place).annotation))
    if kind == "string_pattern_mismatch":
        return f"{_shown(value, place)} is not in the form wanted{_example(place)}"
    return _wrong_type(kind, value, place, error)


def _unknown_key(place: Place) -> str:
    model = _model(_annotation(place[:-1]).annotation) or Inventory
    known = [field.alias or name for name, field in model.model_fields.items()]
    near = difflib.get_close_matches(str(place[-1]), known, n=1, cutoff=0.6)
    return f"unknown key; did you mean {near[0]}?" if near else f"unknown key; known here: {', '.join(known)}"


def _not_one_of(value: Any, known: list[str]) -> str:
    near = difflib.get_close_matches(str(value), known, n=1)
    shown = repr(value) if isinstance(value, str | int | float) else _shown(value, ())
    return f"{shown} is not one of {', '.join(known)}" + (f"; did you mean {near[0]}?" if near else "")


_WANTED = {
    "string_type": "text",
    "int": "a whole number",
    "bool": "true or false",
    "float": "a number",
    "date": "a date as YYYY-MM-DD",
    "time_delta": "a duration such as 30m or 26h",
    "list_type": "a list (lines that begin with - )",
    "dict_type": "a section with keys",
    "model_type": "a section with keys",
    "model_attributes_type": "a section with keys",
}


def _wrong_type(kind: str, value: Any, place: Place, error: Mapping[str, Any]) -> str:
    wanted = next((words for prefix, words in _WANTED.items() if kind.startswith(prefix)), None)
    if wanted is None:
        return f"{_shown(value, place)}: {str(error['msg'])[:1].lower()}{str(error['msg'])[1:]}"
    if kind == "string_type" and isinstance(value, int | float) and place[-1] not in _SECRET_KEYS:
        return f"text is wanted here, not {value!r}; put it in quotes"
    others = _literals(_annotation(place).annotation)
    wanted = " or ".join([wanted, *(f"the word {word}" for word in others)])
    return f"{wanted} is wanted here, not {_shown(value, place)}"


def _shown(value: Any, place: Place) -> str:
    """The value as it may be printed: never one that could be a secret, never a whole section."""
    if any(step in _SECRET_KEYS for step in place):
        return "what is written"
    if value is None:
        return "nothing"
    if isinstance(value, dict):
        return "a section"
    return "a list" if isinstance(value, list) else repr(value)


def _example(place: Place) -> str:
    description = _annotation(place).description
    return f"; write {description}" if description else ""


def _annotation(place: Place) -> FieldInfo:
    """What the schema says of a place; an empty description where it says nothing."""
    here = FieldInfo(annotation=Inventory)
    for step in place:
        model = _model(here.annotation)
        fields = {field.alias or name: field for name, field in model.model_fields.items()} if model else {}
        inner = _member(here.annotation, -1)
        here = fields[str(step)] if step in fields else FieldInfo(annotation=inner)
    return here


def _branches(annotation: Any) -> Iterable[Any]:
    """The annotation and everything it is made of, without going into models."""
    yield annotation
    if get_origin(annotation) in (typing.Annotated, typing.Union, types.UnionType):
        for part in get_args(annotation):
            yield from _branches(part)


def _model(annotation: Any) -> type[BaseModel] | None:
    found = (part for part in _branches(annotation) if isinstance(part, type) and issubclass(part, BaseModel))
    return next(found, None)


def _member(annotation: Any, position: int) -> Any:
    """What a list or mapping holds (position -1), or its keys (0)."""
    for part in _branches(annotation):
        if get_origin(part) in (list, dict):
            return get_args(part)[position]
    return None


def _literals(annotation: Any) -> list[str]:
    return [
        str(value) for part in _branches(annotation) if get_origin(part) is typing.Literal for value in get_args(part)
    ]
