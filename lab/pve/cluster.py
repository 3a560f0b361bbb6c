"""Routes of the cluster as a whole: version, resources, status, next free VMID, recent tasks, options, replication."""

from __future__ import annotations

from typing import Any

from lab.pve import figures, nodefigures, storages
from lab.pve.call import Call, param_error
from lab.pve.site import GuestRecord, Site

RECENT = 25


def version(call: Call) -> object:
    """GET /version and GET /nodes/{node}/version."""
    site = call.site
    return {"release": site.version, "version": site.full_version, "repoid": site.release.repoid}


def resources(call: Call) -> object:
    """GET /cluster/resources: everything the caller may see."""
    kind = call.params.get("type")
    parts = {
        None: (_pools, _guests, _nodes, _storages, _networks),
        "vm": (_guests,),
        "node": (_nodes,),
        "storage": (_storages,),
        "sdn": () if call.site.major >= 9 else (_networks,),
    }
    with call.site.lock:
        return [entry for part in parts[kind] for entry in part(call)]


def _guests(call: Call) -> list[dict[str, Any]]:
    site = call.site
    guests = [
        guest for vmid, guest in sorted(site.guests.items()) if call.check(f"/vms/{vmid}", "VM.Audit", noerr=True)
    ]
    return [_guest(site, guest) for guest in guests]


def _guest(site: Site, guest: GuestRecord) -> dict[str, Any]:
    """A guest in the list; of one on a node that is offline only what /etc/pve tells (derived)."""
    shown = figures.guest_resource(site.home(guest), guest)
    if guest.node not in site.offline:
        return shown
    kept = ("vmid", "name", "template", "tags", "lock", "id", "type", "node", "pool", "hastate")
    return {**{key: shown[key] for key in kept if key in shown}, "status": "unknown"}


def _pools(call: Call) -> list[dict[str, Any]]:
    names = [name for name in sorted(call.site.pools) if call.check(f"/pool/{name}", "Pool.Audit", noerr=True)]
    return [{"id": f"/pool/{name}", "type": "pool", "pool": name, **_pool_sums(call.site, name)} for name in names]


def _pool_sums(site: Site, pool: str) -> dict[str, Any]:
    members = [figures.guest_figures(site, guest) for guest in site.guests.values() if guest.pool == pool]
    running = [member for member in members if member["status"] == "running"]
    if not running:
        return {}
    sums = {key: sum(member[key] for member in running) for key in ("mem", "maxmem", "cpu", "maxcpu")}
    return {**sums, "uptime": max(member["uptime"] for member in running)}


def _nodes(call: Call) -> list[dict[str, Any]]:
    return [{**node_entry(call, site), "cgroup-mode": 2} for site in nodes(call.site)]


def nodes(site: Site) -> list[Site]:
    """The nodes of the cluster by name."""
    return [site.peers[name] for name in sorted(site.peers)]


def node_entry(call: Call, site: Site) -> dict[str, Any]:
    """A node in lists; its figures only for those who may audit it, and only while it is online."""
    shown = {"id": f"node/{site.node}", "node": site.node, "type": "node", "status": "online", "level": ""}
    if site.node in site.offline:
        return {**shown, "status": "offline"}
    if call.check(f"/nodes/{site.node}", "Sys.Audit", noerr=True):
        shown |= nodefigures.node_resource(site.figures.read())
    return shown


def _storages(call: Call) -> list[dict[str, Any]]:
    names = [
        name for name in sorted(call.site.storages) if call.check(f"/storage/{name}", "Datastore.Audit", noerr=True)
    ]
    return [
        figures.storage_resource(site, name)
        for site in nodes(call.site)
        for name in names
        if site.node not in site.offline and storages.is_here(site, name)
    ]


def _networks(call: Call) -> list[dict[str, Any]]:
    if call.site.major < 8 or not call.check("/sdn/zones/localnetwork", "SDN.Audit", noerr=True):
        return []
    node, zone = call.site.node, "localnetwork"
    if call.site.major < 9:
        return [{"id": f"sdn/{node}/{zone}", "type": "sdn", "sdn": zone, "node": node, "status": "ok"}]
    return [
        {
            "id": f"network/{node}/zone/{zone}",
            "type": "network",
            "network-type": "zone",
            "network": zone,
            "node": node,
            "status": "ok",
        }
    ]


