"""Every violation of the site in memory."""

from __future__ import annotations

from tests.violations import of_guests, of_jobs, of_nodes, of_runs

VIOLATIONS = (*of_jobs.CASES, *of_guests.CASES, *of_runs.CASES, *of_nodes.CASES)
