"""A YAML file as plain data that remembers the line of every key and item."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from backup_standard.errors import InventoryError

Place = tuple[str | int, ...]
"""Where something stands: the keys and list positions that lead to it."""

_PLAIN = ("null", "bool", "int", "float", "str", "timestamp", "map", "seq")
_TAGS = {f"tag:yaml.org,2002:{name}" for name in _PLAIN}
_MERGE = "tag:yaml.org,2002:merge"


@dataclass
class Document:
    """``data`` as read, ``lines`` (from 1) of every place, ``problems`` that YAML itself allows and we do not."""

    data: Any
    lines: dict[Place, int] = field(default_factory=dict)
    problems: list[tuple[int, Place, str]] = field(default_factory=list)

    def line(self, place: Place) -> int:
        """The line of the place, or of the nearest thing around it."""
        for length in range(len(place), -1, -1):
            if place[:length] in self.lines:
                return self.lines[place[:length]]
        return 1


def read_document(path: Path) -> Document:
    """Read the file. InventoryError when there is none, when it is not text, or not YAML."""
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise InventoryError("there is no such file", where=str(path), next_step=_neighbours(path)) from None
    except IsADirectoryError:
        raise InventoryError("that is a folder, not an inventory", where=str(path)) from None
    except UnicodeDecodeError:
        raise InventoryError("the file is not UTF-8 text", where=str(path), next_step="save it as UTF-8") from None
    except OSError as problem:
        raise InventoryError(f"the file cannot be read: {problem.strerror}", where=str(path)) from None
    return parse_document(text, name=str(path))


def parse_document(text: str, *, name: str) -> Document:
    """The text as a document; ``name`` is what messages call it. InventoryError when it is not YAML."""
    yaml = YAML(typ="safe", pure=True)
    try:
        root = yaml.compose(text)
    except MarkedYAMLError as problem:
        mark = problem.problem_mark or problem.context_mark
        where = f"{name}:{mark.line + 1}" if mark else name
        raise InventoryError(f"this is not YAML: {problem.problem}", where=where, next_step=_YAML_CURE) from None
    except YAMLError as problem:
        first, position = str(problem).splitlines()[0], getattr(problem, "position", None)
        where = f"{name}:{text.count(chr(10), 0, position) + 1}" if isinstance(position, int) else name
        raise InventoryError(f"this is not YAML: {first}", where=where, next_step=_YAML_CURE) from None
    document = Document(data=None)
    if root is not None:
        document.data = _Builder(yaml, document).build(root, ())
    return document


_YAML_CURE = "look at that line and the one above: indentation, a missing colon or quote, a tab instead of spaces"


def _neighbours(path: Path) -> str:
    folder = path.parent
    found = sorted(str(folder / entry.name) for entry in folder.glob("*.yaml")) if folder.is_dir() else []
    return f"inventories in that folder: {', '.join(found)}" if found else "give the path of an inventory file"


class _Builder:
    """Turns composed nodes into data; every alias is built anew, a node that contains itself is a problem."""

    def __init__(self, yaml: YAML, document: Document) -> None:
        self._yaml, self._document = yaml, document
        self._open: list[int] = []

    def build(self, node: Node, place: Place) -> Any:
        line = node.start_mark.line + 1
        self._document.lines.setdefault(place, line)
        if id(node) in self._open:
            self._document.problems.append((line, place, "this anchor contains itself; write the values out"))
            return None
        if str(node.tag) not in _TAGS:
            self._document.problems.append((line, place, f"the tag {node.tag} means nothing here; remove it"))
            return None
        self._open.append(id(node))
        try:
            return self._value(node, place)
        finally:
            self._open.pop()

    def _value(self, node: Node, place: Place) -> Any:
        if isinstance(node, MappingNode):
            return self._mapping(node, place)
        if isinstance(node, SequenceNode):
            return [self.build(item, (*place, index)) for index, item in enumerate(node.value)]
        return self._scalar(node)

    def _scalar(self, node: Node) -> Any:
        try:
            return self._yaml.constructor.construct_object(node)
        except (ValueError, YAMLError):  # a date such as 2026-02-30: as text it gets a message of its own
            return node.value

    def _mapping(self, node: MappingNode, place: Place) -> dict[Any, Any]:
        found: dict[Any, Any] = {}
        merged: dict[Any, Any] = {}
        for key_node, value_node in node.value:
            if str(key_node.tag) == _MERGE:
                value = self.build(value_node, place)
                merged.update(value if isinstance(value, dict) else {})
                continue
            self._entry(found, key_node, value_node, place)
        return merged | found

    def _entry(self, found: dict[Any, Any], key_node: Node, value_node: Node, place: Place) -> None:
        line = key_node.start_mark.line + 1
        if not isinstance(key_node, ScalarNode):
            self._document.problems.append((line, place, "a key is a single word or number, not a list or mapping"))
            return
        key = self._scalar(key_node)
        inner = (*place, key)
        if key in found:
            first = self._document.lines[inner]
            self._document.problems.append((line, inner, f"this key is given twice (first in line {first}); keep one"))
            return
        self._document.lines[inner] = line
        found[key] = self.build(value_node, inner)
