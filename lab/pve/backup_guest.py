"""One guest's backup inside a backup task: what all kinds of guests have in common.

Upstream: PVE/VZDump.pm exec_backup_task. Lines, their order and what a failure leaves (the log and nothing else) are
as recorded.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar

from lab.hypervisor import HypervisorError, Progress
from lab.pve import archive_names, archives, backup_lxc, backup_qemu, prune, retention, vzdump_log
from lab.pve.call import ApiError, die
from lab.pve.guestlocks import check_lock, clear_lock, set_lock
from lab.pve.site import GuestRecord, Site
from lab.pve.tasks import TaskError, TaskLog

_LINE_EVERY = 3
T = TypeVar("T")


@dataclass(frozen=True)
class Target:
    """Where and how a task's archives are written. ``rules`` is empty when nothing is pruned, ``limit`` 0 for none."""

    storage: str
    folder: str
    options: Mapping[str, Any]
    rules: Mapping[str, int]
    limit: int = 0

    @property
    def compress(self) -> str:
        """The compressor as the hypervisor names it."""
        wanted = str(self.options.get("compress", "0"))
        return "lzo" if wanted == "1" else wanted


@dataclass
class GuestBackup:
    """One guest's backup. ``lines`` is what its own log keeps, with the moments; ``loud`` also writes the journal."""

    site: Site
    guest: GuestRecord
    target: Target
    log: TaskLog
    loud: Callable[[str], None]
    start: int = 0
    running: bool = False
    archive: str = ""
    lines: list[tuple[int, str]] = field(default_factory=list)

    def say(self, line: str) -> None:
        """Write to the task's log and the guest's own; a cancelled task stops here."""
        self.log(line)
        self.lines.append((self.site.now(), line))

    def say_anyway(self, line: str) -> None:
        """Write although the task may be cancelled."""
        self.log.quiet(line)
        self.lines.append((self.site.now(), line))

    def say_loud(self, line: str) -> None:
        """Write to the journal too."""
        self.loud(line)
        self.lines.append((self.site.now(), line))

    def run(self) -> None:
        """Back the guest up; whatever makes it fail is raised after the log is written."""
        self._check_limit()
        site, guest = self.site, self.guest
        self.start = site.now()
        name = archive_names.compose(guest.kind, guest.vmid, self.start, self.target.compress, site.zone)
        self.archive = posixpath.join(self.target.folder, name)
        try:
            self._told()
        except (ApiError, HypervisorError, OSError, TaskError) as error:
            self.lines.append((site.now(), f"ERROR: Backup of VM {guest.vmid} failed - {error}"))
            raise
        finally:
            self._write_log()

    def _told(self) -> None:
        site, guest = self.site, self.guest
        self.say_loud(f"INFO: Starting Backup of VM {guest.vmid} ({guest.kind})")
        self.say(f"INFO: Backup started at {vzdump_log.moment(self.start, site.zone)}")
        self.running = site.hypervisor.is_running(guest.vmid)
        self.say(f"INFO: status = {'running' if self.running else 'stopped'}")
        check_lock(guest)
        set_lock(site, guest, "backup")
        try:
            size = backup_qemu.copy(self) if guest.kind == "qemu" else backup_lxc.copy(self)
            self.say(f"INFO: archive file size: {vzdump_log.file_size(size)}")
            self._finish()
        finally:
            clear_lock(site, guest, "backup")
        now = site.now()
        self.say_loud(f"INFO: Finished Backup of VM {guest.vmid} ({vzdump_log.clock(now - self.start)})")
        self.say(f"INFO: Backup finished at {vzdump_log.moment(now, site.zone)}")

    def _finish(self) -> None:
        """Add notes and protection, then prune."""
        node, options = self.site.hypervisor.node, self.target.options
        if template := str(options.get("notes-template", "")):
            self.say("INFO: adding notes to backup")
            node.write(f"{self.archive}.notes", notes(self.site, self.guest, template).encode())
        if options.get("protected"):
            self.say("INFO: marking backup as protected")
            node.write(f"{self.archive}.protected", b"")
        if self.target.rules:
            self.say(f"INFO: prune older backups with retention: {retention.render(self.target.rules)}")
            count = prune.prune(
                self.site,
                self.target.storage,
                self.target.rules,
                self.say,
                vmid=self.guest.vmid,
                kind=self.guest.kind,
                prefix="INFO: ",
            )
            self.say(f"INFO: pruned {count} backup(s)" + (" not covered by keep-retention policy" if count else ""))

    def _check_limit(self) -> None:
        """Refuse when nothing is pruned and the guest already has what its retention would keep."""
        mine = (
            [
                one
                for one in archives.listing(self.site, self.target.storage, self.guest.vmid)
                if one.name.standard and one.name.type == self.guest.kind and not one.protected
            ]
            if self.target.limit
            else []
        )
        if self.target.limit and len(mine) >= self.target.limit:
            die(
                f"There is a max backup limit of {self.target.limit} enforced by the target storage or the vzdump"
                " parameters. Either increase the limit or delete old backups."
            )

    def _write_log(self) -> None:
        """Write the guest's log beside the archive (also of a failed backup) and under /var/log/vzdump."""
        text = vzdump_log.guest_log(self.lines, self.site.zone).encode()
        node = self.site.hypervisor.node
        own = f"/var/log/vzdump/{self.guest.kind}-{self.guest.vmid}.log"
        node.makedirs("/var/log/vzdump")
        for path in (own, archive_names.log_of(self.archive)):
            try:
                node.write(path, text)
            except (HypervisorError, OSError) as error:
                self.log.quiet(f"unable to write '{path}' - {error}")

    def written(self, write: Callable[[str, Progress], T], progress: Progress) -> T:
        """Let ``write`` make the archive under its unfinished name; what a failure leaves is removed."""
        node, unfinished = self.site.hypervisor.node, archive_names.unfinished(self.archive)
        done = False
        try:
            result = write(unfinished, progress)
            node.rename(unfinished, self.archive)
            done = True
        finally:
            if not done:
                self._discard(unfinished)
        return result

    def _discard(self, path: str) -> None:
        try:
            self.site.hypervisor.node.unlink(path)
        except (FileNotFoundError, HypervisorError):
            return  # nothing was written, or the disk it was written to is gone

    def progress(self) -> ProgressLines:
        """Give what turns bytes into progress lines."""
        return ProgressLines(self, self.site.now())


