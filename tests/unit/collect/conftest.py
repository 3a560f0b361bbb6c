"""The ground that readings of archives are tested on."""

from tests.unit.collect.deepground import ground, made

__all__ = ["ground", "made"]
