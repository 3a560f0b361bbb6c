"""Routes of pruning: the dry run that lists every archive with its mark, and the task that removes.

Upstream: PVE/API2/Storage/PruneBackups.pm, PVE/Storage/Plugin.pm prune_backups. The dry run asks for less than the
content listing does and hides nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from lab.pve import archives, retention, storages
from lab.pve.archives import Archive, Log
from lab.pve.call import ApiError, Call, die, param_error
from lab.pve.site import Site
from lab.pve.tasks import TaskLog


@dataclass(frozen=True)
class Marked:
    """An archive and what retention says about it."""

    archive: Archive
    mark: retention.Mark

    def item(self) -> dict[str, object]:
        """Give the line of the dry run; the VMID of a renamed archive is text, as recorded."""
        found: dict[str, object] = {
            "volid": self.archive.volid,
            "ctime": self.archive.ctime,
            "mark": self.mark,
            "type": self.archive.name.type,
        }
        if self.archive.name.vmid is not None:
            vmid = self.archive.name.vmid
            found["vmid"] = str(vmid) if self.mark == "renamed" else vmid
        return found


def mark(
    site: Site, storage: str, rules: Mapping[str, int], vmid: int | None = None, kind: str | None = None
) -> list[Marked]:
    """Mark the archives of an active storage, each guest's group for itself."""
    groups: dict[tuple[str, int | None], list[Archive]] = {}
    for archive in archives.listing(site, storage, vmid):
        if kind in {None, archive.name.type}:
            groups.setdefault((archive.name.type, archive.name.vmid), []).append(archive)
    found = []
    for group in groups.values():
        marks = retention.mark(
            [retention.Candidate(one.volid, one.ctime, one.name.standard, one.protected) for one in group],
            rules,
            site.zone,
        )
        found += [Marked(one, marks[one.volid]) for one in group]
    return sorted(found, key=lambda one: one.archive.volid)


def prune(
    site: Site,
    storage: str,
    rules: Mapping[str, int],
    log: Log,
    *,
    vmid: int | None = None,
    kind: str | None = None,
    prefix: str = "",
) -> int:
    """Remove what is marked for it and count it; one failure is told and fails the whole at its end."""
    removed, failed = 0, False
    for one in mark(site, storage, rules, vmid, kind):
        if one.mark != "remove":
            continue
        log(f"{prefix}removing backup '{one.archive.volid}'")
        try:
            archives.remove(site, one.archive)
            removed += 1
        except (ApiError, OSError) as error:
            log(f"{'ERROR: ' if prefix else ''}error when removing backup '{one.archive.volid}' - {error}")
            failed = True
    if failed:
        die("error pruning backups - check log")
    return removed


def _rules(call: Call) -> dict[str, int]:
    """Give the rules of the request, or else the storage's own."""
    site, storage = call.site, str(call.params["storage"])
    section = storages.check_enabled(site, storage)
    if "backup" not in storages.contents(section):
        die(f"storage '{storage}' does not support backups")
    text = call.params.get("prune-backups") or retention.setting(section, site.major)
    if not text:
        die(f"no prune-backups options configured for storage '{storage}'")
    try:
        return retention.parse(str(text))
    except retention.RetentionError as error:
        param_error("prune-backups", f"invalid format - {error}")


def dry_run(call: Call) -> object:
    """GET /nodes/{node}/storage/{storage}/prunebackups."""
    rules, storage = _rules(call), str(call.params["storage"])
    storages.activate(call.site, storage)
    marked = mark(call.site, storage, rules, call.params.get("vmid"), call.params.get("type"))
    return [one.item() for one in marked]


def remove(call: Call) -> object:
    """DELETE /nodes/{node}/storage/{storage}/prunebackups: a task."""
    site, storage, vmid = call.site, str(call.params["storage"]), call.params.get("vmid")
    if not call.check(f"/storage/{storage}", "Datastore.Allocate", noerr=vmid is not None) and vmid is not None:
        call.check(f"/storage/{storage}", "Datastore.AllocateSpace")
        call.check(f"/vms/{vmid}", "VM.Backup")
    rules = _rules(call)

    def work(log: TaskLog) -> None:
        storages.activate(site, storage)
        prune(site, storage, rules, log, vmid=vmid, kind=call.params.get("type"))

    return site.tasks.start(call, "prunebackups", storage if vmid is None else f"{vmid}@{storage}", work)
