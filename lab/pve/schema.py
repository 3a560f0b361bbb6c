"""The trimmed API schema: which routes exist, and the check and conversion of a request's parameters.

Texts and order are those of the real thing (upstream: PVE/JSONSchema.pm validate, check_prop).
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from lab.pve.call import ApiError
from lab.pve.formats import Schema, check_format, parse_properties, python_pattern

FOLDER = Path(__file__).parent / "schema"
UNKNOWN = "property is not defined in schema and the schema does not allow additional properties"
MISSING = "property is missing and it is not optional"


@dataclass(frozen=True)
class Route:
    """One method of one path: its parameters, who may call it, and the kind of value it returns."""

    key: str
    parameters: Mapping[str, Schema]
    permissions: Mapping[str, Any]
    returns: str
    index: str | None = None

    @property
    def method(self) -> str:
        """GET, POST, PUT or DELETE."""
        return self.key.split(" ", 1)[0]

    @property
    def segments(self) -> list[str]:
        """The path's parts; variables stand in braces."""
        return [part for part in self.key.split(" ", 1)[1].split("/") if part]

    def parameter(self, name: str) -> Schema | None:
        """The schema of one parameter; numbered ones (net3) come from their family (net[n])."""
        if (plain := self.parameters.get(name)) is not None:
            return plain
        found = re.fullmatch(r"([a-z]+)(0|[1-9]\d*)", name)
        family = self.parameters.get(f"{found[1]}[n]") if found else None
        return family if found and family and int(found[2]) < family["count"] else None


class ApiSchema:
    """All routes of one release."""

    def __init__(self, version: str) -> None:
        """``version`` is a release, such as "9.2"."""
        data = json.loads((FOLDER / f"pve-{version}.json").read_text())
        self.version: str = data["version"]
        self.formats: list[dict[str, Schema]] = data["formats"]
        self.routes = {
            key: Route(
                key, entry["parameters"], entry.get("permissions", {}), entry.get("returns", "null"), entry.get("index")
            )
            for key, entry in data["routes"].items()
        }
        self._tree: dict[str, Any] = {}
        for route in self.routes.values():
            node = self._tree.setdefault(route.method, {})
            for part in route.segments:
                node = node.setdefault("{}" if part.startswith("{") else part, {})
            node[""] = route

    def find(self, method: str, path: str) -> tuple[Route, dict[str, str]] | None:
        """The route of a request and the values of its path variables."""
        parts = [part for part in path.split("/") if part]
        found = _descend(self._tree.get(method, {}), parts)
        if found is None:
            return None
        names = zip(found.segments, parts, strict=False)
        variables = {name[1:-1]: value for name, value in names if name.startswith("{")}
        if found.segments and found.segments[-1] == "{volume}" and len(parts) > len(found.segments):
            variables["volume"] = "/".join(parts[len(found.segments) - 1 :])
        return found, variables

    def children(self, route: Route) -> list[str]:
        """The names of the routes directly below an index."""
        parts = route.segments
        depth = len(parts)
        found = {
            other.segments[depth]: None
            for other in self.routes.values()
            if other.segments[:depth] == parts and len(other.segments) > depth
        }
        return [name for name in found if not name.startswith("{")]

    def check(self, route: Route, given: Mapping[str, Any]) -> dict[str, Any]:
        """Convert and check all parameters; raises the 400 that names each wrong one."""
        values: dict[str, Any] = {}
        errors: dict[str, str] = {}
        for name, value in given.items():
            schema = route.parameter(name)
            if schema is None:
                errors[name] = UNKNOWN
                continue
            values[name], error = self.convert(schema, value, name)
            requires = schema.get("requires")
            if error:
                errors[name] = error
            elif requires and requires not in given:
                errors[requires] = f"missing property - '{name}' requires this property"
        for name, schema in route.parameters.items():
            if not schema.get("optional") and name not in given and not name.endswith("[n]"):
                errors[name] = MISSING
        if errors:
            raise ApiError.param(errors)
        return values

    def convert(self, schema: Schema, value: Any, name: str = "") -> tuple[Any, str | None]:
        """One value as its type, and what is wrong with it; ``name`` stands in the errors of property strings."""
        kind = schema.get("type", "string")
        if kind == "array":
            items = value if isinstance(value, list) else [value]
            pairs = [self.convert(schema.get("items", {}), item) for item in items]
            return [item for item, _ in pairs], next((error for _, error in pairs if error), None)
        if isinstance(value, list):
            value = "\0".join(str(item) for item in value)
        if kind in _TYPES:
            typed = _TYPES[kind](value)
            if typed is None:
                return value, f"type check ('{kind}') failed - got '{value}'"
            value = typed
        elif not isinstance(value, str):
            value = str(int(value)) if isinstance(value, bool) else str(value)
        return value, self._limits(schema, value, name)

    def _limits(self, schema: Schema, value: Any, name: str) -> str | None:
        text = str(value)
        if "properties" in schema and (error := self.check_properties(schema["properties"], text, name)):
            return f"invalid format - {error}"
        if "format" in schema and (error := check_format(schema["format"], text)):
            return f"invalid format - {error}"
        if "enum" in schema and text not in map(str, schema["enum"]):
            return f"value '{text}' does not have a value in the enumeration '{', '.join(map(str, schema['enum']))}'"
        return _range(schema, value) if isinstance(value, int | float) else _length(schema, text)

    def check_properties(self, number: int, text: str, prefix: str) -> str | None:
        """What is wrong with a property string of this format; ``prefix`` is the parameter's name."""
        properties = self.formats[number]
        parsed = parse_properties(properties, text)
        if isinstance(parsed, str):
            return parsed
        wrong: list[str] = []
        for name, value in parsed.items():
            schema = properties.get(name)
            error = UNKNOWN if schema is None else self.convert(schema, value)[1]
            if error:
                wrong.append(f"{prefix}.{name}: {error}\n")
        wrong += [
            f"{prefix}.{name}: {MISSING}\n"
            for name, schema in properties.items()
            if not schema.get("optional") and name not in parsed and "alias" not in schema
        ]
        return "format error\n" + "".join(wrong) if wrong else None


