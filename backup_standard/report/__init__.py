"""The report, computed from a run's folder alone."""
