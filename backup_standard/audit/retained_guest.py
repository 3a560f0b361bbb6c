"""What retention keeps of a guest's backups, and whether it is enforced."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

from backup_standard.audit import planned, prune, retention
from backup_standard.audit.planned_guest import PlannedGuest

RECOMMENDED_NIGHTS = 14
"""Nights that the policy recommends to keep at least, where the disk allows."""


def _nights(keep: Mapping[str, int]) -> int:
    """The most archives that these counts can keep."""
    return sum(keep.values())


@dataclass(frozen=True)
class RetainedGuest(PlannedGuest):
    """One mandatory guest with the retention of its jobs."""

    @property
    def retentions(self) -> dict[str, str]:
        """The effective retention of each job, by job id."""
        return {job.id: str(job.retention) for job in self.jobs}

    @cached_property
    def planned_runs(self) -> list[retention.Run]:
        """Every planned backup of the guest on the policy storage, with the retention that follows it."""
        return [
            retention.Run(start, kept)
            for job, kept in [(job, job.retention) for job in self.jobs]
            for start in planned.coming_starts(job.job, self.now, self.zone)
        ]

    @cached_property
    def kept(self) -> retention.Window:
        """What is left right after pruning, by simulation of the planned runs."""
        return retention.simulate(self.planned_runs, self.zone)

    @cached_property
    def kept_with_manual_backups(self) -> retention.Window:
        """The same with one extra backup by hand each week."""
        return retention.simulate(retention.with_weekly_manual_backup(self.planned_runs), self.zone)

    @property
    def retention_advice(self) -> str:
        """What to know where backups by hand would push nights out; empty where they would not."""
        if self.kept_with_manual_backups.nights >= self.keep_nights or self.kept.nights < self.keep_nights:
            return ""
        return (
            f"one backup by hand a week shrinks what is kept of {self} "
            f"to {self.kept_with_manual_backups.nights} nights; keep-daily counts nights instead of archives"
        )

    @property
    def retention_remedy(self) -> str:
        """The command that sets retention by nights on the first job."""
        keep = f"keep-daily={max(self.keep_nights, RECOMMENDED_NIGHTS)}"
        return f"pvesh set /cluster/backup/{self.first_job} --prune-backups {keep}"

    @property
    def enforcing_remedy(self) -> str:
        """The commands that give every job the same retention, and let it remove."""
        keep = max((job.retention.keep for job in self.jobs if not job.retention.keeps_all), key=_nights, default={})
        wanted = prune.say_keep(keep) if keep else f"keep-daily={max(self.keep_nights, RECOMMENDED_NIGHTS)}"
        return "\n".join(f"pvesh set /cluster/backup/{job.id} --prune-backups {wanted} --remove 1" for job in self.jobs)

    @property
    def unpruned(self) -> str:
        """Why one of its jobs never removes anything; empty when all do."""
        for job in self.jobs:
            if job.retention.keeps_all:
                return f"{job} keeps every archive: {job.retention}"
            if not job.retention.removes:
                return f"{job} has remove=0: Proxmox removes nothing and refuses the backup when the limit is reached"
        return ""

    @property
    def rivals(self) -> str:
        """Jobs of it with different retentions, in words; each prunes the archives of all. Empty when they agree."""
        each = {job.id: prune.say_keep(job.retention.keep) for job in self.jobs}
        return ", ".join(f"job {job} keeps {keep}" for job, keep in each.items()) if len({*each.values()}) > 1 else ""
