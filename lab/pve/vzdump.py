"""Routes of vzdump: start a backup, the defaults of a node, the configuration inside an archive.

Upstream: PVE/API2/VZDump.pm, PVE/VZDump.pm. What is wrong with a storage ends the task, not the request.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from lab.archive import ArchiveDamaged
from lab.pve import archives, backup_task, jobs, retention, storages
from lab.pve.archive_access import arbitrary
from lab.pve.call import ApiError, Call, die
from lab.pve.coverage import selection
from lab.pve.site import Site
from lab.pve.tasks import TaskLog

_DEFAULTS: Mapping[str, Any] = {
    "all": 0,
    "bwlimit": 0,
    "compress": "0",
    "fleecing": {"enabled": 0},
    "ionice": 7,
    "lockwait": 180,
    "mailnotification": "always",
    "mode": "snapshot",
    "notification-mode": "auto",
    "performance": {"max-workers": 16, "pbs-entries-max": 1048576},
    "pigz": 0,
    "prune-backups": "keep-all=1",
    "quiet": 0,
    "remove": 1,
    "stdexcludes": 1,
    "stop": 0,
    "stopwait": 10,
    "zstd": 1,
}
_AUDITED = ("mailto", "tmpdir", "dumpdir", "script", "ionice")
_SELECTION = ("vmid", "job-id")


def start(call: Call) -> object:
    """POST /nodes/{node}/vzdump: the UPID, or the text "OK" when there is nothing to do here."""
    site, params = call.site, dict(call.params)
    jobs.check_common(call, params)
    if params.get("stop"):
        call.check(f"/nodes/{site.node}", "Sys.Modify")
    if "prune-backups" in params:
        call.check(f"/storage/{_storage(site, params)}", "Datastore.Allocate")
    jobs.verify(params)
    jobs.convert_maxfiles(params)
    if params.get("stop"):
        stop_running(site)
        if not any(params.get(key) for key in ("all", "pool", "vmid")):
            return "OK"
    call.check(f"/storage/{_storage(site, params)}", "Datastore.AllocateSpace")
    return launch(site, call, params)


def launch(site: Site, who: Call | str, params: Mapping[str, Any]) -> str:
    """Start the task of a backup; ``who`` is a call or, for the scheduler, a user id."""
    chosen = selection(site, params)
    if not chosen and not params.get("all"):
        return "OK"
    options = {key: value for key, value in params.items() if key not in _SELECTION}
    plan = backup_task.Plan(chosen, options, jobs.listed(params), who)

    def work(log: TaskLog) -> None:
        backup_task.run(site, plan, log)

    return site.tasks.start(who, "vzdump", chosen[0] if len(chosen) == 1 else "", work)


def stop_running(site: Site) -> None:
    """Ask every running backup of this node to end."""
    for task in site.tasks.all():
        if task.type == "vzdump" and not task.finished.is_set():
            site.tasks.stop(task.upid)


def _storage(site: Site, params: Mapping[str, Any]) -> str:
    return str(params.get("storage") or site.vzdump_conf.get("storage") or "local")


def defaults(call: Call) -> object:
    """GET /nodes/{node}/vzdump/defaults: what a backup to this storage does when nothing else is said."""
    site = call.site
    storage = _storage(site, call.params)
    call.check(f"/storage/{storage}", "Datastore.Audit", "Datastore.AllocateSpace", any=True)
    section = storages.check_backup_content(site, storage)
    known = site.schema.routes["POST /nodes/{node}/vzdump"].parameters
    found = {key: value for key, value in _DEFAULTS.items() if key in known}
    own = {key: value for key, value in site.vzdump_conf.items() if key != "maxfiles"}
    found |= {**own, "storage": storage, "dumpdir": storages.folder(section, "backup")}
    if site.major < 8:
        found["performance"] = {"max-workers": 16}
    if site.major == 8:
        found["notification-policy"] = "always"
    for place in (site.vzdump_conf, section):
        found["prune-backups"] = retention.setting(place, site.major) or found["prune-backups"]
    if not call.check(f"/nodes/{site.node}", "Sys.Audit", noerr=True):
        for key in _AUDITED:
            found.pop(key, None)
    return found


def extract_config(call: Call) -> object:
    """GET /nodes/{node}/vzdump/extractconfig: reads the header alone, so a truncated archive answers too."""
    site, volid = call.site, str(call.params["volume"])
    if volid.startswith("/") and not call.is_root:
        die(arbitrary(site))
    archives.check_access(call, volid)
    archive = archives.find(site, volid)
    path = archives.path_of(site, volid)
    try:
        if archive.name.type == "qemu":
            return site.hypervisor.read_archive_header(path).config
        return site.hypervisor.read_container_config(path)
    except ArchiveDamaged as damage:
        what = damage.decoder or f"vma: {damage}"
        raise ApiError(500, f"Failed to extract config from VMA archive: {what}\n\n") from damage
