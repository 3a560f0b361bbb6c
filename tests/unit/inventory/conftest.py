"""What tests of loading share."""

from tests.unit.inventory.acme import write

__all__ = ["write"]
