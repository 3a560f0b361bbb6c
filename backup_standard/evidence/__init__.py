"""The record of a run: what was planned, what was observed, what was decided."""
