"""The scheduler: starts due backup jobs as root@pam and keeps their state files.

Upstream: PVE/Service/pvescheduler.pm, PVE/Jobs.pm run_jobs. What fell due while nothing ran is dropped, unless the
job repeats what it missed; then it runs once, however often it was missed.
"""

from __future__ import annotations

import logging
import threading
from typing import Any

from lab.hypervisor import HypervisorError
from lab.pve import job_files, jobs, vzdump
from lab.pve.site import Site

logger = logging.getLogger(__name__)
_NOT_OPTIONS = {"type", "id", "schedule", "enabled", "comment", "repeat-missed"}


class Scheduler:
    """Looks at all jobs every ``interval`` seconds in a thread of its own."""

    def __init__(self, site: Site, interval: float = 10.0) -> None:
        """A scheduler that is not yet running."""
        self._site, self._interval = site, interval
        self._stopped = threading.Event()
        self._first = True
        self._thread = threading.Thread(target=self._loop, name="scheduler", daemon=True)

    def start(self) -> None:
        """Begin to look at jobs."""
        self._thread.start()

    def stop(self) -> None:
        """Stop; a backup that runs goes on."""
        self._stopped.set()
        self._thread.join()

    def _loop(self) -> None:
        while not self._stopped.is_set():
            try:
                self.tick()
            except (HypervisorError, OSError) as error:
                logger.warning("scheduler: %s", error)
            self._stopped.wait(self._interval)

    def tick(self) -> list[str]:
        """Look at all jobs once and give the UPIDs of those that were started."""
        site, started = self._site, []
        with site.lock:
            known = dict(site.jobs)
        for job_id, job in known.items():
            state = self._settled(job_id)
            if not state or str(job.get("enabled", 1)) == "0":
                continue
            if self._first and not job.get("repeat-missed"):
                job_files.write_state(site, job_id, {**state, "updated": site.now()})
            elif self._due(job, state):
                started += self._run(job_id, job)
        self._first = False
        return started

    def _settled(self, job_id: str) -> dict[str, Any]:
        """Give a job's state, with the end of its last run noted; empty while it still runs."""
        site = self._site
        state = job_files.state(site, job_id)
        if state.get("state") != "started":
            return state
        task = site.tasks.get(str(state.get("upid")))
        if task is not None and not task.finished.is_set():
            return {}
        state = {"state": "stopped", "upid": state["upid"], "msg": task.status if task else "unknown"}
        job_files.write_state(site, job_id, state)
        return state

    def _due(self, job: dict[str, Any], state: dict[str, Any]) -> bool:
        upid = str(state.get("upid", ""))
        started = int(upid.split(":")[4], 16) if upid.count(":") > 4 else int(state.get("time", 0))
        due = jobs.next_run(self._site, job, int(state.get("updated", started)))
        return due is not None and due <= self._site.now()

    def _run(self, job_id: str, job: dict[str, Any]) -> list[str]:
        options = {key: value for key, value in job.items() if key not in _NOT_OPTIONS}
        upid = vzdump.launch(self._site, "root@pam", {**options, "quiet": 1})
        if upid == "OK":
            job_files.write_state(self._site, job_id, {"state": "stopped", "msg": "OK", "time": self._site.now()})
            return []
        job_files.write_state(self._site, job_id, {"state": "started", "upid": upid})
        return [upid]
