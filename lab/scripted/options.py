"""Command line options, as far as the scripted programs share them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass
class Options:
    """Arguments of a command, sorted."""

    flags: set[str]
    values: list[str]
    words: list[str]


def options_of(arguments: Sequence[str], valued: set[str], flags: set[str]) -> Options | None:
    """Sort arguments into flags, values of the one valued option, and words; None when one is not known."""
    found, rest = Options(set(), [], []), list(arguments)
    while rest:
        word = rest.pop(0)
        name, joined, value = word.partition("=")
        if name in valued:
            found.values.append(value if joined else rest.pop(0) if rest else "")
        elif word in flags:
            found.flags.add(word)
        elif word.startswith("-") and not word.startswith("--") and {f"-{letter}" for letter in word[1:]} <= flags:
            found.flags |= {f"-{letter}" for letter in word[1:]}
        elif word.startswith("-") and word != "--":
            return None
        elif word != "--":
            found.words.append(word)
    return found


def columns_of(values: Sequence[str], default: str) -> list[str]:
    """Return the columns asked for, or the default ones."""
    return [column.lower() for column in (values[-1] if values else default).split(",")]


def take(words: list[str], names: set[str]) -> str:
    """Take an option with its value out of the words; "" when it is not there."""
    for index, word in enumerate(words[:-1]):
        if word in names:
            value = words[index + 1]
            del words[index : index + 2]
            return value
    return ""
