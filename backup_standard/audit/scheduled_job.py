"""A backup job as a subject of its own: what it names."""

from __future__ import annotations

from dataclasses import dataclass

from backup_standard.model import BackupJob, Facts


@dataclass(frozen=True)
class ScheduledJob:
    """One job of the site, enabled or not."""

    job: BackupJob
    facts: Facts

    @property
    def id(self) -> str:
        """The job's id."""
        return self.job.id

    @property
    def enabled(self) -> bool:
        """Whether it runs at all."""
        return self.job.enabled

    @property
    def selection(self) -> str:
        """What it selects: "all", a pool, or the VMIDs it names."""
        return self.job.selection if self.job.selection not in {"", "list"} else ", ".join(map(str, self.job.vmids))

    @property
    def ghosts(self) -> tuple[int, ...]:
        """VMIDs it names without there being such a guest; one that is merely hidden from the token does exist."""
        return tuple(vmid for vmid in self.job.ghosts if vmid not in self.facts.guests)

    @property
    def remedy(self) -> str:
        """The command that takes the VMIDs out, or deletes the job when no other is left."""
        left = [str(vmid) for vmid in self.job.vmids if vmid not in self.ghosts]
        if not left:
            return f"pvesh delete /cluster/backup/{self.id}"
        return f"pvesh set /cluster/backup/{self.id} --vmid {','.join(left)}"

    def __str__(self) -> str:
        return str(self.job)
