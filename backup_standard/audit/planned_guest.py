"""A guest that the policy demands backups of: who it is, which jobs back it up, and when."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from functools import cached_property
from zoneinfo import ZoneInfo

from backup_standard import standard
from backup_standard.audit import hours, planned, volumes
from backup_standard.audit.coverage import Coverage, cover, raise_if_hidden, say_jobs
from backup_standard.audit.jobs import JobOnNode, node_zone
from backup_standard.audit.targets import Target, targets
from backup_standard.errors import Unknown
from backup_standard.inventory.schema import GuestSection, Inventory
from backup_standard.model import Facts, Gap, GuestKind
from backup_standard.model import Guest as SeenGuest
from backup_standard.model.facts import known


@dataclass(frozen=True)
class PlannedGuest:
    """One mandatory guest: declared in the inventory, or found on the site without being classified there.

    What was not read raises Unknown when asked for.
    """

    vmid: int
    inventory: Inventory
    facts: Facts
    section: GuestSection | None = None

    @property
    def role(self) -> str:
        """The declared role, or "unclassified"."""
        return self.section.role if self.section else "unclassified"

    @property
    def rpo(self) -> dt.timedelta:
        """The greatest age its newest archive may have; a weaker one than the standard's is waived, not judged by."""
        own = self.section.rpo if self.section else None
        return min(own or self.inventory.policy.rpo, standard.RPO)

    @property
    def keep_nights(self) -> int:
        """How many distinct nights must be kept; fewer than the standard's are waived, not judged by."""
        return max(self.inventory.policy.keep_nights, standard.NIGHTS)

    @property
    def backup_storage(self) -> str:
        """The policy storage."""
        return self.inventory.policy.storage

    @property
    def exists(self) -> bool:
        """Whether the site has a guest of that VMID. Unknown when it may merely be hidden."""
        if self.vmid not in self.facts.guests:
            raise_if_hidden(self.facts, f"whether guest {self.vmid} exists", "VM.Audit")
            return False
        return True

    @property
    def seen(self) -> SeenGuest:
        """The guest as the site shows it. Unknown when it does not."""
        if not self.exists:
            raise Unknown(f"guest {self.vmid}", reason="the site has no guest of that VMID")
        return known(self.facts.guests[self.vmid])

    @property
    def node(self) -> str:
        """The node where it lives now."""
        return self.seen.node

    @property
    def zone(self) -> ZoneInfo:
        """That node's time zone."""
        return node_zone(self.facts, self.node)

    @property
    def now(self) -> int:
        """The node's clock (epoch seconds) when the facts were taken; ages are measured against it."""
        node = self.facts.nodes.get(self.node)
        return node.now if node and not isinstance(node, Gap) and node.now else int(self.facts.taken_at.timestamp())

    # --- jobs -------------------------------------------------------------------------------------------------

    @cached_property
    def coverage(self) -> Coverage:
        """Which jobs back it up to the policy storage, and why others do not."""
        return cover(self.facts, self.vmid, self.node, self.backup_storage)

    @property
    def jobs(self) -> tuple[JobOnNode, ...]:
        """The enabled jobs that include it, run on its node and write to the policy storage."""
        return self.coverage.jobs

    @property
    def no_job(self) -> str:
        """The sentence for a guest without such a job."""
        return f"no enabled job backs {self} up to storage {self.backup_storage}: {self.coverage}"

    @property
    def job_names(self) -> str:
        """The ids of those jobs."""
        return say_jobs(self.jobs)

    @property
    def first_job(self) -> str:
        """The id of the first of those jobs; the standard's own name for it where there is none."""
        return self.jobs[0].id if self.jobs else f"nightly-vm{self.vmid}"

    @cached_property
    def targets(self) -> dict[str, Target]:
        """Where each enabled job that includes it on its node writes to, by job id."""
        return {target.job: target for target in targets(self.facts, self.vmid, self.node)}

    @property
    def writes_to_backup_storage(self) -> bool:
        """Whether one of them writes to the policy storage."""
        return bool(self.jobs)

    def say_targets(self) -> str:
        """The targets in words."""
        said = [f"job {job} writes to {target}" for job, target in self.targets.items()]
        return "; ".join(said) or str(self.coverage)

    @property
    def writing_job(self) -> str:
        """The job to mend where none writes to the policy storage."""
        return next(iter(self.targets), self.first_job)

    @property
    def zstd_jobs(self) -> tuple[JobOnNode, ...]:
        """Those of the jobs that compress with zstd."""
        return tuple(job for job in self.jobs if job.compression == "zstd")

    @property
    def compressions(self) -> dict[str, str]:
        """The compression of each job, by job id."""
        return {job.id: job.compression for job in self.jobs}

    def say_compressions(self) -> str:
        """The same in words."""
        return ", ".join(f"job {job} uses {compression}" for job, compression in self.compressions.items())

    @cached_property
    def volumes(self) -> volumes.Volumes:
        """Its volumes, and which of them are in its backups."""
        reasons = self.section.not_backed_up if self.section else {}
        return volumes.judge(self.jobs, self.vmid, self.seen.settings, reasons)

    @property
    def volumes_remedy(self) -> str:
        """The commands that put left-out volumes into the backups."""
        is_container = self.seen.kind is GuestKind.LXC
        return volumes.remedy(self.volumes, self.vmid, self.seen.settings, is_container=is_container)

    @cached_property
    def plan(self) -> planned.NightPlan:
        """The coming nights of all its jobs together."""
        return planned.plan([job.job for job in self.jobs], self.now, self.zone)

    @property
    def schedules(self) -> dict[str, str]:
        """The schedule of each job, by job id."""
        return {job.id: job.job.schedule for job in self.jobs}

    @property
    def planned_by(self) -> str:
        """Who says when its jobs run: the site itself, or this suite by the jobs' calendar events."""
        by_us = f"this suite, by the clock of {self.zone.key}"
        return " and ".join(sorted({job.job.runs_source or by_us for job in self.jobs}))

    @property
    def summertime_advice(self) -> str:
        """What to know of the nights that summer time takes away; empty when there are none."""
        if not self.plan.skipped:
            return ""
        nights = ", ".join(night.isoformat() for night in self.plan.skipped)
        return f"on the night of {nights} the clock jumps over the planned time, and Proxmox makes no backup of {self}"

    @property
    def summertime_remedy(self) -> str:
        """The command that creates a companion job for those nights; empty when there are none."""
        skipped = self.plan.skipped
        if not skipped or not self.jobs:
            return ""
        last_sunday_in_march = all(night.month == 3 and night.day > 24 and night.weekday() == 6 for night in skipped)  # noqa: PLR2004
        schedule = "sun *-3-25..31 03:00" if last_sunday_in_march else f"{skipped[0].isoformat()} 03:00"
        return self.jobs[0].command_for_companion(schedule, self.vmid)

    @property
    def site_zone(self) -> ZoneInfo:
        """The site's time zone."""
        return ZoneInfo(self.inventory.site.timezone)

    @cached_property
    def hours(self) -> hours.Hours:
        """At which hour of the site's clock its runs are planned."""
        policy = self.inventory.policy
        return hours.judge(self.jobs, self.now, self.site_zone, policy.start, policy.summer_time_tolerance)

    @property
    def hours_advice(self) -> str:
        """What to know where the node keeps another zone's clock; empty where it does not."""
        if not self.hours.shifted:
            return ""
        return (
            f"node {self.node} keeps the clock of {self.zone.key}, so runs move with summer time "
            f"between {' and '.join(self.hours.times)} at the site"
        )

    @property
    def named_jobs(self) -> tuple[JobOnNode, ...]:
        """Those of the jobs that are named as the policy names them."""
        return tuple(job for job in self.jobs if job.id == f"nightly-vm{self.vmid}")

    @property
    def renaming(self) -> str:
        """The commands that replace a job for this guest alone by one of the policy's name; else only the new one."""
        if not self.jobs:
            return ""
        job = self.jobs[0]
        made = job.command_as(f"nightly-vm{self.vmid}", job.job.schedule, self.vmid)
        return f"{made}\npvesh delete /cluster/backup/{job.id}" if job.job.vmids == (self.vmid,) else made

    @property
    def modes(self) -> dict[str, str]:
        """The mode of each job, by job id."""
        return {job.id: job.mode for job in self.jobs}

    def say_modes(self) -> str:
        """The same in words."""
        return ", ".join(f"job {job} uses {mode}" for job, mode in self.modes.items())

    @property
    def snapshot_jobs(self) -> tuple[JobOnNode, ...]:
        """Those of the jobs that back up without stopping the guest."""
        return tuple(job for job in self.jobs if job.mode == "snapshot")

    @property
    def repeats(self) -> dict[str, bool]:
        """Whether each job makes up for a missed run once, by job id."""
        return {job.id: job.repeats_missed for job in self.jobs}

    @property
    def name(self) -> str:
        """Its name on the site, else in the inventory, else its role."""
        seen = self.facts.guests.get(self.vmid)
        if seen and not isinstance(seen, Gap) and seen.name:
            return seen.name
        return (self.section.name if self.section else None) or self.role

    def __str__(self) -> str:
        seen = self.facts.guests.get(self.vmid)
        is_container = bool(seen and not isinstance(seen, Gap) and seen.kind is GuestKind.LXC)
        return f"{'CT' if is_container else 'VM'} {self.vmid} ({self.name})"