@dataclass
class ProgressLines:
    """Writes a progress line every few seconds and at the end; a cancelled task stops here too."""

    backup: GuestBackup
    began: int
    seconds: int = 0
    shown: int = 0

    def __call__(self, done: int, total: int) -> None:
        """Called by the hypervisor with bytes done and in all."""
        self.backup.log.check()
        passed = self.backup.site.now() - self.began
        if done >= total or passed - self.seconds >= _LINE_EVERY:
            self.line(done, total, passed)

    def line(self, done: int, total: int, passed: int) -> None:
        """Write one line, once for each state."""
        if done <= self.shown and done < total:
            return
        if self.shown >= total > 0:
            return
        rate = (done - self.shown) / max(passed - self.seconds, 1)
        self.backup.say(vzdump_log.progress(done, total, max(passed, 1), rate, rate))
        self.seconds, self.shown = passed, done


def notes(site: Site, guest: GuestRecord, template: str) -> str:
    r"""Fill a notes template: its variables, and the escapes ``\n`` and ``\\`` (upstream: generate_notes)."""
    values = {"cluster": "standalone node", "guestname": guest.name, "node": site.node, "vmid": str(guest.vmid)}
    plain = re.sub(r"\\(.)", lambda found: {"n": "\n"}.get(found[1], found[1]), template)
    return re.sub(r"\{\{(\w+)\}\}", lambda found: values.get(found[1], found[0]), plain)
