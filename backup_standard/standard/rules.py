"""Every rule there is and what it judges, so that an inventory can speak of rules and be checked without a site."""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping
from enum import Enum


class Kind(Enum):
    """What a rule judges: its name in a sentence, the forms in which a subject is written, and an example."""

    GUEST = ("guests", r"\d{3,9}|(VM|CT|guest) \d{3,9}( \(.*\))?", "210")
    STORAGE = ("the backup storage of each node", r"[^\s/]+/[^\s/]+|storage \S+ on node \S+", "pve1/backup-hdd")
    NODE = ("nodes", r"(node )?[A-Za-z0-9][A-Za-z0-9-]*", "pve1")
    JOB = ("backup jobs", r"(job )?[A-Za-z][\w-]+", "nightly-vm210")
    ROLE = ("roles", r"(role )?[a-z]+(-[a-z]+)*", "dns")
    SITE = ("the site as a whole", r"the site", "the site")

    def __init__(self, plural: str, form: str, example: str) -> None:
        self.plural, self.form, self.example = plural, re.compile(form), example


RULES: Mapping[str, Kind] = {
    **dict.fromkeys(("TGT-02", "TGT-03", "TGT-04"), Kind.GUEST),
    "TGT-01": Kind.ROLE,
    "TGT-05": Kind.JOB,
    **dict.fromkeys(("STO-01", "STO-02", "STO-03", "STO-04", "STO-05", "STO-07", "STO-08"), Kind.STORAGE),
    "STO-06": Kind.GUEST,
    **dict.fromkeys(("SCH-01", "SCH-02", "SCH-04", "SCH-05", "SCH-06", "SCH-08"), Kind.GUEST),
    **dict.fromkeys(("SCH-03", "SCH-07"), Kind.NODE),
    **dict.fromkeys(("RET-01", "RET-02", "RET-03", "RET-04"), Kind.GUEST),
    "RET-05": Kind.STORAGE,
    **dict.fromkeys(("CMP-01", "CMP-02"), Kind.GUEST),
    **dict.fromkeys(("VER-01", "VER-02", "VER-03", "VER-04", "VER-05", "VER-06", "VER-07"), Kind.GUEST),
    "VER-08": Kind.SITE,
    **dict.fromkeys(("RST-01", "RST-02", "RST-03", "RST-04", "RST-05", "RST-06", "RST-07", "RST-08"), Kind.GUEST),
    **dict.fromkeys(("WFL-01", "WFL-02", "WFL-03"), Kind.GUEST),
}
"""The rules by id; a test holds this against the markers of the rules themselves."""


def near(rule: str) -> str:
    """The known id that a mistyped one is likely to mean; empty when none is near."""
    found = difflib.get_close_matches(rule.upper(), RULES, n=1, cutoff=0.7)
    return found[0] if found else ""


def speaks_of(rule: str, subject: str) -> bool:
    """Whether a subject is written in a form that the rule's subjects can have. KeyError for an unknown rule."""
    return RULES[rule].form.fullmatch(subject) is not None
