"""The task that restores a virtual machine from an archive: its order of events, its log, and what a failure leaves.

Upstream: PVE/QemuServer.pm restore_vma_archive, PVE/API2/Qemu.pm create_vm (restorefn); log lines, stubs and texts as
recorded. On failure the VMID stays behind as a stub: empty, or ``memory: 128`` once volumes had been made.
"""

from __future__ import annotations

import contextlib
import math
import time
from collections.abc import Callable, Iterator
from datetime import datetime

from lab.archive import ArchiveDamaged
from lab.archive.layout import CLUSTER, Totals
from lab.hypervisor import ArchiveDisk, ArchiveHeader, HypervisorError
from lab.pve import rights, volumes
from lab.pve.archive_access import Archive
from lab.pve.call import ApiError, Call
from lab.pve.config import fresh
from lab.pve.guestconfig import Config, drives
from lab.pve.guestlocks import check_protection, clear_lock
from lab.pve.power import power_on
from lab.pve.restoremerge import Hint, Placed, archived_config, hints, merge_overrides, restored_config
from lab.pve.site import GuestRecord, Site
from lab.pve.tasks import TaskError, TaskLog
from lab.pve.template import convert

_DECODERS = {"zst": "zstd -q -d -c", "gz": "zcat", "lzo": "lzop -d -c", "bz2": "bzcat"}
_BEFORE = (
    "error before or during data restore, some or all disks were not completely restored."
    " VM {vmid} state is NOT cleaned up."
)


class Pipeline:
    """The command a restore runs on the node, as its log and its errors print it."""

    def __init__(self, archive: Archive, pid: int) -> None:
        place = f"/var/tmp/vzdumptmp{pid}"
        decoder = _DECODERS.get(archive.compression)
        self.decode = f"{decoder} {archive.path}" if decoder else ""
        self.extract = f"vma extract -v -r {place}.fifo {'-' if decoder else archive.path} {place}"
        self.text = f"{self.decode} | {self.extract}" if decoder else self.extract
        self._pid = pid

    def failed(self, why: str) -> str:
        """The error of the whole command."""
        return f"command 'set -o pipefail && {self.text}' failed: {why}"

    def shell_lines(self, decoder_end: str) -> list[str]:
        """What the shell says when the extracting process died."""
        trap = f"{self._pid + 9:5} Trace/breakpoint trap  "
        if not self.decode:
            return [f"/bin/bash: line 1: {trap} {self.extract}"]
        return [
            f"/bin/bash: line 1: {self._pid + 8:5} {decoder_end:<23} {self.decode}",
            f"      {trap} | {self.extract}",
        ]


class ProgressLog:
    """Turns a hypervisor's progress calls into one line for each percent."""

    def __init__(self, log: TaskLog) -> None:
        self._log, self._percent, self._started = log, 0, time.monotonic()

    def __call__(self, done: int, total: int) -> None:
        """``done`` of ``total`` bytes have been read; also the point where a cancelled restore stops."""
        self._log.check()
        while total and self._percent < done * 100 // total:
            self._percent += 1
            read = min(total, math.ceil(total * self._percent / 100 / CLUSTER) * CLUSTER)
            seconds = int(time.monotonic() - self._started)
            self._log(f"progress {self._percent}% (read {read} bytes, duration {seconds} sec)")


