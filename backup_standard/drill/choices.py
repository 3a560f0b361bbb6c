"""What an operator chose for a run of drills; kept in its folder, where its workers and a later replay find it."""

from __future__ import annotations

import json
import random
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from backup_standard.model import Archive

FILENAME = "choices.json"
NEWEST, OLDEST, RANDOM = "newest", "oldest", "random"


@dataclass(frozen=True)
class Choices:
    """``restore_point`` names which archive is restored, ``seed`` how a random one is drawn.

    ``keep_failed``: the copy of a failed drill is left standing. ``gateway`` False: through the guest agent alone.
    """

    restore_point: str = NEWEST
    seed: int = 0
    keep_failed: bool = False
    gateway: bool = True

    def point(self, archives: Sequence[Archive]) -> Archive | None:
        """The archive of one guest to restore; None when there is none. The same seed draws the same one."""
        ordered = sorted(archives, key=lambda archive: archive.ctime)
        if not ordered:
            return None
        if self.restore_point == RANDOM:
            drawn = random.Random(f"{self.seed}/{ordered[-1].vmid}")  # noqa: S311 - to be drawn again, not to be secret
            return drawn.choice(ordered)
        return ordered[0] if self.restore_point == OLDEST else ordered[-1]

    def said(self) -> str:
        """The restore point in words: ``random (seed 7)``."""
        return f"{RANDOM} (seed {self.seed})" if self.restore_point == RANDOM else self.restore_point

    def write(self, folder: Path) -> None:
        """Keep them in a run's folder."""
        (folder / FILENAME).write_text(json.dumps(asdict(self), indent=1) + "\n", encoding="utf-8")

    @classmethod
    def read(cls, folder: Path) -> Choices:
        """Those of a run; the usual ones where it kept none."""
        path = folder / FILENAME
        return cls(**json.loads(path.read_text(encoding="utf-8"))) if path.exists() else cls()


USUAL = Choices()
"""What is done where nothing was chosen."""
