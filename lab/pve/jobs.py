"""Routes of backup jobs: /cluster/backup, and what a job's schedule means.

Upstream: PVE/API2/Backup.pm, PVE/Jobs.pm. A job is a section of jobs.cfg; ``prune-backups`` and its like are kept as
text and given as objects whose numbers are text.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from typing import Any

from lab.pve import calendar, cronjobs, job_files, retention
from lab.pve.call import ApiError, Call, die, param_error
from lab.pve.formats import split_list
from lab.pve.site import Site

Job = dict[str, Any]

_ROOT_ONLY = ("tmpdir", "dumpdir", "script", "job-id")
_OBJECTS = {"prune-backups": "", "performance": "", "fleecing": "enabled"}
_BOOLEANS = {"keep-all", "enabled"}
_LAST_MAXFILES = 8
_CONFLICTS = {"vmid": ("all", "exclude", "pool"), "all": ("vmid", "pool"), "pool": ("vmid", "all", "exclude")}


def _object(text: str, default_key: str, numbers: AbstractSet[str] = _BOOLEANS) -> dict[str, object]:
    """Split a property string; only booleans become numbers (upstream: PVE/JSONSchema.pm parse_property_string)."""
    found: dict[str, object] = {}
    for part in filter(None, text.split(",")):
        key, equals, value = part.partition("=")
        if not equals:
            key, value = default_key, key
        found[key] = int(value) if key in numbers else value
    return found


def shown(site: Site, job_id: str, job: Mapping[str, Any]) -> Job:
    """Give a job as the API does; 8.4 leaves the switch of fleecing a text (measured)."""
    numbers = _BOOLEANS - {"enabled"} if site.major < 9 else _BOOLEANS
    gone = {"maxfiles"} if site.major > _LAST_MAXFILES else set()
    return {"id": job_id} | {
        key: _object(str(value), _OBJECTS[key], numbers) if key in _OBJECTS else value
        for key, value in job.items()
        if key not in gone
    }


def next_run(site: Site, job: Mapping[str, Any], after: int | None = None) -> int | None:
    """Give the moment a job's schedule falls due next, enabled or not; None when it never does."""
    event = calendar.parse(str(job["schedule"]))
    return calendar.next_event(event, site.now() if after is None else after, site.zone)


def index(call: Call) -> object:
    """GET /cluster/backup: with the next run, which single answers do not have; first the jobs that cron runs."""
    site = call.site
    found = [shown(site, job_id, job) for job_id, job in cronjobs.of(site).items()]
    with site.lock:
        for job_id, job in site.jobs.items():
            line = shown(site, job_id, job)
            if (due := next_run(site, job)) is not None:
                line["next-run"] = due
            found.append(line)
    return found


def get_job(site: Site, job_id: str) -> Job:
    """Give a job's section, or one of the jobs that cron runs; 400 when there is none."""
    if job := cronjobs.of(site).get(job_id):
        return job
    with site.lock:
        if job_id not in site.jobs:
            param_error("id", f"No such job '{job_id}'")
        return site.jobs[job_id]


def read(call: Call) -> object:
    """GET /cluster/backup/{id}."""
    job_id = str(call.params["id"])
    return shown(call.site, job_id, get_job(call.site, job_id))


def check_common(call: Call, params: Mapping[str, Any]) -> None:
    """Refuse options that are for root@pam alone or need more rights (upstream: assert_param_permission_common)."""
    if call.is_root:
        return
    for key in _ROOT_ONLY:
        if key in params:
            param_error(key, "Only root may set this option.")
    if params.keys() & {"bwlimit", "ionice", "performance"}:
        call.check("/", "Sys.Modify")
    fleecing = _object(str(params.get("fleecing", "")), "enabled").get("storage")
    if fleecing:
        call.check(f"/storage/{fleecing}", "Datastore.AllocateSpace")


def _check_target(call: Call, params: Mapping[str, Any]) -> None:
    """Demand rights on the storage a job writes to, and on its pool (upstream: assert_param_permission_create)."""
    if call.is_root:
        return
    call.check(f"/storage/{params.get('storage', 'local')}", "Datastore.Allocate")
    if params.get("pool"):
        call.check(f"/pool/{params['pool']}", "VM.Backup")


def _schedule(params: Job, *, create: bool) -> None:
    """Turn ``dow`` and ``starttime`` into a schedule, in place; nothing is padded."""
    start, days = params.pop("starttime", None), params.pop("dow", None)
    if start is not None and "schedule" in params:
        param_error("starttime", "'starttime' and 'schedule' cannot both be set")
    if start is not None:
        params["schedule"] = cronjobs.schedule(start, days)
    elif create and "schedule" not in params:
        param_error("schedule", "neither 'starttime' nor 'schedule' were set")


