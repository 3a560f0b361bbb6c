"""The standard as data. What a rule says stands in its docstring and marker; this is what others ask of it."""

from backup_standard.standard.rules import RULES, Kind, near, speaks_of
from backup_standard.standard.thresholds import NIGHTS, RPO

__all__ = ["NIGHTS", "RPO", "RULES", "Kind", "near", "speaks_of"]
