"""Where the jobs of a guest write to: the job's own storage, else that of vzdump.conf, else ``local``."""

from __future__ import annotations

from dataclasses import dataclass

from backup_standard.audit.jobs import JobOnNode
from backup_standard.model import Facts
from backup_standard.model.facts import known


@dataclass(frozen=True)
class Target:
    """Where one job writes on one node, and who says so."""

    job: str
    place: str
    said_by: str

    def __str__(self) -> str:
        return f"{self.place} (by {self.said_by})"


def targets(facts: Facts, vmid: int, node: str) -> tuple[Target, ...]:
    """The targets of every enabled job that includes the guest and runs on its node. Unknown without the jobs."""
    here = (JobOnNode(job, node, facts) for job in known(facts.jobs).values() if job.enabled and vmid in job.includes)
    return tuple(_target(job) for job in here if job.is_local_to_node)


def _target(job: JobOnNode) -> Target:
    if job.job.storage:
        return Target(job.id, f"storage {job.job.storage}", "the job")
    folder = job.job.raw.get("dumpdir")
    if folder:
        return Target(job.id, f"folder {folder}", "the job")
    if job.default_storage:
        return Target(job.id, f"storage {job.default_storage}", f"the defaults of node {job.node}")
    return Target(job.id, "storage local, which may not hold backups", "Proxmox's default")
