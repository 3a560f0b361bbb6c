"""Routes of pools (upstream: PVE/API2/Pool.pm)."""

from __future__ import annotations

from typing import Any

from lab.pve import figures
from lab.pve.call import Call, die
from lab.pve.formats import split_list
from lab.pve.privileges import may_modify
from lab.pve.site import Pool, Site


def find(site: Site, name: str) -> Pool:
    """The pool; 500 when there is none."""
    pool = site.pools.get(name)
    if pool is None:
        die(f"pool '{name}' does not exist")
    return pool


def _shown(name: str, pool: Pool) -> dict[str, Any]:
    return {"poolid": name, **({"comment": pool.comment} if pool.comment else {})}


def _members(call: Call, name: str, pool: Pool) -> list[dict[str, Any]]:
    site, kind = call.site, call.params.get("type")
    guests = [guest for vmid, guest in sorted(site.guests.items()) if guest.pool == name and kind in {None, guest.kind}]
    members = [figures.guest_resource(site, guest) for guest in guests]
    for member in members:
        member.pop("pool", None)
    if kind in {None, "storage"}:
        members += [
            figures.storage_resource(site, storage) for storage in sorted(pool.storages) if storage in site.storages
        ]
    return members


def list_pools(call: Call) -> object:
    """GET /pools: those the caller may audit, or with ``poolid`` the one with its members."""
    site = call.site
    with site.lock:
        if (name := call.params.get("poolid")) is not None:
            call.check(f"/pool/{name}", "Pool.Audit")
            pool = find(site, name)
            return [{**_shown(name, pool), "members": _members(call, name, pool)}]
        names = [name for name in sorted(site.pools) if call.check(f"/pool/{name}", "Pool.Audit", noerr=True)]
        return [_shown(name, site.pools[name]) for name in names]


def get_pool(call: Call) -> object:
    """GET /pools/{poolid}: the pool and its members."""
    name = call.params["poolid"]
    with call.site.lock:
        pool = find(call.site, name)
        return {"poolid": name, "comment": pool.comment, "members": _members(call, name, pool)}


def create(call: Call) -> None:
    """POST /pools."""
    name = call.params["poolid"]
    with call.site.lock:
        if name in call.site.pools:
            die(f"pool '{name}' already exists")
        call.site.pools[name] = Pool(call.params.get("comment", ""))


def update(call: Call) -> None:
    """PUT /pools/{poolid} and PUT /pools: comment, and members added or (with ``delete``) removed."""
    site, params = call.site, call.params
    name = params["poolid"]
    with site.lock:
        pool = find(site, name)
        pool.comment = params.get("comment", pool.comment)
        for text in split_list(params.get("vms", "")):
            _change_guest(call, name, int(text))
        for storage in split_list(params.get("storage", "")):
            _change_storage(call, pool, storage)


def _change_guest(call: Call, name: str, vmid: int) -> None:
    may_modify(call, f"/vms/{vmid}")
    guest = call.site.guests.get(vmid)
    if call.params.get("delete"):
        if guest is None or guest.pool != name:
            die(f"VM {vmid} is not a pool member")
        guest.pool = None
        return
    if guest is None:
        die(f"VM {vmid} does not exist")
    if guest.pool == name:
        die(f"VM {vmid} is already a pool member")
    if guest.pool and not call.params.get("allow-move"):
        die(f"VM {vmid} belongs already to pool '{guest.pool}' and 'allow-move' is not set")
    if guest.pool:
        call.check(f"/pool/{guest.pool}", "Pool.Allocate")
    guest.pool = name


def _change_storage(call: Call, pool: Pool, storage: str) -> None:
    may_modify(call, f"/storage/{storage}")
    if call.params.get("delete"):
        if storage not in pool.storages:
            die(f"Storage '{storage}' is not a pool member")
        pool.storages.discard(storage)
        return
    if storage in pool.storages:
        die(f"Storage '{storage}' is already a pool member")
    pool.storages.add(storage)


def delete(call: Call) -> None:
    """DELETE /pools/{poolid} and DELETE /pools: only when nothing is in it."""
    site, name = call.site, call.params["poolid"]
    with site.lock:
        pool = find(site, name)
        if pool.storages or any(guest.pool == name for guest in site.guests.values()):
            die(f"pool '{name}' is not empty")
        del site.pools[name]
        site.access.acl = [entry for entry in site.access.acl if entry.path != f"/pool/{name}"]
