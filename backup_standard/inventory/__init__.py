"""Inventories: what a client's site should be. See :mod:`backup_standard.inventory.schema` for every key."""
