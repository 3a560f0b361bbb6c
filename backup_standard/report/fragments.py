"""Small pieces of HTML. Every text passes :func:`text`: what a guest or a site says of itself is never trusted."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Mapping
from html import escape
from typing import Any
from zoneinfo import ZoneInfo

from backup_standard.evidence.wording import is_command, say_value, shown


def text(value: object) -> str:
    """A value as text that a page shows as it is."""
    return escape(shown(str(value)), quote=True)


def badge(outcome: str) -> str:
    """An outcome as a coloured word."""
    return f'<span class="badge badge-{text(outcome).replace(" ", "-")}">{text(outcome)}</span>'


def table(heads: Iterable[str], rows: Iterable[Iterable[str]], kind: str = "") -> str:
    """A table; heads are text, cells are HTML."""
    head = "".join(f'<th scope="col">{text(one)}</th>' for one in heads)
    body = "".join("<tr>" + "".join(f"<td>{cell}</td>" for cell in row) + "</tr>" for row in rows)
    whole = f"<thead><tr>{head}</tr></thead><tbody>{body}</tbody>"
    return f'<div class="scroll"><table class="{text(kind)}">{whole}</table></div>'


def pairs(values: Mapping[str, Any] | Iterable[tuple[str, Any]], kind: str = "pairs") -> str:
    """Names and values, as a list of definitions; several long values become a list of their own."""
    items = values.items() if isinstance(values, Mapping) else values
    rows = "".join(
        f"<div><dt>{text(name.replace('_', ' '))}</dt><dd>{_value(value)}</dd></div>" for name, value in items
    )
    return f'<dl class="{text(kind)}">{rows}</dl>' if rows else ""


def _value(value: Any) -> str:
    """A value as HTML."""
    if isinstance(value, Mapping) and any(isinstance(inner, list | tuple) for inner in value.values()):
        value = [f"{name.replace('_', ' ')}: {say_value(inner)}" for name, inner in value.items()]
    if isinstance(value, list | tuple) and len(value) > 1 and any(len(str(inner)) > 24 for inner in value):  # noqa: PLR2004
        return f"<ul>{''.join(f'<li>{text(say_value(inner))}</li>' for inner in value)}</ul>"
    return text(say_value(value))


def remedy(lines: str) -> str:
    """A remedy: commands to paste and sentences to read."""
    shown = [
        f"<code>{text(line)}</code>" if is_command(line) else f"<span>{text(line)}</span>"
        for line in lines.splitlines()
    ]
    return f'<div class="remedy"><b>Remedy</b>{"".join(shown)}</div>' if shown else ""


def sentence(words: str) -> str:
    """Words as a sentence of their own: with a capital and a full stop, lines kept."""
    whole = words.strip()
    return text(whole[:1].upper() + whole[1:] + ("" if whole.endswith((".", "!", "?")) else ".")).replace("\n", "<br>")


def section(title: str, body: str, name: str) -> str:
    """A section with a heading; nothing where there is no body."""
    if not body:
        return ""
    return f'<section id="{name}" aria-labelledby="{name}-head"><h2 id="{name}-head">{text(title)}</h2>{body}</section>'


def moment(iso: object, zone: str) -> str:
    """A moment in the site's own time; the text itself where it is none."""
    try:
        seen = dt.datetime.fromisoformat(str(iso))
    except ValueError:
        return str(iso or "not yet")
    return seen.astimezone(ZoneInfo(zone)).strftime("%Y-%m-%d %H:%M:%S %Z")
