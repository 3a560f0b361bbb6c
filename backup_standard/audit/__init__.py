"""Judging what was read: pure functions and views over Facts, without any I/O."""
