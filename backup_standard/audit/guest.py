"""A mandatory guest as the rules see it: its archives and the runs that made them, besides what is planned.

What was not read raises Unknown when asked for.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TypeVar

from backup_standard.audit import (
    archive_files,
    changes,
    history,
    intact,
    last_run,
    mended,
    nights_held,
    planned,
    told,
    volumes,
)
from backup_standard.audit.hours import Window
from backup_standard.audit.retained_guest import RECOMMENDED_NIGHTS, RetainedGuest
from backup_standard.errors import Unknown
from backup_standard.model import Archive, Gap, StorageStatus
from backup_standard.model.facts import known
from backup_standard.model.readings import DrilledArchive
from backup_standard.quantities import say_duration

T = TypeVar("T")
CLOCK_TOLERANCE = dt.timedelta(minutes=10)
"""How far in the future an archive may be dated before its date is not believed."""


@dataclass(frozen=True)
class DatedArchive:
    """An archive and its age at the moment the facts were taken."""

    archive: Archive
    age: dt.timedelta

    def __str__(self) -> str:
        return f"archive {self.archive.filename}"


@dataclass(frozen=True)
class Guest(RetainedGuest):
    """One mandatory guest with its past."""

    @cached_property
    def archives(self) -> tuple[DatedArchive, ...]:
        """Its archives on the policy storage, newest first, those that a former node made included.

        Renamed files are left out: their dates are no backup's.
        """
        found = {archive.volid + archive.node: archive for archive in self._archives_on(self.node)}
        for node in self.facts.nodes:
            readable = self.facts.archives.get(f"{node}/{self.backup_storage}")
            if node != self.node and (not found or not isinstance(readable, Gap)):
                found |= {archive.volid + archive.node: archive for archive in self._archives_on(node)}
        dated = (DatedArchive(archive, self._age(archive)) for archive in found.values())
        return tuple(sorted(dated, key=lambda one: one.age))

    def _archives_on(self, node: str) -> Sequence[Archive]:
        key = f"{node}/{self.backup_storage}"
        if key not in self.facts.archives:
            known(self.facts.storages)  # without them it is not known where archives could be
            return ()
        return [one for one in known(self.facts.archives[key]) if one.is_of(self.vmid, self.seen.kind)]

    def _age(self, archive: Archive) -> dt.timedelta:
        return dt.timedelta(seconds=self.now - archive.ctime)

    @property
    def newest_archive(self) -> DatedArchive | None:
        """The newest archive on the policy storage."""
        return next(iter(self.archives), None)

    @property
    def lost_nights(self) -> int:
        """How many nights since the newest archive the calendar could not contain the planned time."""
        newest = self.newest_archive
        if newest is None or not self.jobs:
            return 0
        since = newest.archive.ctime
        return min(planned.nights_without_a_calendar_time(job.job, since, self.now, self.zone) for job in self.jobs)

    @property
    def allowed_age(self) -> dt.timedelta:
        """The RPO, and a day more for each night that summer time took the planned run away."""
        return self.rpo + dt.timedelta(days=self.lost_nights)

    @property
    def dated_in_the_future(self) -> bool:
        """Whether the newest archive claims to come from a time that has not been yet."""
        return bool(self.newest_archive and self.newest_archive.age < -CLOCK_TOLERANCE)

    @cached_property
    def last_run(self) -> last_run.LastRun | None:
        """The last scheduled run that was due for it."""
        return last_run.find(self.jobs, self.vmid, self.now)

    @cached_property
    def history(self) -> history.History:
        """Its scheduled runs of the last nights."""
        return history.of(self.jobs, self.vmid, self.now, self.site_zone)

    @property
    def low_usage(self) -> str:
        """The site's hours of low usage."""
        return str(Window(self.inventory.policy.low_usage))

    @property
    def runs_outside_low_usage(self) -> list[str]:
        """The runs that began or ended outside of them, in words, newest first."""
        window, zone = Window(self.inventory.policy.low_usage), self.site_zone
        past = ((run, run.task) for run in self.history.runs)
        return [run.say(zone) for run, task in past if not window.holds(task.starttime, task.endtime or 0, zone)]

    def say_longest_run(self) -> str:
        """How long the longest of them took, waiting for others included."""
        spans = [(run.task.endtime or run.task.starttime) - run.task.starttime for run in self.history.runs]
        return say_duration(max(spans)) if spans else "none"

    @property
    def fallback_advice(self) -> str:
        """What to know where the newest run could not use its mode; empty where it could."""
        mode = self.history.downgraded_to
        if not mode:
            return ""
        return f"the newest run of {self} fell back to mode {mode}, which pauses it: its storage has no snapshots"

    @cached_property
    def mishaps(self) -> mended.Mishaps:
        """Errors of its backups, and whether later ones made up for them. Unknown without tasks and journal."""
        tasks = [task for node in self._homes for task in self._known_of("tasks", node, self.facts.tasks)]
        found = mended.by_tasks(tasks, self.vmid, self.backup_storage)
        if not mended.sort(found, self._newest_first).open:
            lines = [line for node in self._homes for line in self._known_of("journal", node, self.facts.journals)]
            found += mended.by_journal(lines, tasks, self.vmid)
        return mended.sort(found, self._newest_first)

    @property
    def _homes(self) -> list[str]:
        """Its node, and the others where its archives were made."""
        return list(dict.fromkeys([self.node, *(archive.node for archive in self._newest_first)]))

    def _known_of(self, what: str, node: str, facts: Mapping[str, tuple[T, ...] | Gap]) -> tuple[T, ...]:
        """The tasks or the journal of a node. Unknown when they were not read."""
        need = f"SSH to node {node}, or Sys.Syslog on /nodes/{node}" if what == "journal" else f"Sys.Audit on {node}"
        return known(facts.get(node, Gap(f"the {what} of node {node}", "not read", need)))

    @cached_property
    def told(self) -> dict[str, told.Told]:
        """Who is told of a failed run, by job id."""
        defaults = self.facts.defaults.get(self.node, {})
        known_defaults = {} if isinstance(defaults, Gap) else defaults
        return {job.id: told.judge(job.job.raw, known_defaults, self.facts) for job in self.jobs}

    @property
    def untold(self) -> str:
        """The jobs whose failure nobody is told of, in words."""
        return "; ".join(f"job {job}: {one.nobody}" for job, one in self.told.items() if one.nobody)

    @property
    def telling_remedy(self) -> str:
        """The commands by which somebody is told."""
        return told.remedy(self.facts, self.first_job)

    @cached_property
    def changes(self) -> changes.Changes:
        """When it was changed, as far as the site remembers."""
        return changes.of(self.facts, self.seen)

    @property
    def way_back(self) -> Archive | None:
        """The archive of the state before its last change."""
        return self.changes.way_back(self._newest_first)

    @property
    def backed_up_since_change(self) -> bool:
        """Whether an archive holds its present state."""
        return any(archive.ctime > self.changes.last.when for archive in self._newest_first)

    @property
    def last_change(self) -> str:
        """Its last change in words."""
        return self.changes.last.say(self.site_zone)

    def prove_clone(self) -> int:
        """The golden template of which it is a linked clone. Unknown else: a full clone leaves no trace."""
        templates = [vmid for vmid, one in self.inventory.guests.items() if one.role == "golden-template"]
        found = changes.linked_to(self.seen, templates)
        if found is None:
            reason = "none of its disks stands on the template's; a full clone leaves no trace"
            raise Unknown(f"whether {self} is a clone of the golden template", reason=reason)
        return found

    # --- archives as files ------------------------------------------------------------------------------------

    @property
    def _newest_first(self) -> list[Archive]:
        return [one.archive for one in self.archives]

    @cached_property
    def newest_file(self) -> archive_files.ArchiveFile:
        """The newest archive as a file of its node. Unknown without an archive, or where the node was not read."""
        if not self.archives:
            raise Unknown(f"the newest archive of {self}", reason="there is none")
        newest = self.archives[0].archive
        tasks = self.facts.tasks.get(newest.node, ())
        return archive_files.of(self.facts, newest, () if isinstance(tasks, Gap) else tasks, self.now)

    def prove_intact(self, drilled: Sequence[DrilledArchive] = ()) -> intact.Proof:
        """What shows that its newest archive is intact, besides earlier drills those of this run. Unknown without."""
        newest = self.newest_archive
        if newest is None:
            raise Unknown(f"the newest archive of {self}", reason="there is none")
        return intact.prove(self.facts, newest.archive, (*drilled, *self.facts.drilled))

    @property
    def dump_folder(self) -> str:
        """The folder of its newest archive."""
        folder = self.newest_file.folder
        return folder.path if folder else "none"

    @cached_property
    def sizes(self) -> archive_files.Sizes:
        """The size of the newest archive beside those of the others and of its disks."""
        full = volumes.full_size(self.volumes, self.seen.settings)
        return archive_files.sizes(self.facts, self._newest_first, full)

    @cached_property
    def nights_held(self) -> nights_held.NightsHeld:
        """The nights that its archives hold, and those the policy demands of them by now."""
        since = self.now - 4 * self.keep_nights * 86400
        starts = [at for job in self.jobs for at in planned.starts_between(job.job, since, self.now, job.zone)]
        made = nights_held.created(self.seen.settings)
        runs = [run.planned for run in self.history.runs] if made is None else []
        times = nights_held.Times(tuple(starts), tuple(runs), self.now, self.zone)
        return nights_held.judge(self._newest_first, times, self.keep_nights, made)

    @property
    def keeps_long(self) -> bool:
        """Whether retention keeps the recommended nights, or the disk has no room for as many."""
        return self.kept.nights >= RECOMMENDED_NIGHTS or not self.more_would_fit

    @property
    def more_would_fit(self) -> bool:
        """Whether the free space holds the nights lacking for the recommendation, as far as that is known."""
        status = self.facts.statuses.get(f"{self.node}/{self.backup_storage}")
        if not self.archives or not isinstance(status, StorageStatus):
            return True
        return (RECOMMENDED_NIGHTS - self.kept.nights) * self.sizes.newest <= status.avail

    def say_age(self) -> str:
        """The newest archive's age in words."""
        return say_duration(self.newest_archive.age) if self.newest_archive else "none"
