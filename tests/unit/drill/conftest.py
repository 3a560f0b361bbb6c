"""The ground that drills are tested on."""

from tests.drillground import facts, ground

__all__ = ["facts", "ground"]
