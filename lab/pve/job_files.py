"""What backup jobs leave on the node: jobs.cfg, and one state file for each job (upstream: PVE/Jobs.pm)."""

from __future__ import annotations

import json
from typing import Any

from lab.pve.sections import render_sections
from lab.pve.site import Site

_STATES = "/var/lib/pve-manager/jobs"


def write_jobs(site: Site) -> None:
    """Write jobs.cfg."""
    site.hypervisor.node.write("/etc/pve/jobs.cfg", render_sections(site.jobs).encode())


def path(job_id: str) -> str:
    """Give a job's state file."""
    return f"{_STATES}/vzdump-{job_id}.json"


def _config(site: Site, job_id: str) -> dict[str, Any]:
    job = site.jobs[job_id]
    return {"enabled": job.get("enabled", 1), "schedule": job["schedule"]}


def state(site: Site, job_id: str) -> dict[str, Any]:
    """Read a job's state; a job without a file counts as created now."""
    try:
        found = json.loads(site.hypervisor.node.read(path(job_id)))
    except FileNotFoundError:
        return {"state": "created", "time": site.now()}
    return found if isinstance(found, dict) else {}


def write_state(site: Site, job_id: str, content: dict[str, Any]) -> None:
    """Write a job's state with its present schedule."""
    site.hypervisor.node.makedirs(_STATES)
    text = json.dumps({**content, "config": _config(site, job_id)})
    site.hypervisor.node.write(path(job_id), text.encode())


def created(site: Site, job_id: str) -> None:
    """A job was made."""
    write_jobs(site)
    write_state(site, job_id, {"state": "created", "time": site.now()})


def updated(site: Site, job_id: str, *, changed: bool) -> None:
    """A job was changed; with its schedule or switch ``changed`` it counts from now, so it does not run at once."""
    write_jobs(site)
    if changed:
        write_state(site, job_id, {**state(site, job_id), "updated": site.now()})


def deleted(site: Site, job_id: str) -> None:
    """A job was removed, and its state with it."""
    write_jobs(site)
    try:
        site.hypervisor.node.unlink(path(job_id))
    except FileNotFoundError:
        return