def status(call: Call) -> object:
    """GET /cluster/status: the nodes, after the cluster itself where there is one (derived)."""
    members = nodes(call.site)
    several = len(members) > 1
    head = {"id": "cluster", "name": "lab", "type": "cluster", "nodes": len(members), "quorate": 1, "version": 1}
    shown = [
        {
            "id": f"node/{site.node}",
            "name": site.node,
            "type": "node",
            "ip": site.address,
            "local": int(site is call.site),
            "level": "",
            "nodeid": number if several else 0,
            "online": int(site.node not in site.offline),
        }
        for number, site in enumerate(members, 1)
    ]
    return [head, *shown] if several else shown


def nextid(call: Call) -> object:
    """GET /cluster/nextid: the lowest free VMID, or the asked one when it is free (a string, as recorded)."""
    wanted = call.params.get("vmid")
    if wanted is None:
        return str(call.site.next_vmid())
    with call.site.lock:
        if wanted in call.site.guests:
            param_error("vmid", f"VM {wanted} already exists")
    return str(wanted)


def recent_tasks(call: Call) -> object:
    """GET /cluster/tasks: the last 25; a token does not see its own without Sys.Audit, as recorded."""
    everything = call.check("/", "Sys.Audit", noerr=True)
    tasks = [task for task in call.site.tasks.all() if everything or task.userid == call.user][:RECENT]
    shown = []
    for task in tasks:
        entry: dict[str, Any] = {
            "upid": task.upid,
            "node": task.node,
            "type": task.type,
            "id": task.id,
            "user": task.userid,
            "starttime": task.starttime,
            "saved": "1" if task.endtime else "0",
        }
        if task.tokenid:
            entry["tokenid"] = task.tokenid
        if task.endtime is not None:
            entry |= {"endtime": task.endtime, "status": task.status}
        shown.append(entry)
    return shown


def log(call: Call) -> object:
    """GET /cluster/log: starts and ends of tasks, the caller's own without Sys.Syslog."""
    limit = call.params.get("max", 50)
    everything = call.check("/", "Sys.Syslog", noerr=True)
    events = []
    for task in call.site.tasks.all():
        if not everything and task.user != call.user:
            continue
        if task.endtime is not None:
            events.append((task.endtime, f"end task {task.upid} {task.status}", task))
        events.append((task.starttime, f"starting task {task.upid}", task))
    events.sort(key=lambda event: event[0], reverse=True)
    node = call.site.node
    return [
        {
            "uid": str(len(events) - index),
            "id": f"{len(events) - index}:{node}",
            "node": node,
            "time": when,
            "tag": "pvedaemon",
            "pid": task.pid,
            "pri": 6,
            "user": task.user,
            "msg": text,
        }
        for index, (when, text, task) in enumerate(events[:limit])
    ]


def options(call: Call) -> object:
    """GET /cluster/options; the tags a caller may set are always in it."""
    shown: dict[str, Any] = {"allowed-tags": sorted({*_tags(call)})}
    if call.check("/", "Sys.Audit", noerr=True):
        shown |= {"mac_prefix": "BC:24:11", "description": "", **call.site.datacenter}
    return shown


def _tags(call: Call) -> set[str]:
    with call.site.lock:
        guests = [
            guest for guest in call.site.guests.values() if call.check(f"/vms/{guest.vmid}", "VM.Audit", noerr=True)
        ]
        return {
            tag for guest in guests for tag in str(guest.config.get("tags", "")).replace(",", ";").split(";") if tag
        }


def replication(call: Call) -> object:
    """GET /cluster/replication: jobs of guests the caller may audit."""
    return _visible_jobs(call)


def _visible_jobs(call: Call) -> list[dict[str, Any]]:
    with call.site.lock:
        jobs = [{"id": name, **job} for name, job in sorted(call.site.replication.items())]
    return [job for job in jobs if call.check(f"/vms/{job['id'].partition('-')[0]}", "VM.Audit", noerr=True)]


def node_replication(call: Call) -> object:
    """GET /nodes/{node}/replication: the same jobs with their state; the lab's only node never replicates."""
    wanted = call.params.get("guest")
    state = {"fail_count": 0, "last_sync": 0, "last_try": 0, "duration": 0, "vmtype": "qemu"}
    jobs = [{**job, **state, "guest": int(job["id"].partition("-")[0])} for job in _visible_jobs(call)]
    return [job for job in jobs if wanted in {None, job["guest"]}]


def firewall_options(call: Call) -> object:
    """GET /cluster/firewall/options."""
    return dict(call.site.datacenter_firewall)
