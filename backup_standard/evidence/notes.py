"""What a rule notes before it asserts."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from backup_standard.evidence.canonical import plain


@dataclass
class Evidence:
    """Collects what one rule observed of one subject: ``evidence(rpo=…, newest_archive=…)``."""

    observed: dict[str, Any] = field(default_factory=dict)
    advice: str = ""
    advised_remedy: str = ""

    def __call__(self, **observed: object) -> None:
        """Note what was seen, by name; names become words in the report."""
        self.observed.update({name: plain(value) for name, value in observed.items()})

    def advise(self, message: str, remedy: str = "") -> None:
        """Turn a pass into an advisory that says ``message``; an empty message changes nothing."""
        if message:
            self.advice, self.advised_remedy = message, remedy
