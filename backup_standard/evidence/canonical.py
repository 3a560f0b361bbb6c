"""Values as JSON that two machines write alike: sorted keys, no insignificant white space, UTF-8, no NaN."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Mapping
from enum import Enum
from typing import Any

from backup_standard.quantities import say_duration


def canonical(value: Any) -> str:
    """One line of canonical JSON. ValueError for a number that JSON does not have."""
    return json.dumps(plain(value), sort_keys=True, ensure_ascii=False, separators=(",", ":"), allow_nan=False)


def plain(value: Any) -> Any:
    """A value of any kind as JSON has it: durations and objects in an operator's words, moments in ISO 8601."""
    if isinstance(value, Mapping):
        return {str(key): plain(inner) for key, inner in value.items()}
    if isinstance(value, set | frozenset):
        return sorted(plain(inner) for inner in value)
    if isinstance(value, list | tuple):
        return [plain(inner) for inner in value]
    return _single(value)


def _single(value: Any) -> Any:
    """One value that is no collection."""
    if isinstance(value, Enum):
        return value.value
    if value is None or isinstance(value, bool | int | float):
        return value
    if isinstance(value, dt.timedelta):
        return say_duration(value)
    return value.isoformat() if isinstance(value, dt.datetime | dt.date) else str(value)
