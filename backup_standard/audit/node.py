"""A node that has mandatory guests, as the rules see it: its scheduler and its clock."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property

from backup_standard.audit.jobs import clock_of
from backup_standard.errors import Unknown
from backup_standard.model import Facts, Gap, Task
from backup_standard.model import Node as SeenNode
from backup_standard.model.facts import known
from backup_standard.model.systems import System
from backup_standard.quantities import say_duration

TOLERANCE = 30.0
"""Seconds by which a node's clock may differ from ours: what a slow connection may account for."""
STUCK_AFTER = 600
"""Seconds after which a job that is marked as started must have a task, and one whose task ended be marked so."""
_STARTTIME = 4
"""The field of a UPID that holds the start, in hexadecimal (upstream: PVE/UPID.pm)."""
_FIRST_SCHEDULER = (7, 1)
STATES = "/var/lib/pve-manager/jobs"


@dataclass(frozen=True)
class Node:
    """One node. What was not read raises Unknown when asked for."""

    name: str
    facts: Facts

    @property
    def seen(self) -> SeenNode:
        """The node as the site shows it."""
        if self.name not in self.facts.nodes:
            raise Unknown(f"node {self.name}", reason="the site does not list it", need="Sys.Audit on /nodes")
        return known(self.facts.nodes[self.name])

    @property
    def system(self) -> System:
        """What the node's own tools told."""
        if self.name not in self.facts.systems:
            raise Unknown(f"the state of {self}", reason="it was not read", need=f"SSH to {self}")
        return known(self.facts.systems[self.name])

    @property
    def now(self) -> int:
        """Its clock (epoch seconds) when the facts were taken."""
        return clock_of(self.facts, self.name)

    # --- the scheduler ----------------------------------------------------------------------------------------

    @property
    def scheduler(self) -> Mapping[str, str]:
        """The state of the unit pvescheduler. Unknown before release 7.1, which had none."""
        state, release = known(self.system.scheduler), self.facts.release_on(self.name)
        if release and release < _FIRST_SCHEDULER:
            raise Unknown(
                f"the scheduler of {self}",
                reason=f"Proxmox VE {release[0]}.{release[1]} has none: cron runs its jobs, and was not looked at",
                need="Proxmox VE 7.1 or later",
            )
        return state

    @property
    def scheduler_runs(self) -> bool:
        """Whether it is active."""
        return self.scheduler.get("ActiveState") == "active"

    @property
    def scheduler_lasts(self) -> bool:
        """Whether it starts with the node."""
        return self.scheduler.get("UnitFileState") == "enabled"

    def say_scheduler(self) -> str:
        """Its state in words."""
        if self.scheduler.get("LoadState") == "not-found":
            return "not installed"
        return f"{self.scheduler.get('ActiveState') or 'unknown'}, {self.scheduler.get('UnitFileState') or 'unknown'}"

    @cached_property
    def stuck(self) -> dict[str, str]:
        """Jobs that the scheduler passes over every minute because it believes them running: each with the reason.

        Upstream (PVE/Jobs.pm): a job in state "started" is not started again until its task is seen to end, and one
        whose task is gone stays so until its state file is removed.
        """
        found = {}
        for job, state in self._job_states():
            if isinstance(state, Gap) or state.get("state") != "started":
                continue
            reason = self._why_stuck(state.get("upid", ""))
            if reason:
                found[job] = reason
        return found

    def _job_states(self) -> Iterator[tuple[str, Mapping[str, str] | Gap]]:
        for key, state in self.facts.job_states.items():
            node, _, job = key.partition("/")
            if node == self.name and state is not None:
                yield job, state

    def _why_stuck(self, upid: str) -> str:
        started = _started(upid)
        if self.now - started < STUCK_AFTER:
            return ""
        task = self._task(upid)
        if task is None:
            return f"marked as started {say_duration(self.now - started)} ago, and there is no such task"
        if task.endtime and self.now - task.endtime > STUCK_AFTER:
            return f"marked as started, and its task ended {say_duration(self.now - task.endtime)} ago"
        return ""

    def _task(self, upid: str) -> Task | None:
        if self.name not in self.facts.tasks:
            raise Unknown(f"the tasks of {self}", reason="they were not read", need=f"Sys.Audit on /nodes/{self.name}")
        return next((task for task in known(self.facts.tasks[self.name]) if task.upid == upid), None)

    def say_stuck(self) -> str:
        """The stuck jobs with their reasons."""
        return "; ".join(f"job {job} is {reason}" for job, reason in self.stuck.items())

    @property
    def scheduler_remedy(self) -> str:
        """What sets the scheduler going again."""
        files = [f"rm {STATES}/vzdump-{job}.json" for job in self._known_stuck]
        return "\n".join(["systemctl enable --now pvescheduler", *files])

    @property
    def _known_stuck(self) -> list[str]:
        try:
            return list(self.stuck)
        except Unknown:
            return []

    @property
    def cron_advice(self) -> str:
        """What to know of jobs in the old vzdump.cron; empty when there are none.

        Upstream: PVE/Cluster/Setup.pm gen_pve_vzdump_symlink lets cron find the file.
        """
        lines = self.system.cron
        if not lines:
            return ""
        several = "a backup job" if len(lines) == 1 else f"{len(lines)} backup jobs"
        return (
            f"/etc/pve/vzdump.cron still holds {several} from before release 7.1: {lines[0]} (cron runs what is on"
            " there, by /etc/cron.d/vzdump, and not the scheduler; each change of the file gives all of them new ids)"
        )

    @property
    def cron_remedy(self) -> str:
        """What moves those jobs to the scheduler (upstream: PVE/API2/Backup.pm update_job)."""
        return "# in the web interface, Datacenter > Backup: open each job of that file and save it; that moves it away"

    # --- the clock --------------------------------------------------------------------------------------------

    @property
    def skew(self) -> float:
        """Its clock minus ours, in seconds. Unknown when the node is offline."""
        if not self.seen.online:
            raise Unknown(f"the clock of {self}", reason="it is offline", need=f"{self} online")
        return self.seen.skew

    def say_skew(self) -> str:
        """By how much it is off, in words."""
        return f"{say_duration(abs(self.skew))} {'ahead of' if self.skew > 0 else 'behind'} the clock of this machine"

    @property
    def is_on_time(self) -> bool:
        """Whether its clock agrees with ours."""
        return abs(self.skew) <= TOLERANCE

    @property
    def is_synchronised(self) -> bool:
        """Whether the kernel knows the clock to be steered by a time service. Unknown when that was not read."""
        clock = known(self.system.clock)
        if "NTPSynchronized" not in clock:
            raise Unknown(f"whether the clock of {self} is synchronised", reason="timedatectl does not tell")
        return clock["NTPSynchronized"] == "yes"

    def __str__(self) -> str:
        return f"node {self.name}"


def _started(upid: str) -> int:
    """When a task started (epoch seconds), 0 for what is no UPID."""
    fields = upid.split(":")
    try:
        return int(fields[_STARTTIME], 16)
    except (IndexError, ValueError):
        return 0