def _descend(node: dict[str, Any], parts: list[str]) -> Route | None:
    for index, part in enumerate(parts):
        if part in node:
            node = node[part]
        elif "{}" in node:
            node = node["{}"]
        else:
            ending = node.get("")
            is_rest = isinstance(ending, Route) and ending.segments[-1:] == ["{volume}"] and index
            return ending if is_rest else None
    found = node.get("")
    return found if isinstance(found, Route) else None


def _boolean(value: Any) -> int | None:
    if isinstance(value, bool):
        return int(value)
    return {"0": 0, "1": 1}.get(str(value))


def _integer(value: Any) -> int | None:
    if isinstance(value, bool):
        return int(value)
    return int(value) if re.fullmatch(r"[+-]?\d+", str(value)) else None


def _number(value: Any) -> float | None:
    text = str(value)
    if not re.fullmatch(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?", text):
        return None
    number = float(text)
    return int(text) if re.fullmatch(r"[+-]?\d+", text) else number


_TYPES = {"boolean": _boolean, "integer": _integer, "number": _number}


def _range(schema: Schema, value: float) -> str | None:
    if "minimum" in schema and value < float(schema["minimum"]):
        return f"value must have a minimum value of {schema['minimum']}"
    if "maximum" in schema and value > float(schema["maximum"]):
        return f"value must have a maximum value of {schema['maximum']}"
    return None


def _length(schema: Schema, text: str) -> str | None:
    if "maxLength" in schema and len(text) > int(schema["maxLength"]):
        return f"value may only be {schema['maxLength']} characters long"
    if "minLength" in schema and len(text) < int(schema["minLength"]):
        return f"value must be at least {schema['minLength']} characters long"
    pattern = schema.get("pattern")
    if pattern and not re.search(f"^(?:{python_pattern(pattern)})$", text):
        return "value does not match the regex pattern"
    return None


@cache
def load(version: str) -> ApiSchema:
    """The schema of a release, read once."""
    return ApiSchema(version)
