"""Which jobs really back up a guest, and in an operator's words why the others do not."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from backup_standard.audit.jobs import JobOnNode
from backup_standard.model import BackupJob, Facts, Gap
from backup_standard.model.facts import known


@dataclass(frozen=True)
class Coverage:
    """The policy jobs that back up a guest, and for every other job that concerns it the reason why it does not."""

    jobs: tuple[JobOnNode, ...]
    reasons: tuple[str, ...]

    def __str__(self) -> str:
        return "; ".join(self.reasons) if self.reasons else "no job names it"


def gap_needing(facts: Facts, privilege: str) -> Gap | None:
    """The first gap that names a privilege: what it hides may be the very thing that seems to be absent."""
    return next((gap for gap in facts.gaps if privilege in gap.need), None)


def raise_if_hidden(facts: Facts, fact: str, privilege: str) -> None:
    """Raise Unknown for something absent that a missing privilege may merely have hidden."""
    gap = gap_needing(facts, privilege)
    if gap:
        raise gap.as_error(fact)


def cover(facts: Facts, vmid: int, node: str, storage: str) -> Coverage:
    """Judge every job for one guest on the node where it lives now and for the policy storage."""
    good: list[JobOnNode] = []
    reasons: list[str] = []
    for job in known(facts.jobs).values():
        if not _concerns(job, vmid):
            continue
        on_node = JobOnNode(job, node, facts)
        reason = _why_not(on_node, vmid, storage)
        if reason:
            reasons.append(reason)
        else:
            good.append(on_node)
    if not good and not reasons:
        raise_if_hidden(facts, f"which jobs include guest {vmid}", "VM.Audit")
    return Coverage(tuple(good), tuple(reasons))


def _concerns(job: BackupJob, vmid: int) -> bool:
    """Whether the job includes the guest or at least names it."""
    return vmid in job.includes or vmid in job.vmids


def _why_not(job: JobOnNode, vmid: int, storage: str) -> str:
    """Why the job does not back the guest up to the policy storage; empty when it does."""
    if not job.job.enabled:
        return f"{job} is disabled"
    if not job.is_local_to_node:
        return f"{job} runs on node {job.job.node} only, and the guest lives on {job.node}"
    if vmid not in job.job.includes:
        return f"{job} names it, but Proxmox does not include it"
    if job.storage != storage:
        return f"{job} writes to storage {job.storage}, not to {storage}"
    return ""


def say_jobs(jobs: Sequence[JobOnNode]) -> str:
    """Job ids, as a list in words."""
    return ", ".join(job.id for job in jobs) or "none"
