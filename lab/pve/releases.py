"""The releases the lab speaks, and of each what stands in no API schema.

9.2 and 8.4 are recorded; 7.4 is derived (``lab/RELEASES.md`` says from what).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Version = Literal["9.2", "8.4", "7.4"]


@dataclass(frozen=True)
class Release:
    """``repoid`` of its version text, the ``qemu`` that new guests are noted under, and a line of PVE/Storage.pm.

    That line, ``arbitrary_path``, stands in the refusal of a path in place of a volume.
    """

    repoid: str
    qemu: str
    arbitrary_path: int


RELEASES: dict[Version, Release] = {
    "9.2": Release("f6997e698c7933ea", "10.2.2", 651),
    "8.4": Release("2606ac850d46da29", "9.2.0", 581),
    "7.4": Release("0f39f621", "7.2.0", 557),
}
