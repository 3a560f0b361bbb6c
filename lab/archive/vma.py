"""The VMA format in one import: :class:`VmaWriter` and :class:`VmaReader`."""

from __future__ import annotations

from lab.archive.layout import ArchiveDamaged, Totals
from lab.archive.vma_reader import VmaReader
from lab.archive.vma_writer import VmaWriter

__all__ = ["ArchiveDamaged", "Totals", "VmaReader", "VmaWriter"]
