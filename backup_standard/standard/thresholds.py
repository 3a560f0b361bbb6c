"""The figures of the standard that an inventory may tighten, never weaken."""

from __future__ import annotations

import datetime as dt

RPO = dt.timedelta(hours=26)
"""One night and the usual length of the run: the greatest RPO the standard allows (VER-02)."""
NIGHTS = 7
"""The fewest distinct nights that retention must keep (RET-01)."""
