"""Answers in a form that they cannot have: told apart from empty ones, which would read as "there is nothing"."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

from backup_standard.model import Gap

T = TypeVar("T")
MISSHAPEN = (LookupError, TypeError, ValueError, AttributeError, OverflowError, RecursionError)
"""What reading a value from an answer raises when the answer is not in the form expected."""

_LATEST = 253_000_000_000
"""Epoch seconds in the year 9987: what lies beyond is no date."""
_NODE = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?")
_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.:-]{0,127}")
_UPID = re.compile(r"UPID:[A-Za-z0-9-]+:[0-9A-Fa-f]+:[0-9A-Fa-f]+:[0-9A-Fa-f]+:[^:/\s]+:[^:/\s]*:[^:/\s]+:")
_SHOWN = 80


def rows(answer: Any) -> Sequence[Mapping[str, Any]]:
    """A list of objects. ValueError for anything else: null and {} are not "none"."""
    if not isinstance(answer, list) or not all(isinstance(row, dict) for row in answer):
        raise ValueError(f"a list of objects is expected, not {_say(answer)}")
    return answer


def record(answer: Any) -> Mapping[str, Any]:
    """An object. ValueError for anything else."""
    if not isinstance(answer, dict):
        raise ValueError(f"an object is expected, not {_say(answer)}")  # noqa: TRY004 - one error for all misshapes
    return answer


def scalar(value: Any) -> str:
    """Text or a number, as text. ValueError for what is neither."""
    if isinstance(value, dict | list) or value is None:
        raise ValueError(f"text is expected, not {_say(value)}")
    return str(value)


def moment(value: Any) -> int:
    """Epoch seconds. ValueError for what is no date."""
    seconds = int(value)
    if not 0 <= seconds < _LATEST:
        raise ValueError(f"{seconds} is no moment in time")
    return seconds


def count(value: Any) -> int:
    """Bytes or a number of things. ValueError below zero."""
    number = int(value)
    if number < 0:
        raise ValueError(f"{number} is less than nothing")
    return number


def node_name(value: Any) -> str:
    """The name of a node. ValueError for what cannot be one, such as a path."""
    return _like(_NODE, value, "the name of a node")


def is_node_name(value: Any) -> bool:
    """Whether a value can be the name of a node."""
    return isinstance(value, str) and _NODE.fullmatch(value) is not None


def identifier(value: Any) -> str:
    """The id of a job or storage. ValueError for what cannot be one."""
    return _like(_ID, value, "an id")


def upid(value: Any) -> str:
    """A UPID. ValueError for what is none."""
    return _like(_UPID, value, "a UPID")


def _like(form: re.Pattern[str], value: Any, what: str) -> str:
    text = scalar(value)
    if not form.fullmatch(text):
        raise ValueError(f"{text[:_SHOWN]!r} is not {what}")
    return text


def _say(value: Any) -> str:
    if isinstance(value, list):
        odd = next((one for one in value if not isinstance(one, dict)), None)
        return f"a list with {'a list' if isinstance(odd, list) else _say(odd)} in it"  # however deep that one is
    text = "an object" if isinstance(value, dict) else "null" if value is None else repr(value)
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…"


def say(problem: BaseException) -> str:
    """What is wrong with an answer, in words."""
    if isinstance(problem, KeyError):
        return f"{problem} is missing"
    return str(problem) or type(problem).__name__


def shaped(fact: str, need: str, read: Callable[[], T]) -> T | Gap:
    """What ``read`` makes of a command's output; a gap where the output is in no form that it can have."""
    try:
        return read()
    except MISSHAPEN as problem:
        return Gap(fact, f"the answer is not understood: {say(problem)}", need, broken=True)
