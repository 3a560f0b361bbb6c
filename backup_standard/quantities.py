"""Durations and sizes as operators write and read them: ``26h``, ``1d 2h``, ``500 GiB``."""

from __future__ import annotations

import re
from datetime import timedelta

_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}
_BYTES = {"": 1, "K": 2**10, "M": 2**20, "G": 2**30, "T": 2**40}
_DURATION = re.compile(r"(\d+(?:\.\d+)?)\s*([smhdw])", re.IGNORECASE)
_SIZE = re.compile(r"(\d+(?:\.\d+)?)\s*([KMGT]?(?:i?B)?)", re.IGNORECASE)


def parse_duration(text: str) -> timedelta:
    """``"90s"``, ``"26h"`` or ``"1d 2h"`` as a timedelta. ValueError says what a duration looks like."""
    parts = _DURATION.findall(text)
    if not parts or _DURATION.sub("", text).strip():
        raise ValueError(f"{text!r} is not a duration; write 90s, 30m, 26h or 7d")
    return timedelta(seconds=sum(float(number) * _SECONDS[unit.lower()] for number, unit in parts))


def parse_size(text: str) -> int:
    """``"500 GiB"`` in bytes; units are powers of 1024. ValueError says what a size looks like."""
    match = _SIZE.fullmatch(text.strip())
    unit = match.group(2).upper().rstrip("B").removesuffix("I") if match else None
    if match is None or unit not in _BYTES:
        raise ValueError(f"{text!r} is not a size; write 500 GiB, 64 MiB or a number of bytes")
    return int(float(match.group(1)) * _BYTES[unit])


def say_duration(span: timedelta | float) -> str:
    """A duration (timedelta, or seconds) in at most two units: ``1 d 2 h``, ``7 min 30 s``, ``4.2 s``."""
    seconds = span.total_seconds() if isinstance(span, timedelta) else float(span)
    if abs(seconds) < 60:  # noqa: PLR2004 - a minute
        return f"{seconds:.1f} s" if seconds != int(seconds) else f"{int(seconds)} s"
    sign, rest = ("-" if seconds < 0 else ""), int(abs(seconds))
    parts: list[tuple[int, str]] = []
    for name, size in (("d", 86400), ("h", 3600), ("min", 60), ("s", 1)):
        count, rest = divmod(rest, size)
        if count or parts:
            parts.append((count, name))
    return sign + " ".join(f"{count} {name}" for count, name in parts[:2] if count)


def say_size(size: float) -> str:
    """Bytes as ``112 MiB``."""
    value = float(size)
    for unit in ("B", "KiB", "MiB", "GiB"):
        if value < 1024:  # noqa: PLR2004 - the step between units
            return f"{value:.0f} {unit}" if unit == "B" or value >= 100 else f"{value:.1f} {unit}"  # noqa: PLR2004
        value /= 1024
    return f"{value:.1f} TiB"
