"""Section configuration files: storage.cfg and jobs.cfg as text (upstream: PVE/SectionConfig.pm write_config)."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping

Sections = Mapping[str, Mapping[str, object]]
_FIRST = ("comment", "schedule", "path", "vgname")
_OMITTED = {"type", "id", "digest"}


def render_sections(sections: Sections) -> str:
    """Write sections: a head ``type: id``, then one indented line for each key."""
    parts = []
    for name, section in sections.items():
        keys = sorted(section.keys() - _OMITTED, key=lambda key: (_FIRST.index(key) if key in _FIRST else 9, key))
        lines = [f"{section['type']}: {name}", *(f"\t{key} {section[key]}" for key in keys)]
        parts.append("\n".join(lines) + "\n")
    return "\n".join(parts)


def digest(sections: Sections) -> str:
    """Give the digest the API shows for a file of sections."""
    return hashlib.sha1(render_sections(sections).encode()).hexdigest()  # noqa: S324 - that is the API's digest