def convert_maxfiles(params: Job) -> None:
    """Turn the old ``maxfiles`` into retention, in place; releases from 9 on know no such parameter."""
    if kept := retention.setting(params, _LAST_MAXFILES):
        params["prune-backups"] = kept
    params.pop("maxfiles", None)


def verify(params: Job) -> None:
    """Check the selection of guests and complete it, in place (upstream: PVE/VZDump.pm verify_vzdump_parameters)."""
    for key in ("all", "exclude"):
        if params.get(key) and "vmid" in params:
            raise ApiError.param({key: "option conflicts with option 'vmid'"})
    if "pool" in params and (params.get("all") or "vmid" in params):
        raise ApiError.param({"all" if params.get("all") else "vmid": "option conflicts with option 'pool'"})
    if "exclude" in params and "pool" not in params:
        params["all"] = 1
    if not (params.get("all") or params.get("stop") or params.get("pool") or params.get("vmid")):
        raise ApiError.param({"vmid": "property is missing"})


def listed(params: Mapping[str, Any]) -> list[int]:
    """Give the VMIDs that were named, which open the command line in a task's log."""
    return [int(vmid) for vmid in split_list(str(params.get("vmid", "")))]


def _locked_verify(params: Job) -> None:
    """Check as the real thing does inside its file lock: what is wrong becomes a 500 whose text says 400."""
    try:
        verify(params)
    except ApiError as error:
        _die_as_param(error)


def _die_as_param(error: ApiError) -> None:
    lines = "".join(f"{key}: {text}\n" for key, text in sorted((error.errors or {}).items()))
    die(f"400 {error.text}\n{lines}")


def create(call: Call) -> object:
    """POST /cluster/backup: storage, guests and node of the job need not exist."""
    site, params = call.site, dict(call.params)
    check_common(call, params)
    _check_target(call, params)
    job_id = str(params.pop("id", None) or uuid.uuid4())
    _schedule(params, create=True)
    convert_maxfiles(params)
    params.setdefault("enabled", 1)
    with site.lock:
        if job_id in site.jobs:
            die(f"Job '{job_id}' already exists")
        _locked_verify(params)
        site.jobs[job_id] = {"type": "vzdump", **params}
        job_files.created(site, job_id)
    return None


def update(call: Call) -> object:
    """PUT /cluster/backup/{id}."""
    site, params = call.site, dict(call.params)
    job_id = str(params.pop("id"))
    check_common(call, params)
    gone = split_list(str(params.pop("delete", "")))
    _schedule(params, create=False)
    convert_maxfiles(params)
    with site.lock:
        if job_id not in site.jobs:
            die("no such vzdump job")
        old = site.jobs[job_id]
        for section in (old, params) if "storage" in params else (old,):
            _check_target(call, section)
        new = {key: value for key, value in old.items() if key not in gone}
        for key in params.keys() & _CONFLICTS.keys():
            for other in _CONFLICTS[key] if params[key] else ():
                new.pop(other, None)
        new.update(params)
        verify(new)
        site.jobs[job_id] = new
        changed = any(old.get(key) != new.get(key) for key in ("schedule", "enabled"))
        job_files.updated(site, job_id, changed=changed)
    return None


def delete(call: Call) -> object:
    """DELETE /cluster/backup/{id}."""
    site, job_id = call.site, str(call.params["id"])
    with site.lock:
        if job_id not in site.jobs:
            _die_as_param(ApiError.param({"id": f"No such job '{job_id}'"}))
        job = site.jobs[job_id]
        if job.get("dumpdir") and not call.is_root:
            param_error("dumpdir", "Only root may set this option.")
        del site.jobs[job_id]
        job_files.deleted(site, job_id)
    return None


def forget_guest(site: Site, vmid: int) -> None:
    """Take a purged guest out of all jobs; a job that named no other guest goes with it."""
    with site.lock:
        for job_id, job in list(site.jobs.items()):
            for key in {"vmid", "exclude"} & job.keys():
                left = [one for one in split_list(str(job[key])) if one != str(vmid)]
                if left:
                    job[key] = ",".join(left)
                elif key == "exclude":
                    del job[key]
                else:
                    del site.jobs[job_id]
                    job_files.deleted(site, job_id)
        job_files.write_jobs(site)


def analyze(call: Call) -> object:
    """GET /cluster/jobs/schedule-analyze: the next events, computed in the node's zone."""
    params = call.params
    moment = int(params.get("starttime", call.site.now()))
    event = calendar.parse(str(params["schedule"]))
    found = []
    for _ in range(int(params.get("iterations", 10))):
        following = calendar.next_event(event, moment, call.site.zone)
        if following is None:
            break
        moment = following
        found.append({"timestamp": moment, "utc": time.asctime(time.gmtime(moment))})
    return found