class Restore:
    """One restore; :meth:`run` is the task's worker."""

    def __init__(self, call: Call, archive: Archive, overrides: Config) -> None:
        self.call, self.archive, self.overrides = call, archive, overrides
        self.site: Site = call.site
        self.vmid = int(call.params["vmid"])
        self.placed: dict[str, Placed] = {}

    def run(self, log: TaskLog) -> None:
        """The whole task."""
        with self.site.guest_locks.hold(self.vmid, log):
            guest = self.site.guest(self.vmid, "qemu")
            try:
                self._refuse_live(guest)
                config = self._restore_data(guest, log)
            except (ApiError, TaskError, HypervisorError):
                clear_lock(self.site, guest, "create")
                log.quiet(_BEFORE.format(vmid=self.vmid))
                raise
            self._finish(guest, config, log)

    def _refuse_live(self, guest: GuestRecord) -> None:
        prefix = f"unable to restore VM {self.vmid} -"
        if self.site.hypervisor.is_running(self.vmid):
            raise TaskError(f"{prefix} vm is running")
        check_protection(guest, prefix)

    def _restore_data(self, guest: GuestRecord, log: TaskLog) -> Config:
        pipeline = Pipeline(self.archive, log.task.pid)
        self._early_checks(log)
        log(f"restore vma archive: {pipeline.text}")
        header = self._header(pipeline, log)
        self._log_header(header, log)
        with self._cleanup(guest, log):
            try:
                self._place(guest, header, log)
            except ApiError as error:
                raise TaskError(pipeline.failed(error.text)) from error
            with self.site.lock:
                guest.config, guest.pending, guest.snapshots = {"memory": "128"}, {}, {}
                if header.firewall is not None:
                    self.site.firewall[self.vmid] = header.firewall
            self._extract(header, pipeline, log)
            text = header.config
            config = restored_config(text, self.placed, fresh(), unique=bool(self.call.params.get("unique")))
            return self._checked(merge_overrides(config, self.overrides, fresh()))

    def _early_checks(self, log: TaskLog) -> None:
        try:
            header = self.site.hypervisor.read_archive_header(self.archive.path)
        except (ArchiveDamaged, HypervisorError) as error:
            why = getattr(error, "decoder", "") or f"vma: {error}"
            why = f"Failed to extract config from VMA archive: {why}"
            log(f"Could not extract backed up config: {why}\n\n\nSkipping early checks!")
            return
        self._checked({**archived_config(header.config), **self.overrides})

    def _checked(self, config: Config) -> Config:
        if not self.call.is_root:
            for key, value in config.items():
                real = key.startswith(("hostpci", "usb"))
                if real and "host=" in str(value) and "spice" not in str(value):
                    raise TaskError(f"only root can set '{key}' config for real devices/non-mapped devices")
        nets = [value for key, value in config.items() if key.startswith("net") and key[3:].isdigit()]
        rights.check_bridges(self.call, nets)
        return config

    def _header(self, pipeline: Pipeline, log: TaskLog) -> ArchiveHeader:
        try:
            return self.site.hypervisor.read_archive_header(self.archive.path)
        except (ArchiveDamaged, HypervisorError) as error:
            log.task.cancelled.wait(self.site.patience.header)
            log.check()
            raise TaskError(pipeline.failed("got timeout reading VMA header - corrupted?")) from error

    def _log_header(self, header: ArchiveHeader, log: TaskLog) -> None:
        log(f"CFG: size: {len(header.config.encode())} name: qemu-server.conf")
        if header.firewall is not None:
            log(f"CFG: size: {len(header.firewall.encode())} name: qemu-server.fw")
        for number, disk in enumerate(header.disks, 1):
            log(f"DEV: dev_id={number} size: {disk.size} devname: {disk.device}")
        stamp = datetime.fromtimestamp(header.ctime, self.site.zone)
        log(f"CTIME: {stamp:%a %b} {stamp.day:2} {stamp:%H:%M:%S %Y}")

    def _place(self, guest: GuestRecord, header: ArchiveHeader, log: TaskLog) -> None:
        known = hints(header.config)
        wanted: list[tuple[ArchiveDisk, Hint, str]] = []
        for disk in header.disks:
            if (hint := known.get(disk.device)) is None:
                continue
            storage = self.call.params.get("storage") or hint.storage
            volumes.check_content(self.site, storage, "images")
            rights.check_storage(self.call, storage)
            wanted.append((disk, hint, storage))
        self._free_old(guest, {hint.key for _, hint, _ in wanted}, log)
        for disk, hint, storage in wanted:
            volid = volumes.allocate(self.site, storage, self.vmid, disk.size, log, form=hint.format)
            self.placed[hint.key] = Placed(volid, volumes.size_of(self.site, volid, disk.size))
            log(f"new volume ID is '{volid}'")
            zeros = volumes.write_zeros(self.site, storage)
            log(f"map '{disk.device}' to '{self.site.hypervisor.path(volid)}' (write zeros = {zeros})")

    def _free_old(self, guest: GuestRecord, keys: set[str], log: TaskLog) -> None:
        for key, volid in drives(guest.config).items():
            if key in keys and volumes.owner(volid) == self.vmid:
                volumes.remove(self.site, volid, log)

    def _extract(self, header: ArchiveHeader, pipeline: Pipeline, log: TaskLog) -> None:
        targets = {disk.device: self.placed[hint.key].volid for disk in header.disks
                   if (hint := hints(header.config).get(disk.device))}  # fmt: skip
        if not targets:
            log("vma archive contains no image data")
            return
        try:
            totals = self.site.hypervisor.extract_archive(self.archive.path, targets, ProgressLog(log))
        except (ArchiveDamaged, HypervisorError) as error:
            _log_damage(error, pipeline, log)
            raise TaskError(pipeline.failed("exit code 133")) from error
        _log_totals(totals, log)

    @contextlib.contextmanager
    def _cleanup(self, guest: GuestRecord, log: TaskLog) -> Iterator[None]:
        """Remove the new volumes when anything fails, as upstream's restore_destroy_volumes does."""
        try:
            yield
        except BaseException:
            had_data = bool(self.placed)
            for placed in self.placed.values():
                self.site.hypervisor.free(placed.volid)
                log.quiet(f"temporary volume '{placed.volid}' successfully removed")
            if had_data and "lock" not in guest.config:
                log.quiet("no lock found trying to remove 'create'  lock")
            raise

    def _finish(self, guest: GuestRecord, config: Config, log: TaskLog) -> None:
        with self.site.lock:
            guest.config = config
            if pool := self.call.params.get("pool"):
                guest.pool = pool
        log("rescan volumes...")
        volumes.rescan(self.site, guest)
        self._convert_and_start(guest, log)

    def _convert_and_start(self, guest: GuestRecord, log: TaskLog) -> None:
        if guest.template:
            log("Convert to template.")
            _tolerate(lambda: convert(self.site, guest, log), log)
        if self.call.params.get("ha-managed"):
            with self.site.lock:
                self.site.ha_resources[f"vm:{self.vmid}"] = {"sid": f"vm:{self.vmid}", "type": "vm", "state": "started"}
        if self.call.params.get("start"):
            log("Execute autostart")
            _tolerate(lambda: power_on(self.site, guest, log), log)


def _tolerate(step: Callable[[], None], log: TaskLog) -> None:
    try:
        step()
    except (ApiError, TaskError, HypervisorError) as error:
        log(str(error))


def _log_totals(totals: Totals, log: TaskLog) -> None:
    share = 100 * totals.sparse_bytes / totals.bytes if totals.bytes else 0.0
    log(f"total bytes read {totals.bytes}, sparse bytes {totals.sparse_bytes} ({share:.3g}%)")
    log(f"space reduction due to 4K zero blocks {totals.zero_block_share:.3g}%")


def _log_damage(error: Exception, pipeline: Pipeline, log: TaskLog) -> None:
    decoder = str(getattr(error, "decoder", ""))
    if decoder:
        log.quiet(decoder)
    log.quiet(f"vma: restore failed - {error}")
    full = "No space left" in str(error) or "(-28)" in str(error)
    end = "Exit 1" if decoder else "Broken pipe" if full else "Done"
    for line in pipeline.shell_lines(end):
        log.quiet(line)
