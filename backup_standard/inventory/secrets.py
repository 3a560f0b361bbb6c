"""Secrets by reference: ``env:NAME``, ``file:PATH`` or ``cmd:COMMAND``. Their values are never printed."""

from __future__ import annotations

import os
import shlex
import subprocess
from pathlib import Path

from backup_standard.errors import SecretError

COMMAND_TIMEOUT = 60
"""Seconds a ``cmd:`` reference may take: long enough for a password manager that asks its owner."""

LAB_STATE = "backup-standard-lab"
"""The folder that the embedded lab makes its secrets in."""
_STORE = "create it with the secret alone in it, mode 0600"


class Secret:
    """A secret value that shows itself only through :meth:`reveal`."""

    __slots__ = ("_value",)

    def __init__(self, value: str) -> None:
        self._value = value

    def reveal(self) -> str:
        """The value itself; never to be logged."""
        return self._value

    def __repr__(self) -> str:
        return "Secret(…)"

    __str__ = __repr__

    def __reduce__(self) -> str:
        raise TypeError("a secret is not stored or sent to another process")


_XDG = {
    "XDG_CONFIG_HOME": "~/.config",
    "XDG_STATE_HOME": "~/.local/state",
    "XDG_DATA_HOME": "~/.local/share",
    "XDG_CACHE_HOME": "~/.cache",
}
"""The base folders of the XDG specification, with the values that hold where a variable is not set."""


def lab_cure(path: Path) -> str:
    """What to do about a missing file that the embedded lab makes; "" for any other file."""
    return "bring the lab up: python -m lab up" if LAB_STATE in path.parts else ""


def expand(path: str) -> Path:
    """A path with ``~`` and variables expanded; the XDG base folders have their standard values when unset."""
    for name, folder in _XDG.items():
        value = os.environ.get(name) or folder
        path = path.replace(f"${{{name}}}", value).replace(f"${name}", value)
    return Path(os.path.expandvars(path)).expanduser()


def resolve(reference: str, *, where: str) -> Secret:
    """The secret behind the reference. ``where`` (key of the inventory) is for the message of a SecretError."""
    scheme, _, rest = reference.partition(":")
    readers = {"env": _environment, "file": _file, "cmd": _command}
    if scheme not in readers or not rest:
        raise SecretError(
            "this is not a reference to a secret", where=where, next_step="write env:NAME, file:PATH or cmd:COMMAND"
        )
    value = readers[scheme](rest, where).strip("\r\n")
    if not value.strip():
        raise SecretError(f"the secret of {reference} is empty", where=where, next_step="store the secret there")
    return Secret(value)


def _environment(name: str, where: str) -> str:
    if name not in os.environ:
        raise SecretError(
            f"the environment variable {name} is not set", where=where, next_step=f"export {name}=… in this shell"
        )
    return os.environ[name]


def _file(path: str, where: str) -> str:
    place = expand(path)
    try:
        return place.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise SecretError(f"there is no file {place}", where=where, next_step=lab_cure(place) or _STORE) from None
    except UnicodeDecodeError:
        raise SecretError(f"the file {place} is not text", where=where) from None
    except OSError as problem:
        raise SecretError(f"the file {place} cannot be read: {problem.strerror}", where=where) from None


def _command(command: str, where: str) -> str:
    try:
        argv = shlex.split(command)
        done = subprocess.run(argv, capture_output=True, text=True, timeout=COMMAND_TIMEOUT, check=False)
    except ValueError as problem:
        raise SecretError(f"the command cannot be split into words: {problem}", where=where) from None
    except FileNotFoundError:
        raise SecretError(f"there is no program {argv[0]}", where=where) from None
    except subprocess.TimeoutExpired:
        raise SecretError(f"{argv[0]} gave no answer within {COMMAND_TIMEOUT} s", where=where) from None
    except OSError as problem:
        raise SecretError(f"{argv[0]} cannot be run: {problem.strerror}", where=where) from None
    if done.returncode:
        raise SecretError(
            f"{argv[0]} ended with status {done.returncode}", where=where, next_step="run the command by hand and see"
        )
    return done.stdout
