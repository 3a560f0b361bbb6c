"""Errors of the machinery that a person at the terminal reads: what happened, where, and what to do next."""

from __future__ import annotations


class LabError(Exception):
    """The lab cannot go on; the text says what, where and what next."""
